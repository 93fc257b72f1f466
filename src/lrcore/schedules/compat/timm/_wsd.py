"""timm's plan of a whole run: up, along, down."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lrcore._domain import Interval
from lrcore._schedule import COUNT, FUNCTION, LENGTH, POSITIVE, RATE, Schedule
from lrcore.reference.math import pow
from lrcore.schedules import (
    Constant,
    CosineAnneal,
    ExponentialAnneal,
    Lambda,
    LinearAnneal,
    Power,
    join,
    maximum,
)
from lrcore.schedules.compat._common import INSIDE, check, one_of
from lrcore.schedules.compat.timm._shared import begun, ignore

STABLE = ("constant", "rsqrt", "power")
DECAY = ("linear", "1-sqrt", "cosine", "power", "exp")


def WSDLRScheduler(
    lr: float,
    t_initial: int,
    decay_t: int,
    lr_min: float = 0.0,
    stable_fn: str = "constant",
    stable_timescale: int | None = None,
    stable_power: float = 0.5,
    decay_fn: str | Callable[[float], float] = "1-sqrt",
    decay_power: float = 0.5,
    decay_ratio: float = 0.1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    **others: object,
) -> Schedule:
    """Warm-up, stable, decay: ``lr_min + (lr stable(n) - lr_min) decay(x)``, then `lr_min`.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    t_initial : int >= 1
        Length of the stable phase and the decay together. The warm-up comes before them.
    decay_t : int in [1, t_initial]
        Length of the decay.
    lr_min : float in [0, inf), default 0.0
        Value at the end, and the lowest of the stable phase.
    stable_fn : {"constant", "rsqrt", "power"}, default "constant"
        1, or ``(1 + n / stable_timescale)^-p`` with p = 0.5 or `stable_power`, which goes on under
        the decay.
    stable_timescale : int >= 1, default None
        None: `warmup_t`.
    stable_power : float in (0, inf), default 0.5
        For "power".
    decay_fn : {"linear", "1-sqrt", "cosine", "power", "exp"} or callable, default "1-sqrt"
        1 - x, 1 - sqrt(x), half a cosine, 1 - x^decay_power, or decay_ratio^x scaled to end at 0;
        or a function of the share x of the decay that is over.
    decay_power : float in (0, inf), default 0.5
        For "power".
    decay_ratio : float in (0, 1), default 0.1
        For "exp".
    warmup_t : int >= 0, default 0
        Length of the linear warm-up.
    warmup_lr_init : float in [0, inf), default 0.0
        Value of the warm-up at 0.
    **others
        What has no effect; see the module. A `noise_range_t` must be None.

    Returns
    -------
    Schedule
        timm's values.

    Examples
    --------
    >>> WSDLRScheduler(1.0, 4, decay_t=2, decay_fn="linear", warmup_t=2)(range(8)).tolist()
    [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    who = "WSDLRScheduler"
    ignore(who, others)
    lr, t_initial, low, decay_power, ratio, warmup, start = check(
        who,
        lr=(lr, RATE),
        t_initial=(t_initial, LENGTH),
        lr_min=(lr_min, RATE),
        decay_power=(decay_power, POSITIVE),
        decay_ratio=(decay_ratio, INSIDE),
        warmup_t=(warmup_t, COUNT),
        warmup_lr_init=(warmup_lr_init, RATE),
    )
    (length,) = check(who, decay_t=(decay_t, Interval(1, t_initial, integer=True)))
    one_of(who, "stable_fn", stable_fn, STABLE)
    scale = warmup if stable_timescale is None else stable_timescale
    (power,) = check(who, stable_power=(stable_power, POSITIVE))
    stable: Schedule = Constant(lr)
    if stable_fn != "constant":
        (scale,) = check(who, stable_timescale=(scale, LENGTH))
        power = 0.5 if stable_fn == "rsqrt" else power
        stable = Power(lr, lr * pow(float(scale), power), power).shift(scale)
    stable = maximum(stable, low)
    down = stable.shift(t_initial - length)
    if callable(decay_fn):
        check(who, decay_fn=(decay_fn, FUNCTION))
        fall: Schedule = Lambda(partial(_fallen, down, low, decay_fn, length))
    elif one_of(who, "decay_fn", decay_fn, DECAY) == "exp":
        rest = ExponentialAnneal(1.0, ratio, length) * (1 / (1 - ratio))
        fall = down * rest + down * (-ratio / (1 - ratio)) + low / (1 - ratio) + rest * -low
    else:
        power = {"linear": 1.0, "1-sqrt": 0.5, "cosine": 1.0, "power": decay_power}[decay_fn]
        kind = CosineAnneal if decay_fn == "cosine" else LinearAnneal
        fall = down * kind(1.0, 0.0, length, k_decay=power)
        if low:
            fall = fall + kind(0.0, low, length, k_decay=power)
    end = _fallen(down, low, decay_fn, length, length) if callable(decay_fn) else low
    parts, boundaries = [stable, fall, Constant(end)], [t_initial - length, t_initial]
    return begun(join(parts, boundaries), lr, warmup, start, lr)


def _fallen(
    stable: Schedule, low: float, decay: Callable[[float], float], length: int, t: int
) -> float:
    """Value of update t of a decay that is a function of the share that is over."""
    top = stable(t)
    return top if t == 0 else low + (top - low) * decay(min(t / length, 1.0))
