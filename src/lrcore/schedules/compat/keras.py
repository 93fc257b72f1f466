"""Keras 3: ``keras.optimizers.schedules``, and the callbacks that set the rate.

Keras's arguments under Keras's names (`name` is left out); the value at t is
``schedule(t)``, which the optimizer uses for update t = 0, 1, 2, ... Keras computes in float32,
these in float64.

Examples
--------
>>> from lrcore.schedules.compat import keras
>>> s = keras.CosineDecay(0.0, decay_steps=10, warmup_target=1.0, warmup_steps=2)
>>> s(range(4)).round(3).tolist()
[0.0, 0.5, 1.0, 0.976]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from inspect import signature

from ..._domain import Interval, Items
from ..._schedule import COUNT, FUNCTION, LAST, LENGTH, NUMBER, POSITIVE, RATE, VALUES, Schedule
from .. import (
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    Lambda,
    PiecewiseConstant,
    Plateau,
    Polynomial,
    Step,
    from_epochs,
)
from ._common import FRACTION, INSIDE, check, one_of

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateScheduler",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "ReduceLROnPlateau",
]


def ExponentialDecay(
    initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> Schedule:
    """``initial_learning_rate decay_rate^(t / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float in [0, inf)
        Value at the start.
    decay_steps : int >= 1
        Updates in which the value is multiplied by `decay_rate`.
    decay_rate : float in (0, inf)
        Ratio over `decay_steps` updates, where torch has one over a single update.
    staircase : bool, default False
        Whether the exponent is rounded down, so that the value falls by steps.

    Returns
    -------
    Schedule
        Keras's values.

    Examples
    --------
    >>> ExponentialDecay(1.0, decay_steps=2, decay_rate=0.9)(range(3)).round(3).tolist()
    [1.0, 0.949, 0.9]
    >>> ExponentialDecay(1.0, 2, 0.9, staircase=True)(range(3)).round(3).tolist()
    [1.0, 1.0, 0.9]
    """
    lr, steps, rate = check(
        "ExponentialDecay",
        initial_learning_rate=(initial_learning_rate, RATE),
        decay_steps=(decay_steps, LENGTH),
        decay_rate=(decay_rate, POSITIVE),
    )
    return Step(lr, steps, rate) if staircase else Exponential(lr, rate, steps)


def InverseTimeDecay(
    initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> Schedule:
    """``initial_learning_rate / (1 + decay_rate t / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float in [0, inf)
        Value at the start.
    decay_steps : int >= 1
        Unit of time, in updates.
    decay_rate : float in [0, inf)
        How much the divisor grows in `decay_steps` updates.
    staircase : bool, default False
        Whether the time is rounded down to whole units.

    Returns
    -------
    Schedule
        Keras's values.

    Examples
    --------
    >>> InverseTimeDecay(1.0, decay_steps=2, decay_rate=1.0)(range(3)).round(3).tolist()
    [1.0, 0.667, 0.5]
    """
    lr, steps, rate = check(
        "InverseTimeDecay",
        initial_learning_rate=(initial_learning_rate, RATE),
        decay_steps=(decay_steps, LENGTH),
        decay_rate=(decay_rate, RATE),
    )
    return InverseTime(lr, rate).every(steps) if staircase else InverseTime(lr, rate, steps)


def PiecewiseConstantDecay(boundaries: Iterable[int], values: Iterable[float]) -> Schedule:
    """``values[number of boundaries < t]``: a boundary still has the value before it.

    Parameters
    ----------
    boundaries : list of int >= 0, increasing
        The last updates with each value: the next value begins one update later than in torch,
        Optax and :class:`lrcore.schedules.PiecewiseConstant`.
    values : list of float in [0, inf), one more than boundaries
        The values.

    Returns
    -------
    Schedule
        Keras's values.

    Examples
    --------
    >>> PiecewiseConstantDecay([3], [1.0, 0.1])(range(6)).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.1, 0.1]
    """
    who = "PiecewiseConstantDecay"
    boundaries, values = check(
        who,
        boundaries=(boundaries, Items(Interval(0, LAST - 1, integer=True), increasing=True)),
        values=(values, VALUES),
    )
    return PiecewiseConstant([b + 1 for b in boundaries], values)


def PolynomialDecay(
    initial_learning_rate: float,
    decay_steps: int,
    end_learning_rate: float = 1e-4,
    power: float = 1.0,
    cycle: bool = False,
) -> Schedule:
    """``(initial - end) (1 - t/decay_steps)^power + end``.

    Parameters
    ----------
    initial_learning_rate : float in [0, inf)
        Value at the start.
    decay_steps : int >= 1
        Updates until the end.
    end_learning_rate : float in [0, inf), default 1e-4
        Value at the end, and after it; not 0 as in torch.
    power : float in (0, inf), default 1.0
        1 is a straight line.
    cycle : bool, default False
        Whether the decay begins anew when it is over, each time over as many updates more: at
        ``k decay_steps`` the value is the end, one later that of a decay over k + 1 times as many.

    Returns
    -------
    Schedule
        Keras's values.

    Examples
    --------
    >>> PolynomialDecay(1.0, decay_steps=4)(range(6)).round(4).tolist()
    [1.0, 0.75, 0.5, 0.2501, 0.0001, 0.0001]
    """
    lr, steps, end, power = check(
        "PolynomialDecay",
        initial_learning_rate=(initial_learning_rate, RATE),
        decay_steps=(decay_steps, LENGTH),
        end_learning_rate=(end_learning_rate, RATE),
        power=(power, POSITIVE),
    )
    return Polynomial(lr, steps, power, end, cycle=bool(cycle))


def CosineDecay(
    initial_learning_rate: float,
    decay_steps: int,
    alpha: float = 0.0,
    warmup_target: float | None = None,
    warmup_steps: int = 0,
) -> Schedule:
    """A linear warm-up of `warmup_steps`, then half a cosine of `decay_steps`.

    Parameters
    ----------
    initial_learning_rate : float in [0, inf)
        Value at the start: of the warm-up where there is a `warmup_target`, else of the cosine.
    decay_steps : int >= 1
        Updates of the cosine. Unlike those of Optax, transformers and lrcore they do not include
        the warm-up: the end is at ``warmup_steps + decay_steps``, and stays.
    alpha : float in [0, inf), default 0.0
        Value at the end, as a share of that at the beginning of the cosine.
    warmup_target : float in [0, inf), default None
        Value at the end of the warm-up. None: there is no warm-up, whatever `warmup_steps` says.
    warmup_steps : int >= 0, default 0
        Updates of warm-up.

    Returns
    -------
    Schedule
        Keras's values.

    Examples
    --------
    >>> CosineDecay(0.0, 2, warmup_target=1.0, warmup_steps=2)(range(6)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    lr, steps, alpha, warmup = check(
        "CosineDecay",
        initial_learning_rate=(initial_learning_rate, RATE),
        decay_steps=(decay_steps, LENGTH),
        alpha=(alpha, RATE),
        warmup_steps=(warmup_steps, COUNT),
    )
    if warmup_target is None:
        return Cosine(lr, steps, lr * alpha)
    (target,) = check("CosineDecay", warmup_target=(warmup_target, RATE))
    return Cosine(target, steps + warmup, target * alpha, warmup=warmup, warmup_start=lr)


def CosineDecayRestarts(
    initial_learning_rate: float,
    first_decay_steps: int,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> Schedule:
    """Half cosines one after another, each `t_mul` times as long and `m_mul` times as high.

    Parameters
    ----------
    initial_learning_rate : float in [0, inf)
        Value at the start.
    first_decay_steps : int >= 1
        Updates of the first cycle.
    t_mul : float in [1, inf), default 2.0
        Length of a cycle in lengths of the one before; in torch the default is 1. A cycle whose
        length is not whole begins between two updates.
    m_mul : float in (0, inf), default 1.0
        Height of a cycle in heights of the one before.
    alpha : float in [0, 1], default 0.0
        What a cycle ends near, as a share of `initial_learning_rate`.

    Returns
    -------
    Schedule
        Keras's values, but for the first update of a cycle where Keras's logarithm, rounded down,
        takes it for the last one of the cycle before; here it is the first.

    Examples
    --------
    >>> CosineDecayRestarts(1.0, 2)(range(7)).round(3).tolist()
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """
    lr, steps, t_mul, m_mul, alpha = check(
        "CosineDecayRestarts",
        initial_learning_rate=(initial_learning_rate, RATE),
        first_decay_steps=(first_decay_steps, LENGTH),
        t_mul=(t_mul, Interval(1, math.inf, closed_high=False)),
        m_mul=(m_mul, POSITIVE),
        alpha=(alpha, FRACTION),
    )
    low = lr * alpha
    waves = CosineRestarts(lr - low, steps, t_mul, m_mul)
    return waves + low if low else waves


def LearningRateScheduler(
    schedule: Callable[..., float], learning_rate: float, *, steps_per_epoch: int = 1
) -> Schedule:
    """A function of the epoch, and of the rate before it.

    Parameters
    ----------
    schedule : callable, (int, float) -> float or int -> float
        Called with the epoch, from 0, and the rate so far; or with the epoch alone where it takes
        one argument.
    learning_rate : float in [0, inf)
        Rate of the optimizer before epoch 0.
    steps_per_epoch : int >= 1, default 1
        Updates of an epoch; with 1, t counts epochs.

    Returns
    -------
    Schedule
        The rates that Keras's callback sets at the beginning of each epoch.

    Examples
    --------
    >>> s = LearningRateScheduler(lambda epoch, lr: lr if epoch < 2 else lr / 2, 1.0)
    >>> s(range(5)).tolist()
    [1.0, 1.0, 0.5, 0.25, 0.125]
    """
    who = "LearningRateScheduler"
    (lr, per_epoch) = check(
        who, learning_rate=(learning_rate, RATE), steps_per_epoch=(steps_per_epoch, LENGTH)
    )
    check(who, schedule=(schedule, FUNCTION))
    try:
        signature(schedule).bind(0, lr)
    except TypeError:
        return Lambda(schedule).every(per_epoch)
    return from_epochs(schedule, lr, per_epoch)


def ReduceLROnPlateau(
    learning_rate: float,
    factor: float = 0.1,
    patience: int = 10,
    mode: str = "auto",
    min_delta: float = 1e-4,
    cooldown: int = 0,
    min_lr: float = 0.0,
) -> Plateau:
    """The rate, multiplied by `factor` when a metric has not got better `patience` times in a row.

    Parameters
    ----------
    learning_rate : float in [0, inf)
        Rate of the optimizer.
    factor : float in (0, 1), default 0.1
        What a reduction multiplies by.
    patience : int >= 0, default 10
        At the last of so many metrics in a row that are no better the rate falls: one earlier than
        in torch. 0 is as 1.
    mode : {"auto", "min", "max"}, default "auto"
        Whether a lower metric is better, or a higher one. Keras finds "auto" by the name of the
        metric; here it is "min".
    min_delta : float, default 1e-4
        By how much a metric must be better to count: a difference, where torch has a share. The
        sign is of no effect.
    cooldown : int >= 0, default 0
        The last of so many metrics after a reduction is counted again, so that it is one fewer than
        in torch.
    min_lr : float in [0, inf), default 0.0
        Lowest rate.

    Returns
    -------
    Plateau
        With Keras's rate after each ``update(metric)``. A first metric of NaN, which Keras takes
        for the best for ever, is forgotten here.

    Examples
    --------
    >>> s = ReduceLROnPlateau(1.0, patience=2)
    >>> [s.update(1.0) for _ in range(7)]
    [False, False, True, False, True, False, True]
    """
    who = "ReduceLROnPlateau"
    lr, factor, patience, delta, cooldown, low = check(
        who,
        learning_rate=(learning_rate, RATE),
        factor=(factor, INSIDE),
        patience=(patience, COUNT),
        min_delta=(min_delta, NUMBER),
        cooldown=(cooldown, COUNT),
        min_lr=(min_lr, RATE),
    )
    direction = "max" if one_of(who, "mode", mode, ("auto", "min", "max")) == "max" else "min"
    return Plateau(
        lr,
        factor,
        max(patience - 1, 0),
        abs(delta),
        "abs",
        max(cooldown - 1, 0),
        min(low, lr),
        direction,
    )
