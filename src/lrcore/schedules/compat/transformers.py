"""Transformers' schedules: ``transformers.optimization``.

Transformers' functions and arguments, with the rate of the optimizer first as `lr`. The value at t
is the rate that the optimizer has after t calls of ``scheduler.step()``. There is no `last_epoch`:
a schedule is a function of t. All the warm-ups begin at 0, so the first update does nothing, and
`num_training_steps` includes them.

Examples
--------
>>> from lrcore.schedules.compat import transformers
>>> s = transformers.get_cosine_schedule_with_warmup(1.0, 2, 10)
>>> s([0, 1, 2, 3, 10, 11]).round(3).tolist()
[0.0, 0.5, 1.0, 0.962, 0.0, 0.038]
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from ..._domain import Interval
from ..._schedule import COUNT, LAST, LENGTH, POSITIVE, RATE, Schedule
from .. import (
    Constant,
    CosineAnneal,
    InverseSqrt,
    Linear,
    LinearAnneal,
    Plateau,
    Polynomial,
    Wave,
    join,
)
from ._common import COUNT_OF_CYCLES, FRACTION, Piece, check, one_of, warmed
from .torch import ReduceLROnPlateau

__all__ = [
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_reduce_on_plateau_schedule",
    "get_wsd_schedule",
]


def get_constant_schedule(lr: float) -> Schedule:
    """`lr` at every update.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> get_constant_schedule(0.1)(5)
    0.1
    """
    check("get_constant_schedule", lr=(lr, RATE))
    return Constant(lr)


def get_constant_schedule_with_warmup(lr: float, num_warmup_steps: int) -> Schedule:
    """A linear warm-up from 0, then `lr`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    num_warmup_steps : int >= 0
        Updates of warm-up.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> get_constant_schedule_with_warmup(1.0, 4)(range(6)).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """
    lr, warmup = check(
        "get_constant_schedule_with_warmup",
        lr=(lr, RATE),
        num_warmup_steps=(num_warmup_steps, COUNT),
    )
    return Constant(lr, warmup=warmup)


def _checked(who: str, lr: float, num_warmup_steps: int, num_training_steps: int) -> list[float]:
    lr, warmup = check(who, lr=(lr, RATE), num_warmup_steps=(num_warmup_steps, COUNT))
    longer = Interval(warmup + 1, LAST, integer=True)
    return [lr, warmup, *check(who, num_training_steps=(num_training_steps, longer))]


def get_linear_schedule_with_warmup(
    lr: float, num_warmup_steps: int, num_training_steps: int
) -> Schedule:
    """A linear warm-up from 0, then a straight line to 0.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    num_warmup_steps : int >= 0
        Updates of warm-up.
    num_training_steps : int > num_warmup_steps
        Updates of it all.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> get_linear_schedule_with_warmup(1.0, 2, 4)(range(6)).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    who = "get_linear_schedule_with_warmup"
    lr, warmup, steps = _checked(who, lr, num_warmup_steps, num_training_steps)
    return Linear(lr, int(steps), warmup=int(warmup))


def get_cosine_schedule_with_warmup(
    lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5
) -> Schedule:
    """A linear warm-up from 0, then `num_cycles` waves, which go on past the end.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    num_warmup_steps : int >= 0
        Updates of warm-up.
    num_training_steps : int > num_warmup_steps
        Updates of it all. The rate is 0 there with half a wave, and rises again after it.
    num_cycles : float in (0, inf), default 0.5
        Waves in what follows the warm-up.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> get_cosine_schedule_with_warmup(1.0, 2, 4)(range(6)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """
    who = "get_cosine_schedule_with_warmup"
    lr, warmup, steps = _checked(who, lr, num_warmup_steps, num_training_steps)
    (waves,) = check(who, num_cycles=(num_cycles, POSITIVE))
    return Wave(lr, 0.0, (steps - warmup) / waves, warmup=int(warmup))


def get_cosine_with_hard_restarts_schedule_with_warmup(
    lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1
) -> Schedule:
    """A linear warm-up from 0, then `num_cycles` half waves from `lr` to 0, then 0.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    num_warmup_steps : int >= 0
        Updates of warm-up.
    num_training_steps : int > num_warmup_steps
        Updates of it all.
    num_cycles : int in [1, 10000], default 1
        Half waves in what follows the warm-up. They need not begin at an update.

    Returns
    -------
    Schedule
        Transformers' values, but for the first of a cycle where rounding makes transformers take
        it for the last of the one before.

    Examples
    --------
    >>> s = get_cosine_with_hard_restarts_schedule_with_warmup(1.0, 2, 6, num_cycles=2)
    >>> s(range(8)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    who = "get_cosine_with_hard_restarts_schedule_with_warmup"
    lr, warmup, steps = _checked(who, lr, num_warmup_steps, num_training_steps)
    (count,) = check(who, num_cycles=(num_cycles, COUNT_OF_CYCLES))
    length = int(steps - warmup)
    parts: list[Schedule] = []
    starts: list[int] = []
    for i in range(count):
        first = -(-i * length // count)  # rounded up
        if first < -(-(i + 1) * length // count):
            parts.append(CosineAnneal(lr, 0.0, length / count, i * length / count - first))
            starts.append(first)
    return warmed(join([*parts, Constant(0.0)], [*starts[1:], length]), lr, int(warmup))


def get_polynomial_decay_schedule_with_warmup(
    lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
) -> Schedule:
    """A linear warm-up from 0, then ``(lr - lr_end) left^power + lr_end``.

    Parameters
    ----------
    lr : float in (lr_end, inf)
        Rate of the optimizer.
    num_warmup_steps : int >= 0
        Updates of warm-up.
    num_training_steps : int > num_warmup_steps
        Updates of it all.
    lr_end : float in [0, inf), default 1e-7
        Value at the end, which stays; not 0 as in torch.
    power : float in (0, inf), default 1.0
        1 is a straight line.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> get_polynomial_decay_schedule_with_warmup(1.0, 2, 4)(range(6)).round(8).tolist()
    [0.0, 0.5, 1.0, 0.50000005, 1e-07, 1e-07]
    """
    who = "get_polynomial_decay_schedule_with_warmup"
    end, power = check(who, lr_end=(lr_end, RATE), power=(power, POSITIVE))
    above = Interval(end, math.inf, closed_low=False, closed_high=False)
    check(who, lr=(lr, above))
    lr, warmup, steps = _checked(who, lr, num_warmup_steps, num_training_steps)
    return Polynomial(lr, int(steps), power, end, warmup=int(warmup))


def get_inverse_sqrt_schedule(
    lr: float, num_warmup_steps: int, timescale: int | None = None
) -> Schedule:
    """A linear warm-up from 0, then ``lr sqrt(timescale / (n + timescale))``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    num_warmup_steps : int >= 0
        Updates of warm-up, from the end of which n counts.
    timescale : int >= 1, default None
        None: `num_warmup_steps`, or 10000 if that is 0.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> get_inverse_sqrt_schedule(1.0, 2)([0, 1, 2, 8]).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    who = "get_inverse_sqrt_schedule"
    lr, warmup = check(who, lr=(lr, RATE), num_warmup_steps=(num_warmup_steps, COUNT))
    (scale,) = check(who, timescale=(timescale or warmup or 10_000, LENGTH))
    return warmed(InverseSqrt(lr, scale).shift(scale), lr, warmup)


def _min_rate(who: str, lr: float, min_lr: float | None, min_lr_rate: float | None) -> float:
    """Return the lowest value, however it was given."""
    if (min_lr is None) == (min_lr_rate is None):
        raise ValueError(
            f"{who}: min_lr or min_lr_rate must be given, and not both, "
            f"got {min_lr!r} and {min_lr_rate!r}"
        )
    if min_lr is not None:
        return float(check(who, min_lr=(min_lr, RATE))[0])
    return float(lr * check(who, min_lr_rate=(min_lr_rate, RATE))[0])


def get_cosine_with_min_lr_schedule_with_warmup(
    lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> Schedule:
    """A linear warm-up from 0, then waves between `lr` and the lowest rate, past the end too.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    num_warmup_steps : int >= 0
        Updates of warm-up.
    num_training_steps : int > num_warmup_steps
        Updates of it all. After it the rate rises again.
    num_cycles : float in (0, inf), default 0.5
        Waves in what follows the warm-up.
    min_lr : float in [0, inf), default None
        Lowest rate.
    min_lr_rate : float in [0, inf), default None
        Lowest rate as a share of `lr`, where there is no `min_lr`.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> s = get_cosine_with_min_lr_schedule_with_warmup(1.0, 2, 4, min_lr=0.1)
    >>> s(range(6)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.55, 0.1, 0.55]
    """
    who = "get_cosine_with_min_lr_schedule_with_warmup"
    lr, warmup, steps = _checked(who, lr, num_warmup_steps, num_training_steps)
    (waves,) = check(who, num_cycles=(num_cycles, POSITIVE))
    low = _min_rate(who, lr, min_lr, min_lr_rate)
    return Wave(lr, low, (steps - warmup) / waves, warmup=int(warmup))


def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> Schedule:
    """As without ``_lr_rate``, but one update ahead: the warm-up does not begin at 0.

    Parameters
    ----------
    lr, num_warmup_steps, num_training_steps, num_cycles, min_lr, min_lr_rate
        As in `get_cosine_with_min_lr_schedule_with_warmup`.
    warmup_lr_rate : float in [0, inf), default None
        Value of update 0 as a share of `lr`; None: 1 / num_warmup_steps.

    Returns
    -------
    Schedule
        Transformers' values: `lr` at update ``num_warmup_steps - 1``, and the lowest rate at
        ``num_training_steps - 1``, which the last update uses.

    Examples
    --------
    >>> s = get_cosine_with_min_lr_schedule_with_warmup_lr_rate(1.0, 2, 4, min_lr=0.1)
    >>> s(range(6)).round(3).tolist()
    [0.5, 1.0, 0.55, 0.1, 0.55, 1.0]
    """
    who = "get_cosine_with_min_lr_schedule_with_warmup_lr_rate"
    lr, warmup, steps = _checked(who, lr, num_warmup_steps, num_training_steps)
    (waves,) = check(who, num_cycles=(num_cycles, POSITIVE))
    low = _min_rate(who, lr, min_lr, min_lr_rate)
    main = Wave(lr, low, (steps - warmup) / waves, begin=-1.0)
    if warmup == 0:
        return main
    start = lr / warmup
    if warmup_lr_rate is not None:
        start = lr * check(who, warmup_lr_rate=(warmup_lr_rate, RATE))[0]
    rise = LinearAnneal(start, lr, warmup - 1) if warmup > 1 else Constant(start)
    return join([rise, main], [int(warmup)])


def _one_less_sqrt_left(start: float, end: float, length: float, begin: float) -> Schedule:
    return LinearAnneal(start, end, length, begin, power=0.5)


def _one_less_sqrt(start: float, end: float, length: float, begin: float) -> Schedule:
    return LinearAnneal(start, end, length, begin, k_decay=0.5)


WARMUPS: dict[str, Piece] = {
    "linear": LinearAnneal,
    "cosine": CosineAnneal,
    "1-sqrt": _one_less_sqrt_left,
}
DECAYS: dict[str, Piece] = {
    "linear": LinearAnneal,
    "cosine": CosineAnneal,
    "1-sqrt": _one_less_sqrt,
}


def get_wsd_schedule(
    lr: float,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
) -> Schedule:
    """Warm-up, stable, decay: up to `lr`, along it, and down again.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    num_warmup_steps, num_decay_steps : int >= 0
        Updates of the first and the last phase.
    num_training_steps : int, default None
        Updates of it all, from which the stable ones follow.
    num_stable_steps : int >= 0, default None
        Updates of the phase between; goes before `num_training_steps`.
    warmup_type, decay_type : {"linear", "cosine", "1-sqrt"}, default "linear" and "cosine"
        Shapes.
    min_lr_ratio : float in [0, 1], default 0.0
        First value of the warm-up and last of the decay, which stays, as a share of `lr`.
    num_cycles : float in (0, inf), default 0.5
        Waves in a cosine decay.

    Returns
    -------
    Schedule
        Transformers' values.

    Examples
    --------
    >>> s = get_wsd_schedule(1.0, 2, 2, num_training_steps=6)
    >>> s(range(7)).round(3).tolist()
    [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    who = "get_wsd_schedule"
    lr, warmup, decay, ratio, waves = check(
        who,
        lr=(lr, RATE),
        num_warmup_steps=(num_warmup_steps, COUNT),
        num_decay_steps=(num_decay_steps, COUNT),
        min_lr_ratio=(min_lr_ratio, FRACTION),
        num_cycles=(num_cycles, POSITIVE),
    )
    if num_stable_steps is not None:
        (stable,) = check(who, num_stable_steps=(num_stable_steps, COUNT))
    else:
        least = Interval(warmup + decay, LAST, integer=True)
        (total,) = check(who, num_training_steps=(num_training_steps, least))
        stable = total - warmup - decay
    rise = WARMUPS[one_of(who, "warmup_type", warmup_type, WARMUPS)]
    fall = DECAYS[one_of(who, "decay_type", decay_type, DECAYS)]
    low = lr * ratio
    phases: list[tuple[int, Schedule]] = []
    if warmup:
        phases.append((warmup, rise(low, lr, warmup, 0.0)))
    if stable:
        phases.append((stable, Constant(lr)))
    if decay:
        wavy = decay_type == "cosine" and waves != 0.5
        down = Wave(lr, low, decay / waves) if wavy else fall(lr, low, decay, 0.0)
        phases.append((decay, down))
    ends = list(accumulate(length for length, _ in phases))
    return join([*(part for _, part in phases), Constant(low)], ends)


def get_reduce_on_plateau_schedule(lr: float, **kwargs: Any) -> Plateau:
    """Torch's ReduceLROnPlateau: see :func:`lrcore.schedules.compat.torch.ReduceLROnPlateau`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    **kwargs
        Torch's arguments.

    Returns
    -------
    Plateau
        Transformers' values.

    Examples
    --------
    >>> s = get_reduce_on_plateau_schedule(1.0, patience=0)
    >>> s.update(1.0), s.update(1.0)
    (False, True)
    """
    return ReduceLROnPlateau(lr, **kwargs)
