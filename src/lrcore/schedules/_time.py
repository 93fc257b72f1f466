"""Schedules made of schedules at other times."""

from __future__ import annotations

from collections.abc import Iterable

from .._domain import Interval
from .._schedule import LAST, LENGTH, POSITIONS, SCHEDULE, SCHEDULES, Schedule

__all__ = ["Every", "Join", "Repeat", "Shift", "join"]

OFFSET = Interval(-LAST, LAST, integer=True)


class Shift(Schedule, kind="shift", schedule=SCHEDULE, by=OFFSET):
    """A schedule some updates ahead; what ``s.shift(by)`` makes.

    Parameters
    ----------
    schedule : Schedule
        With its own warm-up, which is shifted too.
    by : int
        Updates by which it is ahead; where it is negative it is behind, and before the schedule's
        update 0 the value is that of update 0.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``schedule(max(t + by, 0))``.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> Linear(1.0, steps=4).shift(2)(range(3)).tolist()
    [0.5, 0.25, 0.0]
    >>> Linear(1.0, steps=4).shift(-2)(range(5)).tolist()
    [1.0, 1.0, 1.0, 0.75, 0.5]
    """

    schedule: Schedule
    by: int

    def __init__(
        self,
        schedule: Schedule,
        by: int,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            schedule=schedule,
            by=by,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Every(Schedule, kind="every", schedule=SCHEDULE, updates=LENGTH):
    """A schedule that counts epochs; what ``s.every(updates)`` makes.

    Parameters
    ----------
    schedule : Schedule
        With its own warm-up, in epochs too.
    updates : int >= 1
        Updates in an epoch: the schedule moves on after so many.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``schedule(floor(t / updates))``.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> Linear(1.0, steps=4).every(2)(range(6)).tolist()
    [1.0, 1.0, 0.75, 0.75, 0.5, 0.5]
    """

    schedule: Schedule
    updates: int

    def __init__(
        self,
        schedule: Schedule,
        updates: int,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            schedule=schedule,
            updates=updates,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Repeat(Schedule, kind="repeat", schedule=SCHEDULE, period=LENGTH):
    """The beginning of a schedule, again and again; what ``s.repeat(period)`` makes.

    Parameters
    ----------
    schedule : Schedule
        With its own warm-up, which is repeated too.
    period : int >= 1
        Updates after which it begins anew.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``schedule(t mod period)``.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> Linear(1.0, steps=4).repeat(3)(range(7)).tolist()
    [1.0, 0.75, 0.5, 1.0, 0.75, 0.5, 1.0]
    """

    schedule: Schedule
    period: int

    def __init__(
        self,
        schedule: Schedule,
        period: int,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            schedule=schedule,
            period=period,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Join(Schedule, kind="join", parts=SCHEDULES, boundaries=POSITIONS):
    """One schedule after another, each from its boundary on; see `join`.

    Parameters
    ----------
    parts : list of Schedule, one more than boundaries
        Each with its own warm-up, and with t counted from its own boundary.
    boundaries : list of int >= 0, increasing
        The updates at which the next part begins; they count all updates.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``parts[i](t - boundaries[i-1])``, i = number of boundaries <= t.

    Examples
    --------
    >>> from lrcore.schedules import Constant, Linear
    >>> Join([Constant(1.0), Linear(1.0, steps=2)], boundaries=[3])(range(6)).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """

    parts: tuple[Schedule, ...]
    boundaries: tuple[int, ...]

    def __init__(
        self,
        parts: Iterable[Schedule],
        boundaries: Iterable[int],
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            parts=parts,
            boundaries=boundaries,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


def join(
    parts: Iterable[Schedule],
    boundaries: Iterable[int],
    *,
    warmup: int = 0,
    warmup_start: float = 0.0,
    warmup_shape: str = "linear",
) -> Join:
    """One schedule after another: ``join([a, b], boundaries=[n])`` is a(t), from n on b(t - n).

    Parameters
    ----------
    parts : list of Schedule, one more than boundaries
        Each with its own warm-up, and with t counted from its own boundary.
    boundaries : list of int >= 0, increasing
        The updates at which the next part begins.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Returns
    -------
    Join
        A schedule like any other.

    Examples
    --------
    >>> from lrcore.schedules import Constant, Step
    >>> s = join([Constant(1.0), Step(0.5, step_size=1, gamma=0.5)], boundaries=[2])
    >>> s(range(5)).tolist()
    [1.0, 1.0, 0.5, 0.25, 0.125]
    """
    return Join(
        parts,
        boundaries,
        warmup=warmup,
        warmup_start=warmup_start,
        warmup_shape=warmup_shape,
    )
