"""Learning rate against update, of one schedule or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from .._schedule import LENGTH, Schedule
from ._style import LINES, POINTS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax = new_axes() if ax is None else ax
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
