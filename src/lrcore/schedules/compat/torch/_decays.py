"""Torch's schedulers that follow one formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lrcore._domain import Interval, Items
from lrcore._schedule import COUNT, LENGTH, POSITIVE, RATE, Schedule
from lrcore.schedules import (
    Constant,
    Exponential,
    Linear,
    PiecewiseConstant,
    Polynomial,
    Step,
    Wave,
)
from lrcore.schedules.compat._common import FRACTION, check


def StepLR(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """``lr gamma^floor(t / step_size)``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    step_size : int >= 1
        Updates between two drops.
    gamma : float in (0, inf), default 0.1
        What a drop multiplies by.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> StepLR(1.0, step_size=2)(range(5)).round(3).tolist()
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """
    check("StepLR", lr=(lr, RATE), step_size=(step_size, LENGTH), gamma=(gamma, POSITIVE))
    return Step(lr, step_size, gamma)


def MultiStepLR(lr: float, milestones: Iterable[int], gamma: float = 0.1) -> Schedule:
    """``lr gamma^(number of milestones <= t)``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    milestones : list of int >= 0
        The updates that are the first with a lower rate. As in torch they need not be sorted, and
        one that is given twice counts twice.
    gamma : float in (0, inf), default 0.1
        What a milestone multiplies by.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> MultiStepLR(1.0, milestones=[3])(range(6)).tolist()
    [1.0, 1.0, 1.0, 0.1, 0.1, 0.1]
    """
    lr, milestones, gamma = check(
        "MultiStepLR", lr=(lr, RATE), milestones=(milestones, Items(COUNT)), gamma=(gamma, POSITIVE)
    )
    times = Counter(milestones)
    values = [lr]
    for milestone in sorted(times):
        value = values[-1]
        for _ in range(times[milestone]):
            value *= gamma
        values.append(value)
    return PiecewiseConstant(sorted(times), values)


def ConstantLR(lr: float, factor: float = 1 / 3, total_iters: int = 5) -> Schedule:
    """``lr factor`` for `total_iters` updates, then `lr`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    factor : float in [0, 1], default 1/3
        What the first updates are multiplied by. With 0 torch divides by zero at the end of them;
        here the rate is `lr` from there on.
    total_iters : int >= 0, default 5
        Number of first updates. With 0 torch never leaves ``lr factor``, and neither does this.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> ConstantLR(1.0, factor=0.5, total_iters=2)(range(4)).tolist()
    [0.5, 0.5, 1.0, 1.0]
    """
    lr, factor, total_iters = check(
        "ConstantLR",
        lr=(lr, RATE),
        factor=(factor, FRACTION),
        total_iters=(total_iters, COUNT),
    )
    if total_iters == 0:
        return Constant(lr * factor)
    return PiecewiseConstant([total_iters], [lr * factor, lr])


def LinearLR(
    lr: float, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
) -> Schedule:
    """From ``lr start_factor`` to ``lr end_factor`` in `total_iters` updates, in a straight line.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    start_factor : float in (0, 1], default 1/3
        What update 0 is multiplied by: unlike other warm-ups this one does not begin at 0.
    end_factor : float in [0, 1], default 1.0
        What update `total_iters`, and all after it, are multiplied by.
    total_iters : int >= 0, default 5
        Updates from one to the other. With 0 torch never leaves ``lr start_factor``, and neither
        does this.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> LinearLR(1.0, total_iters=4)(range(6)).round(3).tolist()
    [0.333, 0.5, 0.667, 0.833, 1.0, 1.0]
    """
    lr, start_factor, end_factor, total_iters = check(
        "LinearLR",
        lr=(lr, RATE),
        start_factor=(start_factor, Interval(0, 1, closed_low=False)),
        end_factor=(end_factor, FRACTION),
        total_iters=(total_iters, COUNT),
    )
    if total_iters == 0:
        return Constant(lr * start_factor)
    return Linear(lr * start_factor, total_iters, lr * end_factor)


def ExponentialLR(lr: float, gamma: float) -> Schedule:
    """``lr gamma^t``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    gamma : float in (0, inf)
        Ratio of one value to the one before.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> ExponentialLR(1.0, gamma=0.9)(range(4)).round(3).tolist()
    [1.0, 0.9, 0.81, 0.729]
    """
    check("ExponentialLR", lr=(lr, RATE), gamma=(gamma, POSITIVE))
    return Exponential(lr, gamma)


def PolynomialLR(lr: float, total_iters: int = 5, power: float = 1.0) -> Schedule:
    """``lr (1 - t/total_iters)^power``, and 0 from `total_iters` on.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    total_iters : int >= 1, default 5
        Updates until the rate is 0.
    power : float in (0, inf), default 1.0
        1 is a straight line.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> PolynomialLR(1.0, total_iters=4)(range(6)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    lr, total_iters, power = check(
        "PolynomialLR",
        lr=(lr, RATE),
        total_iters=(total_iters, LENGTH),
        power=(power, POSITIVE),
    )
    return Polynomial(lr, total_iters, power)


def CosineAnnealingLR(lr: float, T_max: int, eta_min: float = 0.0) -> Schedule:
    """``eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2``, which rises again past `T_max`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    T_max : int >= 1
        Updates until the value is `eta_min`. Other libraries stay there; torch goes back up to
        `lr`, which it reaches at 2 `T_max`, and so on without end.
    eta_min : float in [0, inf), default 0.0
        Lowest value.

    Returns
    -------
    Schedule
        Torch's values. :class:`lrcore.schedules.Cosine` has those that stay at the end.

    Examples
    --------
    >>> CosineAnnealingLR(1.0, T_max=2)(range(5)).round(3).tolist()
    [1.0, 0.5, 0.0, 0.5, 1.0]
    """
    lr, T_max, eta_min = check(
        "CosineAnnealingLR", lr=(lr, RATE), T_max=(T_max, LENGTH), eta_min=(eta_min, RATE)
    )
    return Wave(lr, eta_min, period=2 * T_max)
