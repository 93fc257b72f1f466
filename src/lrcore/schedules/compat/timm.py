"""timm's schedulers: ``timm.scheduler``.

timm's arguments under timm's names, with the rate of the optimizer first as `lr`. The value at t
is the rate that timm's optimizer has after ``step(t)`` or ``step_update(t)``, whichever timm is
told to use: t counts epochs or updates, and ``s.every(n)`` makes of the one the other. At t = 0 no
step has been made.

`t_in_epochs`, `initialize`, and all of `noise_pct`, `noise_std`, `noise_seed` and `noise_type`
change no value and are taken for the sake of calls written for timm. A `noise_range_t` is refused:
timm draws its noise from torch's generator.

Examples
--------
>>> from lrcore.schedules.compat import timm
>>> timm.CosineLRScheduler(1.0, t_initial=10, warmup_t=4)(range(5)).round(4).tolist()
[0.0, 0.25, 0.5, 0.75, 0.6545]
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

from ..._domain import Interval, Items
from ..._schedule import COUNT, LENGTH, NUMBER, POSITIVE, RATE, Schedule
from .. import (
    Constant,
    CosineAnneal,
    LinearAnneal,
    MultiStep,
    Plateau,
    Step,
    TanhAnneal,
    join,
)
from ._common import COUNT_OF_CYCLES, INSIDE, Piece, check, cycles, one_of, warmed
from .torch import ReduceLROnPlateau

__all__ = [
    "CosineLRScheduler",
    "MultiStepLRScheduler",
    "PlateauLRScheduler",
    "PolyLRScheduler",
    "StepLRScheduler",
    "TanhLRScheduler",
]
WITHOUT_EFFECT = {
    "initialize",
    "noise_pct",
    "noise_range_t",
    "noise_seed",
    "noise_std",
    "noise_type",
    "t_in_epochs",
}


def CosineLRScheduler(
    lr: float,
    t_initial: int,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    k_decay: float = 1.0,
    **others: object,
) -> Schedule:
    """Half cosines ``lr_min + (lr - lr_min) (1 + cos(pi x^k)) / 2``, then `lr_min`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    t_initial : int >= 1
        Length of the first cycle.
    lr_min : float in [0, inf), default 0.0
        Value at the end of a cycle, and after the last one.
    cycle_mul : float in (0, inf), default 1.0
        Length of a cycle in lengths of the one before.
    cycle_decay : float in [0, inf), default 1.0
        Peak of a cycle in peaks of the one before.
    cycle_limit : int in [1, 10000], default 1
        Number of cycles.
    warmup_t : int >= 0, default 0
        Length of the linear warm-up, which rises towards `lr`.
    warmup_lr_init : float in [0, inf), default 0.0
        Value of the warm-up at 0.
    warmup_prefix : bool, default False
        Whether the cycles begin when the warm-up is over. By default they run under it: what
        follows the warm-up is the value of a cosine that began at 0, and the peak is jumped.
    k_decay : float in (0, inf), default 1.0
        Power k of what has passed.
    **others
        What has no effect; see the module. A `noise_range_t` must be None.

    Returns
    -------
    Schedule
        timm's values, but for the first of a cycle where timm's logarithm, rounded down, takes it
        for the last of the one before.

    Examples
    --------
    >>> CosineLRScheduler(1.0, 2, warmup_t=2, warmup_prefix=True)(range(6)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    who = "CosineLRScheduler"
    _ignore(who, others)
    (k_decay,) = check(who, k_decay=(k_decay, POSITIVE))
    return _cycling(
        who,
        partial(_bent, CosineAnneal, 1.0, k_decay),
        lr,
        t_initial,
        (lr_min, cycle_mul, cycle_decay, cycle_limit),
        (warmup_t, warmup_lr_init, warmup_prefix),
    )


def PolyLRScheduler(
    lr: float,
    t_initial: int,
    power: float = 0.5,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    k_decay: float = 1.0,
    **others: object,
) -> Schedule:
    """Powers ``lr_min + (lr - lr_min) (1 - x^k)^power``, then `lr_min`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    t_initial : int >= 1
        Length of the first cycle.
    power : float in (0, inf), default 0.5
        In torch and Keras the default is 1.
    lr_min, cycle_mul, cycle_decay, cycle_limit, warmup_t, warmup_lr_init, warmup_prefix, k_decay
        As in `CosineLRScheduler`.
    **others
        What has no effect; see the module. A `noise_range_t` must be None.

    Returns
    -------
    Schedule
        timm's values, as in `CosineLRScheduler`.

    Examples
    --------
    >>> PolyLRScheduler(1.0, 4)(range(6)).round(3).tolist()
    [1.0, 0.866, 0.707, 0.5, 0.0, 0.0]
    """
    who = "PolyLRScheduler"
    _ignore(who, others)
    power, k_decay = check(who, power=(power, POSITIVE), k_decay=(k_decay, POSITIVE))
    return _cycling(
        who,
        partial(_bent, LinearAnneal, power, k_decay),
        lr,
        t_initial,
        (lr_min, cycle_mul, cycle_decay, cycle_limit),
        (warmup_t, warmup_lr_init, warmup_prefix),
    )


def TanhLRScheduler(
    lr: float,
    t_initial: int,
    lb: float = -7.0,
    ub: float = 3.0,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    **others: object,
) -> Schedule:
    """Pieces of tanh: ``lr_min + (lr - lr_min) (1 - tanh(lb (1 - x) + ub x)) / 2``, then `lr_min`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    t_initial : int >= 1
        Length of the first cycle.
    lb : float, default -7.0
        Argument of tanh at the beginning of a cycle.
    ub : float > lb, default 3.0
        Argument of tanh at the end of a cycle.
    lr_min, cycle_mul, cycle_decay, cycle_limit, warmup_t, warmup_lr_init, warmup_prefix
        As in `CosineLRScheduler`; but without `warmup_prefix` this warm-up rises towards the value
        that follows it.
    **others
        What has no effect; see the module. A `noise_range_t` must be None.

    Returns
    -------
    Schedule
        timm's values, as in `CosineLRScheduler`. Without a warm-up the value at 0 is `lr`, since no
        step has been made, and not the formula's, which is a little less.

    Examples
    --------
    >>> TanhLRScheduler(1.0, 4)(range(6)).round(3).tolist()
    [1.0, 1.0, 0.982, 0.269, 0.0, 0.0]
    """
    who = "TanhLRScheduler"
    _ignore(who, others)
    (lb,) = check(who, lb=(lb, NUMBER))
    (ub,) = check(who, ub=(ub, Interval(lb, math.inf, closed_low=False, closed_high=False)))
    return _cycling(
        who,
        partial(_tanh, lb, ub),
        lr,
        t_initial,
        (lr_min, cycle_mul, cycle_decay, cycle_limit),
        (warmup_t, warmup_lr_init, warmup_prefix),
        to_what_follows=True,
    )


def _bent(
    kind: type[CosineAnneal | LinearAnneal],
    power: float,
    k: float,
    start: float,
    end: float,
    length: float,
    begin: float,
) -> Schedule:
    return kind(start, end, length, begin, power, k)


def _tanh(lb: float, ub: float, start: float, end: float, length: float, begin: float) -> Schedule:
    return TanhAnneal(start, end, length, begin, lb, ub)


def _ignore(who: str, others: dict[str, object]) -> None:
    """Refuse noise, and what timm does not know either."""
    for name, value in others.items():
        if name not in WITHOUT_EFFECT:
            raise TypeError(f"{who}: there is no argument {name!r}")
        if name == "noise_range_t" and value is not None:
            raise ValueError(
                f"{who}: noise_range_t must be None, since timm's noise is drawn from torch's "
                f"generator, got {value!r}"
            )


def _cycling(
    who: str,
    piece: Piece,
    lr: float,
    t_initial: int,
    cycle: tuple[float, float, float, int],
    warm: tuple[int, float, bool],
    to_what_follows: bool = False,
) -> Schedule:
    """Cycles under, or after, a warm-up that rises to `lr`, or to the value after it."""
    lr, length, low, mult, decay, limit, warmup, start = check(
        who,
        lr=(lr, RATE),
        t_initial=(t_initial, LENGTH),
        lr_min=(cycle[0], RATE),
        cycle_mul=(cycle[1], POSITIVE),
        cycle_decay=(cycle[2], RATE),
        cycle_limit=(cycle[3], COUNT_OF_CYCLES),
        warmup_t=(warm[0], COUNT),
        warmup_lr_init=(warm[1], RATE),
    )
    prefix = bool(warm[2])
    options = {"mult": mult, "decay": decay, "limit": limit}
    main = cycles(piece, lr, low, length, offset=0 if prefix else warmup, **options)
    if warmup == 0:
        return main if main(0) == lr else join([Constant(lr), main.shift(1)], [1])
    target = main(0) if to_what_follows and not prefix else lr
    return warmed(main, target, warmup, start)


def StepLRScheduler(
    lr: float,
    decay_t: int,
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    **others: object,
) -> Schedule:
    """``lr decay_rate^floor(t / decay_t)``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    decay_t : int >= 1
        Steps between two drops.
    decay_rate : float in (0, inf), default 1.0
        What a drop multiplies by.
    warmup_t : int >= 0, default 0
        Length of the linear warm-up, which rises towards `lr`.
    warmup_lr_init : float in [0, inf), default 0.0
        Value of the warm-up at 0.
    warmup_prefix : bool, default True
        Whether t counts from the end of the warm-up.
    **others
        What has no effect; see the module. A `noise_range_t` must be None.

    Returns
    -------
    Schedule
        timm's values.

    Examples
    --------
    >>> StepLRScheduler(1.0, 2, 0.5, warmup_t=2)(range(6)).tolist()
    [0.0, 0.5, 1.0, 1.0, 0.5, 0.5]
    """
    who = "StepLRScheduler"
    _ignore(who, others)
    lr, decay_t, rate, warmup, start = check(
        who,
        lr=(lr, RATE),
        decay_t=(decay_t, LENGTH),
        decay_rate=(decay_rate, POSITIVE),
        warmup_t=(warmup_t, COUNT),
        warmup_lr_init=(warmup_lr_init, RATE),
    )
    main = Step(lr, decay_t, rate)
    return warmed(main if warmup_prefix else main.shift(warmup), lr, warmup, start)


def MultiStepLRScheduler(
    lr: float,
    decay_t: Iterable[int],
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    **others: object,
) -> Schedule:
    """``lr decay_rate^(number of milestones <= t + 1)``: each comes one step early.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    decay_t : list of int >= 0, increasing
        The milestones. The rate falls at ``milestone - 1``, where torch's falls at ``milestone``;
        but not at 0, where no step has been made.
    decay_rate : float in (0, inf), default 1.0
        What a milestone multiplies by.
    warmup_t : int >= 0, default 0
        Length of the linear warm-up, which rises towards `lr`.
    warmup_lr_init : float in [0, inf), default 0.0
        Value of the warm-up at 0.
    warmup_prefix : bool, default True
        Whether t counts from the end of the warm-up.
    **others
        What has no effect; see the module. A `noise_range_t` must be None.

    Returns
    -------
    Schedule
        timm's values.

    Examples
    --------
    >>> MultiStepLRScheduler(1.0, [3], 0.1)(range(6)).tolist()
    [1.0, 1.0, 0.1, 0.1, 0.1, 0.1]
    """
    who = "MultiStepLRScheduler"
    _ignore(who, others)
    lr, milestones, rate, warmup, start = check(
        who,
        lr=(lr, RATE),
        decay_t=(decay_t, Items(COUNT, increasing=True)),
        decay_rate=(decay_rate, POSITIVE),
        warmup_t=(warmup_t, COUNT),
        warmup_lr_init=(warmup_lr_init, RATE),
    )
    main = MultiStep(lr, milestones, rate).shift(1 if warmup_prefix else warmup + 1)
    if warmup == 0:
        return join([Constant(lr), main.shift(1)], [1])
    return warmed(main, lr, warmup, start)


def PlateauLRScheduler(
    lr: float,
    decay_rate: float = 0.1,
    patience_t: int = 10,
    threshold: float = 1e-4,
    cooldown_t: int = 0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    lr_min: float = 0.0,
    mode: str = "max",
    **others: object,
) -> Plateau:
    """A warm-up, and torch's ReduceLROnPlateau after it.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    decay_rate : float in (0, 1), default 0.1
        What a reduction multiplies by.
    patience_t : int >= 0, default 10
        How many metrics in a row may be no better; at the next one the rate falls.
    threshold : float in [0, inf), default 1e-4
        By how much a metric must be better to count, as a share of the best.
    cooldown_t : int >= 0, default 0
        Metrics after a reduction that are not counted as bad.
    warmup_t : int >= 0, default 0
        Length of the linear warm-up. timm takes no notice of the metrics of steps up to it:
        do not ``update`` with them.
    warmup_lr_init : float in [0, inf), default 0.0
        Value of the warm-up at 0.
    lr_min : float in [0, inf), default 0.0
        Lowest rate after the warm-up.
    mode : {"min", "max"}, default "max"
        Whether a lower metric is better, or, unlike elsewhere, a higher one.
    **others
        What has no effect; see the module. A `noise_range_t` must be None.

    Returns
    -------
    Plateau
        Its value at t, after the metrics of steps `warmup_t` + 1 to t, is timm's rate after step t.

    Examples
    --------
    >>> s = PlateauLRScheduler(1.0, patience_t=0, warmup_t=2)
    >>> s(1), s.update(0.5), s(3), s.update(0.5), s(4)
    (0.5, False, 1.0, True, 0.1)
    """
    who = "PlateauLRScheduler"
    _ignore(who, others)
    lr, rate, patience, threshold, cooldown, warmup, start, low = check(
        who,
        lr=(lr, RATE),
        decay_rate=(decay_rate, INSIDE),
        patience_t=(patience_t, COUNT),
        threshold=(threshold, RATE),
        cooldown_t=(cooldown_t, COUNT),
        warmup_t=(warmup_t, COUNT),
        warmup_lr_init=(warmup_lr_init, RATE),
        lr_min=(lr_min, RATE),
    )
    one_of(who, "mode", mode, ("min", "max"))
    after = ReduceLROnPlateau(lr, mode, rate, patience, threshold, cooldown=cooldown, min_lr=low)
    if not warmup:
        return after
    return Plateau(
        lr,
        rate,
        patience,
        threshold,
        cooldown=cooldown,
        min_lr=after.min_lr,
        mode=mode,
        warmup=warmup,
        warmup_start=start,
    )
