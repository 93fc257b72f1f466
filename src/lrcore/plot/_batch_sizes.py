"""Score over learning rate and batch size, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._domain import Interval
from ._style import ALARM, INK, RUST, Array, Look, cut, legend_above, new_axes, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..instruments.trials.sweep import SweepResult

WHO = "plot.batch_sizes"
SIZE = Interval(1, 2**53, integer=True)
LIGHT = "white"
FAR = 4.0  # so many times as far from the best as the median score: the palest shade


def batch_sizes(
    results: Mapping[int, SweepResult | Sequence[float] | Array],
    lrs: Sequence[float] | Array | None = None,
    ax: Axes | None = None,
    *,
    label: str = "score (lower is better)",
) -> Axes:
    """Draw a sweep of the learning rate at each of several batch sizes, dark being good.

    The best rate of each batch size has a dot. Rates at which every run diverged are hatched. Two
    lines go through the best rate of the smallest batch: the rate growing with the batch size, as
    is often right for SGD (Goyal et al. 2017), and with its square root, as is for Adam
    (Malladi et al. 2022).

    Parameters
    ----------
    results : dict of int to SweepResult or list of float
        For each batch size its sweep, or its scores, one for each of `lrs`.
    lrs : list of float, default None
        The learning rates, where `results` has scores only; of all the same.
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows.
    label : str, default "score (lower is better)"
        What is drawn, written at the colour bar.

    Returns
    -------
    matplotlib Axes
        With learning rate (x) and batch size (y), both logarithmic.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        A batch size is no integer, scores are not as many as rates, or the rates differ.

    Examples
    --------
    >>> from lrcore import plot
    >>> ax = plot.batch_sizes({16: [3.0, 1.0, 2.0], 64: [4.0, 2.0, 1.0]}, [0.01, 0.1, 1.0])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('learning rate', 'batch size')
    """
    sizes, rates, scores = _read(results, lrs)
    ax = new_axes(7.0, 4.2) if ax is None else ax
    x, y = _edges(rates), _edges(sizes)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.grid(visible=False)
    _draw_cells(ax, x, y, scores, label)
    best = np.array([_best(row) for row in scores])
    _draw_scaling(ax, rates, sizes, best)
    some = best >= 0
    dots: Look = {"markersize": 9, "markeredgewidth": 2, "markeredgecolor": INK, "zorder": 4}
    ax.plot(rates[best[some]], sizes[some], "o", markerfacecolor="white", label="best", **dots)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    ax.set_yticks(sizes, [f"{int(size)}" for size in sizes])
    ax.set_yticks([], minor=True)
    ax.set_xlabel("learning rate")
    ax.set_ylabel("batch size")
    legend_above(ax)
    return ax


def _read(results: Any, lrs: Any) -> tuple[Array, Array, Array]:
    """Sizes and rates in increasing order, and the scores, NaN where there is none."""
    if not isinstance(results, Mapping) or not results:
        raise TypeError(f"{WHO}: results must be a dict by batch size, got {results!r:.60}")
    rows: dict[int, Array] = {}
    rates = None if lrs is None else numbers(WHO, "lrs", lrs)
    for size in sorted(SIZE.check(WHO, "batch size", one) for one in results):
        one = results[size]
        if hasattr(one, "scores"):
            mine = np.asarray(one.lrs, dtype=np.float64)
            rates = mine if rates is None else rates
            if not np.array_equal(mine, rates):
                raise ValueError(f"{WHO}: all sweeps must be over the same rates; {size} is not")
            table = np.asarray(one.scores, dtype=np.float64).reshape(len(mine), -1)
            rows[size] = _means(cut(table))
        else:
            rows[size] = numbers(WHO, f"results[{size}]", one)
        if rates is None:
            raise TypeError(f"{WHO}: lrs must be given, where results are scores")
        if len(rows[size]) != len(rates):
            raise ValueError(
                f"{WHO}: results[{size}] must be {len(rates)} scores, as lrs, got {len(rows[size])}"
            )
    assert rates is not None
    if not (np.isfinite(rates) & (rates > 0)).all():
        raise ValueError(f"{WHO}: lrs must be in (0, inf)")
    order = np.argsort(rates)
    scores = np.array([rows[size][order] for size in rows])
    return np.array(list(rows), dtype=np.float64), rates[order], scores


def _means(scores: Array) -> Array:
    """The mean of each rate whose runs all ended, else NaN."""
    whole = np.isfinite(scores).all(axis=1)
    means = np.full(len(scores), np.nan)
    means[whole] = scores[whole].mean(axis=1)
    return means


def _best(row: Array) -> int:
    """Place of the lowest score, -1 if there is none."""
    return int(np.argmin(np.where(np.isfinite(row), row, np.inf))) if np.isfinite(row).any() else -1


def _edges(values: Array) -> Array:
    """Where cells begin and end: halfway between neighbours on a logarithmic axis."""
    logs: Array = np.log(values)
    if len(logs) == 1:
        logs = logs[0] + np.array([-0.5, 0.5])
        return np.asarray(np.exp(logs))
    middle = (logs[1:] + logs[:-1]) / 2
    first, last = 2 * logs[0] - middle[0], 2 * logs[-1] - middle[-1]
    return np.asarray(np.exp(np.concatenate([[first], middle, [last]])))


def _draw_cells(ax: Axes, x: Array, y: Array, scores: Array, label: str) -> None:
    """The scores, dark where low, and the colour bar; what has no score is hatched."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.patches import Rectangle

    known = scores[np.isfinite(scores)]
    for i, j in np.argwhere(~np.isfinite(scores)):
        cell = Rectangle((x[j], y[i]), x[j + 1] - x[j], y[i + 1] - y[i], linewidth=0)
        cell.set(facecolor=ALARM, edgecolor=RUST, hatch="////", zorder=1.2)
        cell.set_label("_" if ax.patches else "diverged")
        ax.add_patch(cell)
    if not known.size:
        return
    low = known.min()
    high = min(
        known.max(), max(low + FAR * (float(np.median(known)) - low), np.quantile(known, 0.5))
    )
    positive = low > 0 and high > 3 * low
    norm = (LogNorm if positive else Normalize)(low, high)
    shown = np.ma.masked_invalid(scores)
    style: Look = {"cmap": "cividis", "norm": norm, "edgecolors": "white", "linewidth": 0.6}
    mesh = ax.pcolormesh(x, y, shown, zorder=1, **style)
    bar = ax.figure.colorbar(
        mesh, ax=ax, pad=0.02, extend="max" if known.max() > high else "neither"
    )
    bar.set_label(label)
    bar.outline.set_visible(False)
    if positive:
        from matplotlib.ticker import LogLocator

        bar.locator = LogLocator(subs=(1, 2, 5))
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.minorticks_off()


def _draw_scaling(ax: Axes, rates: Array, sizes: Array, best: Any) -> None:
    """The two lines along which a good rate may grow with the batch."""
    from matplotlib.patheffects import Normal, Stroke

    if len(sizes) < 2 or best[0] < 0:
        return
    grown = sizes / sizes[0]
    halo = [Stroke(linewidth=4.4, foreground="#222222"), Normal()]
    looks = {
        "rate \N{PROPORTIONAL TO} size": (1.0, "-"),
        "rate \N{PROPORTIONAL TO} \N{SQUARE ROOT}size": (0.5, (0, (5, 2))),
    }
    for name, (power, dashes) in looks.items():
        (line,) = ax.plot(
            rates[best[0]] * grown**power, sizes, color=LIGHT, linestyle=dashes, lw=2, label=name
        )
        line.set(path_effects=halo, zorder=3)
