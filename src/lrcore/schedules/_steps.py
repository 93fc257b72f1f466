"""Schedules that jump, and the one that does not move."""

from __future__ import annotations

from collections.abc import Iterable

from .._schedule import LENGTH, POSITIONS, POSITIVE, RATE, VALUES, Schedule

__all__ = ["Constant", "MultiStep", "PiecewiseConstant", "Step"]


class Constant(Schedule, kind="constant", lr=RATE):
    """The same value at every update: `lr`.

    Parameters
    ----------
    lr : float in [0, inf)
        The value.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> Constant(0.1, warmup=4)(range(6)).round(3).tolist()
    [0.0, 0.025, 0.05, 0.075, 0.1, 0.1]
    """

    lr: float

    def __init__(self, lr: float, *, warmup: int = 0, warmup_start: float = 0.0) -> None:
        self._set(lr=lr, warmup=warmup, warmup_start=warmup_start)


class Step(Schedule, kind="step", lr=RATE, step_size=LENGTH, gamma=POSITIVE):
    """Times `gamma` every `step_size` updates: lr gamma^floor(n / step_size).

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    step_size : int >= 1
        Updates between two drops, counted from the end of the warm-up.
    gamma : float in (0, inf), default 0.1
        What a drop multiplies by.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> Step(1.0, step_size=2, gamma=0.5)(range(6)).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    lr: float
    step_size: int
    gamma: float

    def __init__(
        self,
        lr: float,
        step_size: int,
        gamma: float = 0.1,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(lr=lr, step_size=step_size, gamma=gamma, warmup=warmup, warmup_start=warmup_start)


class MultiStep(Schedule, kind="multistep", lr=RATE, milestones=POSITIONS, gamma=POSITIVE):
    """Times `gamma` at each milestone: lr gamma^(number of milestones <= t).

    Parameters
    ----------
    lr : float in [0, inf)
        Value before the first milestone.
    milestones : list of int >= 0, increasing
        The updates that are the first with a lower value; they count all updates.
    gamma : float in (0, inf), default 0.1
        What a milestone multiplies by.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> MultiStep(1.0, milestones=[3, 5], gamma=0.5)(range(7)).tolist()
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    lr: float
    milestones: tuple[int, ...]
    gamma: float

    def __init__(
        self,
        lr: float,
        milestones: Iterable[int],
        gamma: float = 0.1,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(
            lr=lr, milestones=milestones, gamma=gamma, warmup=warmup, warmup_start=warmup_start
        )


class PiecewiseConstant(Schedule, kind="piecewise_constant", boundaries=POSITIONS, values=VALUES):
    """A value from each boundary on: values[number of boundaries <= t].

    Parameters
    ----------
    boundaries : list of int >= 0, increasing
        The updates that are the first with the next value; they count all updates.
    values : list of float in [0, inf), one more than boundaries
        The values, that before the first boundary first.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> PiecewiseConstant([2, 4], [1.0, 0.3, 0.1])(range(6)).tolist()
    [1.0, 1.0, 0.3, 0.3, 0.1, 0.1]
    """

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __init__(
        self,
        boundaries: Iterable[int],
        values: Iterable[float],
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(boundaries=boundaries, values=values, warmup=warmup, warmup_start=warmup_start)
