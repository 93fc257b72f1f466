"""Pictures, drawn with matplotlib; each function returns its Axes, for more to be drawn on them.

Lines differ in lightness, in width and in how they are dashed, so that they can be told apart on
paper too. Needs matplotlib: ``pip install "lrcore[demo]"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ._schedule import LENGTH, Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["schedule"]

POINTS = 2000  # more than that no picture shows
#: Of different lightness; those with the same dashes have them where the other has gaps.
LINES: tuple[dict[str, Any], ...] = (
    {"color": "#0b3c66", "linestyle": "-", "linewidth": 2.2},
    {"color": "#c8641b", "linestyle": "-", "linewidth": 2.2},
    {"color": "#1a1a1a", "linestyle": (0, (5, 2)), "linewidth": 1.8},
    {"color": "#4fa08a", "linestyle": (3.5, (5, 2)), "linewidth": 1.8},
    {"color": "#5b2d87", "linestyle": (0, (1.2, 1.4)), "linewidth": 2.4},
    {"color": "#c9a227", "linestyle": (1.3, (1.2, 1.4)), "linewidth": 2.4},
    {"color": "#555555", "linestyle": (0, (6, 1.5, 1.2, 1.5)), "linewidth": 1.8},
    {"color": "#93b7d6", "linestyle": (5, (6, 1.5, 1.2, 1.5)), "linewidth": 1.8},
)


def schedule(
    schedules: Schedule | Mapping[str, Schedule] | Iterable[Schedule],
    steps: int,
    ax: Axes | None = None,
    *,
    log: bool = False,
) -> Axes:
    """Draw one schedule or several over the updates 0, 1, ... `steps` - 1.

    Parameters
    ----------
    schedules : Schedule, or dict or list of Schedule
        What to draw. The keys of a dict are the names in the legend; those of a list are their
        `repr`. One schedule alone has no legend.
    steps : int >= 1
        Number of updates. Of more than 2000 the picture shows 2000, the first and last included.
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows.
    log : bool, default False
        Whether the rate has a logarithmic axis.

    Returns
    -------
    matplotlib Axes
        With the lines on it, labelled.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        Something is not a schedule.

    Examples
    --------
    >>> from lrcore import plot, schedules
    >>> ax = plot.schedule(schedules.Cosine(1e-3, steps=100, warmup=10), steps=120)
    >>> ax.figure.savefig("schedule.png")  # doctest: +SKIP
    """
    named = _named(schedules)
    count = LENGTH.check("plot.schedule", "steps", steps)
    t = np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))
    ax = _axes() if ax is None else ax
    for (name, one), style in zip(named.items(), cycle(LINES), strict=False):
        ax.plot(t, one(t), label=name, **style)
    ax.set_xlabel("update")
    ax.set_ylabel("learning rate")
    if log:
        ax.set_yscale("log")
    if len(named) > 1:
        ax.legend(frameon=False)
    return ax


def _named(schedules: object) -> dict[str, Schedule]:
    """Return the schedules by the names they are shown with."""
    if isinstance(schedules, Schedule):
        named: dict[Any, Any] = {repr(schedules): schedules}
    elif isinstance(schedules, Mapping):
        named = dict(schedules)
    elif isinstance(schedules, Iterable):
        named = {repr(one): one for one in schedules}
    else:
        raise TypeError(f"plot.schedule: schedules must be schedules, got {schedules!r}")
    for one in named.values():
        if not isinstance(one, Schedule):
            raise TypeError(f"plot.schedule: schedules must be schedules, got {one!r}")
    return named


def _axes() -> Axes:
    """Return the Axes of a new figure, without a window and without pyplot's memory of it."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ImportError('lrcore.plot needs matplotlib: pip install "lrcore[demo]"') from None
    axes: Axes = Figure(figsize=(7, 4), dpi=120, layout="constrained").subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6")
    axes.set_axisbelow(True)
    return axes
