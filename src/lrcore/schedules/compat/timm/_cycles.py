"""timm's schedulers that may come in cycles."""

from __future__ import annotations

import math
from functools import partial

from lrcore._domain import Interval
from lrcore._schedule import COUNT, LENGTH, NUMBER, POSITIVE, RATE, Schedule
from lrcore.schedules import CosineAnneal, LinearAnneal, TanhAnneal
from lrcore.schedules.compat._common import COUNT_OF_CYCLES, Piece, check, cycles
from lrcore.schedules.compat.timm._shared import begun, ignore


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
    ignore(who, others)
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
    ignore(who, others)
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
    ignore(who, others)
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
    target = main(0) if to_what_follows and not prefix else lr
    return begun(main, lr, warmup, start, target)
