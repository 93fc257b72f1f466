"""timm's schedulers that fall by steps, planned or when a metric says so."""

from __future__ import annotations

from collections.abc import Iterable

from lrcore._domain import Items
from lrcore._schedule import COUNT, LENGTH, POSITIVE, RATE, Schedule
from lrcore.schedules import MultiStep, Plateau, Step
from lrcore.schedules.compat._common import INSIDE, check, one_of
from lrcore.schedules.compat.timm._shared import begun, ignore
from lrcore.schedules.compat.torch import ReduceLROnPlateau


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
    ignore(who, others)
    lr, decay_t, rate, warmup, start = check(
        who,
        lr=(lr, RATE),
        decay_t=(decay_t, LENGTH),
        decay_rate=(decay_rate, POSITIVE),
        warmup_t=(warmup_t, COUNT),
        warmup_lr_init=(warmup_lr_init, RATE),
    )
    main = Step(lr, decay_t, rate)
    return begun(main if warmup_prefix else main.shift(warmup), lr, warmup, start, lr)


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
    ignore(who, others)
    lr, milestones, rate, warmup, start = check(
        who,
        lr=(lr, RATE),
        decay_t=(decay_t, Items(COUNT, increasing=True)),
        decay_rate=(decay_rate, POSITIVE),
        warmup_t=(warmup_t, COUNT),
        warmup_lr_init=(warmup_lr_init, RATE),
    )
    main = MultiStep(lr, milestones, rate).shift(1 if warmup_prefix else warmup + 1)
    return begun(main, lr, warmup, start, lr)


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
    ignore(who, others)
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
