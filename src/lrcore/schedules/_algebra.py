"""Schedules made of schedules."""

from __future__ import annotations

from collections.abc import Iterable

from .._schedule import NUMBER, POSITIONS, SCHEDULE, SCHEDULES, Schedule

__all__ = ["Join", "Scale", "join"]


class Scale(Schedule, kind="scale", schedule=SCHEDULE, factor=NUMBER):
    """A schedule times a number; what ``s * 0.1`` makes.

    Parameters
    ----------
    schedule : Schedule
        With its own warm-up, which is scaled too.
    factor : float
        Any finite number.
    warmup : int >= 0, default 0
        Updates of linear warm-up, in place of the first values of `schedule`.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> s = Linear(1.0, steps=4) * 2
    >>> s(range(5)).tolist()
    [2.0, 1.5, 1.0, 0.5, 0.0]
    """

    schedule: Schedule
    factor: float

    def __init__(
        self, schedule: Schedule, factor: float, *, warmup: int = 0, warmup_start: float = 0.0
    ) -> None:
        self._set(schedule=schedule, factor=factor, warmup=warmup, warmup_start=warmup_start)


class Join(Schedule, kind="join", parts=SCHEDULES, boundaries=POSITIONS):
    """One schedule after another, each from its boundary on; see `join`.

    Parameters
    ----------
    parts : list of Schedule, one more than boundaries
        Each with its own warm-up, and with t counted from its own boundary.
    boundaries : list of int >= 0, increasing
        The updates at which the next part begins; they count all updates.
    warmup : int >= 0, default 0
        Updates of linear warm-up, in place of the first values of `parts`.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

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
    ) -> None:
        self._set(parts=parts, boundaries=boundaries, warmup=warmup, warmup_start=warmup_start)


def join(
    parts: Iterable[Schedule],
    boundaries: Iterable[int],
    *,
    warmup: int = 0,
    warmup_start: float = 0.0,
) -> Join:
    """One schedule after another: ``join([a, b], boundaries=[n])`` is a(t), from n on b(t - n).

    Parameters
    ----------
    parts : list of Schedule, one more than boundaries
        Each with its own warm-up, and with t counted from its own boundary.
    boundaries : list of int >= 0, increasing
        The updates at which the next part begins.
    warmup : int >= 0, default 0
        Updates of linear warm-up, in place of the first values of `parts`.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

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
    return Join(parts, boundaries, warmup=warmup, warmup_start=warmup_start)
