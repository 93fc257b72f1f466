r"""Schedules: a hyper-parameter as a pure function of the update.

``s(t)`` is the value used by update t, t = 0 for the first. Every schedule takes `warmup` and
`warmup_start`: the first `warmup` updates rise linearly from `warmup_start` to the value of the
schedule proper at its start, which is at t = `warmup`. *Positions* (`steps`, `milestones`,
`boundaries`) count all updates, warm-up included; *durations* (`step_size`, the n in
``gamma**n``) count from the end of the warm-up. In the formulas below n = t - `warmup`.

The values are computed in float64 by ``schedules.c``, each with the bits of
:mod:`lrcore.reference`, and depend on t alone: to resume is to know t.

Examples
--------
>>> from lrcore import schedules
>>> s = schedules.Cosine(1.0, steps=10, warmup=2)
>>> s(1)
0.5
>>> s(range(5)).round(3).tolist()
[0.0, 0.5, 1.0, 0.962, 0.854]
>>> s * 0.1
Scale(schedule=Cosine(lr=1.0, steps=10, warmup=2), factor=0.1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from numbers import Real
from typing import Any, NoReturn

from ._schedule import (
    FUNCTION,
    LENGTH,
    NUMBER,
    POSITIONS,
    POSITIVE,
    RATE,
    SCHEDULE,
    SCHEDULES,
    VALUES,
    Schedule,
)

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseTime",
    "Join",
    "Lambda",
    "Linear",
    "MultiStep",
    "NaturalExponential",
    "PiecewiseConstant",
    "Polynomial",
    "Scale",
    "Schedule",
    "Step",
    "join",
]


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


class Exponential(Schedule, kind="exponential", lr=RATE, gamma=POSITIVE):
    """Times `gamma` at every update: lr gamma^n.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    gamma : float in (0, inf)
        Ratio of one value to the one before.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    See Also
    --------
    NaturalExponential : the same curve, written e^(-decay n).

    Examples
    --------
    >>> Exponential(1.0, gamma=0.5)(range(4)).tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    lr: float
    gamma: float

    def __init__(
        self, lr: float, gamma: float, *, warmup: int = 0, warmup_start: float = 0.0
    ) -> None:
        self._set(lr=lr, gamma=gamma, warmup=warmup, warmup_start=warmup_start)


class NaturalExponential(Schedule, kind="natural_exponential", lr=RATE, decay=RATE):
    """Decay at a constant rate per update: lr e^(-decay n).

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    decay : float in [0, inf)
        Fraction lost per update, where it is small.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> NaturalExponential(1.0, decay=0.1)(range(4)).round(3).tolist()
    [1.0, 0.905, 0.819, 0.741]
    """

    lr: float
    decay: float

    def __init__(
        self, lr: float, decay: float, *, warmup: int = 0, warmup_start: float = 0.0
    ) -> None:
        self._set(lr=lr, decay=decay, warmup=warmup, warmup_start=warmup_start)


class InverseTime(Schedule, kind="inverse_time", lr=RATE, rate=RATE, step_size=LENGTH):
    """Decay like 1/n: lr / (1 + rate n / step_size).

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    rate : float in [0, inf)
        How much the divisor grows in `step_size` updates.
    step_size : int >= 1, default 1
        Unit of time, in updates, counted from the end of the warm-up.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    References
    ----------
    H. Robbins and S. Monro, A stochastic approximation method, Ann. Math. Statist. 22, 1951:
    steps that fall like 1/n converge.

    Examples
    --------
    >>> InverseTime(1.0, rate=1.0)(range(4)).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    """

    lr: float
    rate: float
    step_size: int

    def __init__(
        self,
        lr: float,
        rate: float,
        step_size: int = 1,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(lr=lr, rate=rate, step_size=step_size, warmup=warmup, warmup_start=warmup_start)


class Linear(Schedule, kind="linear", lr=RATE, steps=LENGTH, end=RATE):
    """A straight line from `lr` to `end`: end + (lr - end) (1 - n/T), T = steps - warmup.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start; `end` may be higher.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> Linear(1.0, steps=4)(range(6)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    lr: float
    steps: int
    end: float

    def __init__(
        self,
        lr: float,
        steps: int,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(lr=lr, steps=steps, end=end, warmup=warmup, warmup_start=warmup_start)


class Polynomial(Schedule, kind="polynomial", lr=RATE, steps=LENGTH, power=POSITIVE, end=RATE):
    """A power of what is left: end + (lr - end) (1 - n/T)^power, T = steps - warmup.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    power : float in (0, inf), default 1.0
        1 is a straight line; above 1 the fall is steep first, below 1 last.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> Polynomial(1.0, steps=4, power=2.0)(range(6)).tolist()
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    lr: float
    steps: int
    power: float
    end: float

    def __init__(
        self,
        lr: float,
        steps: int,
        power: float = 1.0,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(
            lr=lr, steps=steps, power=power, end=end, warmup=warmup, warmup_start=warmup_start
        )


class Cosine(Schedule, kind="cosine", lr=RATE, steps=LENGTH, end=RATE):
    """Half a wave of the cosine: end + (lr - end) (1 + cos(pi n/T)) / 2, T = steps - warmup.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Notes
    -----
    Computed as end + (lr - end) cos^2(pi n / 2T), which is the same and keeps its accuracy where
    the value is small.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017,
    equation 5; here without the restarts.

    Examples
    --------
    >>> Cosine(1.0, steps=4)(range(6)).round(3).tolist()
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    lr: float
    steps: int
    end: float

    def __init__(
        self,
        lr: float,
        steps: int,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(lr=lr, steps=steps, end=end, warmup=warmup, warmup_start=warmup_start)


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
    >>> s = join([Constant(1.0), Step(0.5, step_size=1, gamma=0.5)], boundaries=[2])
    >>> s(range(5)).tolist()
    [1.0, 1.0, 0.5, 0.25, 0.125]
    """
    return Join(parts, boundaries, warmup=warmup, warmup_start=warmup_start)


class Lambda(Schedule, kind="lambda", function=FUNCTION):
    """Any function of the update: function(t).

    Parameters
    ----------
    function : callable, int -> float
        Called with the index of the update, warm-up included. It should be pure: it may be called
        any number of times, in any order. What it raises reaches the caller.
    warmup : int >= 0, default 0
        Updates of linear warm-up, in place of the first values.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Notes
    -----
    Pickles where `function` does. It has no `to_dict`, and its `repr` does not evaluate.

    Examples
    --------
    >>> Lambda(lambda t: 1 / (t + 1))(range(4)).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    """

    function: Callable[[int], float]

    def __init__(
        self, function: Callable[[int], float], *, warmup: int = 0, warmup_start: float = 0.0
    ) -> None:
        self._set(function=function, warmup=warmup, warmup_start=warmup_start)

    @property
    def _callback(self) -> Callable[[int], float]:
        return partial(_call, self.function)

    def to_dict(self) -> NoReturn:
        """Raise: a function cannot be written down."""
        raise TypeError("Lambda: a Python function cannot be put in a dict; pickle the schedule")


def _call(function: Callable[[int], Any], t: int) -> float:
    """What the function of a Lambda returned, if it is a number."""
    value = function(t)
    if type(value) is not float and not isinstance(value, Real):
        raise TypeError(f"Lambda: function({t}) must return a number, got {value!r}")
    return float(value)
