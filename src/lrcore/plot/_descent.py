"""Paths of optimizers in two dimensions, over the contours of what they descend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from .._optimizer import Optimizer
from .._schedule import LENGTH
from ._style import INK, LINES, Array, Look, legend_above, new_axes
from ._surfaces import SURFACES, Point, Surface, measured, walk

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WHO = "plot.descent"
GRID = 241  # values of each coordinate at which the function is evaluated
LEVELS = 14  # contours
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DOTS = 25  # markers on a path


def descent(
    optimizers: Mapping[str, Callable[[Array], Optimizer]],
    function: str | Callable[[Any, Any], Any] = "ravine",
    ax: Axes | None = None,
    *,
    steps: int = 40,
    start: Point | None = None,
    limits: tuple[Point, Point] | None = None,
) -> Axes:
    """Draw the paths of optimizers down a function of two variables.

    Parameters
    ----------
    optimizers : dict of str to callable
        For each name in the legend, a function that makes an optimizer of the parameters it is
        given, a float64 array (x, y): ``{"lr 0.1": lambda p: lrcore.SGD(p, lr=0.1)}``.
    function : str or callable, default "ravine"
        ``"bowl"`` (x^2 / 2 + y^2), ``"ravine"`` ((x^2 + 25 y^2) / 2), ``"rosenbrock"``
        ((1 - x)^2 + 100 (y - x^2)^2), or ``f(x, y)``, elementwise on arrays; its gradient is then
        measured by central differences.
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows.
    steps : int >= 1, default 40
        Updates of each optimizer.
    start : (float, float), default None
        Where they start; None: where the named function has its usual start.
    limits : ((float, float), (float, float)), default None
        Of x and of y in the picture; a path that leaves it ends there.

    Returns
    -------
    matplotlib Axes
        With the contours and the paths, a marker every few updates and a star at the minimum.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        No such function; no start or limits for a function of one's own; something makes no
        optimizer.

    Examples
    --------
    >>> import lrcore
    >>> ax = lrcore.plot.descent(
    ...     {f"SGD {lr}": lambda p, lr=lr: lrcore.SGD(p, lr=lr) for lr in (0.005, 0.04, 0.079)}
    ... )
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['SGD 0.005', 'SGD 0.04', 'SGD 0.079']
    """
    surface = _surface(function, start, limits)
    count = LENGTH.check(WHO, "steps", steps)
    if not isinstance(optimizers, Mapping) or not optimizers:
        raise TypeError(f"{WHO}: optimizers must be a dict by name, got {optimizers!r:.60}")
    made = {}
    for name, make in optimizers.items():
        point = np.array(surface.start, dtype=np.float64)
        opt = make(point)
        if not isinstance(opt, Optimizer):
            raise TypeError(f"{WHO}: {name} must make an optimizer, got {opt!r:.60}")
        made[name] = walk(surface.slope, opt, point, count)
    ax = new_axes(7.0, 4.4) if ax is None else ax
    _draw_contours(ax, surface)
    for (name, path), look, marker in zip(made.items(), cycle(LINES), cycle(MARKERS), strict=False):
        _draw_path(ax, name, *path, surface, {**look, "marker": marker})
    ax.plot(*surface.start, "o", color=INK, markersize=9, markerfacecolor="white", zorder=5)
    if surface.lowest is not None:
        ax.plot(*surface.lowest, "*", color=INK, markersize=15, zorder=5)
    ax.set_xlim(surface.limits[0])
    ax.set_ylim(surface.limits[1])
    ax.set_xlabel("first parameter")
    ax.set_ylabel("second parameter")
    legend_above(ax)
    return ax


def _surface(function: Any, start: Point | None, limits: tuple[Point, Point] | None) -> Surface:
    """The function with where to start and what to show."""
    if callable(function):
        if start is None or limits is None:
            raise ValueError(f"{WHO}: start and limits must be given with a function of one's own")
        (left, right), (low, high) = limits
        if not (left < right and low < high):
            raise ValueError(f"{WHO}: limits must be ((low, high), (low, high)), got {limits}")
        return Surface(function, measured(function, limits), start, limits, None)
    if not isinstance(function, str) or function not in SURFACES:
        names = ", ".join(f'"{name}"' for name in SURFACES)
        raise ValueError(f"{WHO}: function must be {names} or a callable, got {function!r}")
    known = SURFACES[function]
    return known._replace(start=start or known.start, limits=limits or known.limits)


def _draw_contours(ax: Axes, surface: Surface) -> None:
    """Contours closer together where the function is low, pale enough to draw on."""
    from matplotlib.colors import ListedColormap

    x, y = (np.linspace(*limit, GRID) for limit in surface.limits)
    with np.errstate(all="ignore"):
        z = np.asarray(surface.value(x[None, :], y[:, None]), dtype=np.float64)
    z = np.broadcast_to(z, (GRID, GRID))
    seen = z[np.isfinite(z)]
    if not seen.size or seen.max() == seen.min():
        return
    depth = np.sqrt(np.clip(z - seen.min(), 0, None)) ** 0.7
    levels = np.linspace(0, np.nanmax(depth[np.isfinite(depth)]), LEVELS + 1)
    shades = np.linspace(0.80, 0.985, LEVELS)
    tint = ListedColormap(np.stack([shades, 0.35 + 0.65 * shades, 0.55 + 0.45 * shades], axis=1))
    ax.grid(visible=False)
    ax.contourf(x, y, depth, levels, cmap=tint, zorder=0)
    ax.contour(x, y, depth, levels[1:-1], colors="#9fb1c2", linewidths=0.6, zorder=0.5)


def _draw_path(
    ax: Axes, name: str, path: Array, broken: bool, surface: Surface, look: Look
) -> None:
    """A line with a marker every few updates, up to where it leaves the picture."""
    (left, right), (low, high) = surface.limits
    x, y = path.T
    out = np.flatnonzero((x < left) | (x > right) | (y < low) | (y > high))
    path = path[: out[0] + 1] if out.size else path
    every = max(len(path) // DOTS, 1)
    dots: Look = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.8}
    label = f"{name} (diverges)" if broken else f"{name} (leaves)" if out.size else name
    limit = 1e3 * (abs(left) + abs(right) + abs(low) + abs(high))  # what a canvas can hold
    ax.plot(*np.clip(path, -limit, limit).T, label=label, markevery=every, zorder=3, **dots, **look)
