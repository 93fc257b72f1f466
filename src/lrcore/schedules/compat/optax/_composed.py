"""Optax's schedules that are made of others, or follow a metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lrcore._domain import Interval
from lrcore._schedule import COUNT, LAST, LENGTH, POSITIVE, RATE, Schedule
from lrcore.schedules import Cosine, Plateau, join
from lrcore.schedules.compat._common import FRACTION, INSIDE, check, joined
from lrcore.schedules.compat.optax._decays import exponential, linear_schedule


def warmup_constant_schedule(init_value: float, peak_value: float, warmup_steps: int) -> Schedule:
    """A straight line from `init_value` to `peak_value`, which stays.

    Parameters
    ----------
    init_value, peak_value : float in [0, inf)
        Values of update 0 and of update `warmup_steps`. With an `init_value` of 0 the first update
        does nothing.
    warmup_steps : int
        Updates of warm-up; 0 or fewer: `init_value` for ever.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> warmup_constant_schedule(0.0, 1.0, 4)(range(6)).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    """A linear warm-up, then half a cosine to `end_value`.

    Parameters
    ----------
    init_value, peak_value : float in [0, inf)
        Values at the start and at the end of the warm-up.
    warmup_steps : int >= 0
        Updates of warm-up.
    decay_steps : int > `warmup_steps`
        Updates of it all, warm-up included.
    end_value : float in [0, inf), default 0.0
        Value at the end, which stays.
    exponent : float in (0, inf), default 1.0
        Power of the half wave.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> warmup_cosine_decay_schedule(0.0, 1.0, 2, 4)(range(6)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    who = "warmup_cosine_decay_schedule"
    init, peak, warmup, end, exponent = check(
        who,
        init_value=(init_value, RATE),
        peak_value=(peak_value, RATE),
        warmup_steps=(warmup_steps, COUNT),
        end_value=(end_value, RATE),
        exponent=(exponent, POSITIVE),
    )
    check(who, decay_steps=(decay_steps, Interval(warmup + 1, LAST, integer=True)))
    if peak == 0.0:
        end = 0.0
    return Cosine(peak, decay_steps, end, exponent=exponent, warmup=warmup, warmup_start=init)


def warmup_exponential_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """A linear warm-up, then an exponential decay from `peak_value`.

    Parameters
    ----------
    init_value, peak_value : float in [0, inf)
        Values at the start and at the end of the warm-up.
    warmup_steps : int >= 0
        Updates of warm-up.
    transition_steps, decay_rate, transition_begin, staircase, end_value
        As in `exponential_decay`, with t counted from the end of the warm-up.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> warmup_exponential_decay_schedule(0.0, 1.0, 2, 1, 0.5)(range(5)).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    who = "warmup_exponential_decay_schedule"
    (warmup,) = check(who, warmup_steps=(warmup_steps, COUNT))
    rest = (transition_steps, decay_rate, transition_begin, staircase, end_value)
    decay = exponential(who, peak_value, rest)
    if warmup == 0:
        return decay
    return join([linear_schedule(init_value, peak_value, warmup), decay], [warmup])


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Warm-ups and half cosines, one after another.

    Parameters
    ----------
    cosine_kwargs : list of dict
        The arguments of `warmup_cosine_decay_schedule` for each cycle, by name.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> cycle = dict(init_value=0.0, peak_value=1.0, warmup_steps=1, decay_steps=3)
    >>> sgdr_schedule([cycle, cycle])(range(6)).round(3).tolist()
    [0.0, 1.0, 0.5, 0.0, 1.0, 0.5]
    """
    parts: list[Schedule] = []
    boundaries: list[int] = []
    for kwargs in cosine_kwargs:
        parts.append(warmup_cosine_decay_schedule(**kwargs))
        boundaries.append((boundaries[-1] if boundaries else 0) + kwargs["decay_steps"])
    if not parts:
        raise ValueError("sgdr_schedule: cosine_kwargs must have at least one cycle, got none")
    return join(parts, boundaries[:-1])


def join_schedules(schedules: Iterable[Schedule], boundaries: Iterable[int]) -> Schedule:
    """One schedule after another, each from its boundary on with t counted from there.

    Parameters
    ----------
    schedules : list of Schedule
        Such as others of this module.
    boundaries : list of int >= 0, increasing, one fewer
        The updates that are the first of the next one.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> from lrcore.schedules.compat.optax import constant_schedule
    >>> join_schedules([constant_schedule(1.0), linear_schedule(1.0, 0.0, 2)], [2])(4)
    0.0
    """
    return joined("join_schedules", schedules, boundaries, ("schedules", "boundaries"))


def reduce_on_plateau(
    lr: float,
    factor: float = 0.1,
    patience: int = 10,
    rtol: float = 1e-4,
    atol: float = 0.0,
    cooldown: int = 0,
    accumulation_size: int = 1,
    min_scale: float = 0.0,
) -> Plateau:
    """`lr`, multiplied by `factor` when a metric has not got better `patience` times in a row.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate that Optax's scale multiplies.
    factor : float in (0, 1), default 0.1
        What a reduction multiplies by.
    patience : int >= 1, default 10
        At the last of so many metrics in a row that are no better the rate falls: one earlier than
        in torch.
    rtol, atol : float in [0, 1] and in [0, inf), default 1e-4 and 0.0
        By how much a metric must be lower to count, as a share of the best or as a difference. One
        of the two must be 0, and the other not.
    cooldown : int >= 0, default 0
        Metrics after a reduction that are not counted as bad.
    accumulation_size : 1, default 1
        Optax can average so many metrics before it looks at them; here, give ``update`` the mean.
    min_scale : float in [0, 1], default 0.0
        Lowest rate, as a share of `lr`.

    Returns
    -------
    Plateau
        With `lr` times Optax's scale after each ``update(metric)``. In Optax the scale is used by
        the update that gets the metric, here by those after it.

    Examples
    --------
    >>> s = reduce_on_plateau(1.0, patience=2)
    >>> [s.update(1.0) for _ in range(7)]
    [False, False, True, False, True, False, True]
    """
    who = "reduce_on_plateau"
    lr, factor, patience, rtol, atol, cooldown, low = check(
        who,
        lr=(lr, RATE),
        factor=(factor, INSIDE),
        patience=(patience, LENGTH),
        rtol=(rtol, FRACTION),
        atol=(atol, RATE),
        cooldown=(cooldown, COUNT),
        min_scale=(min_scale, FRACTION),
    )
    if accumulation_size != 1:
        raise ValueError(
            f"{who}: accumulation_size must be 1, with the mean of so many metrics given to "
            f"update(), got {accumulation_size!r}"
        )
    if (rtol == 0.0) == (atol == 0.0):
        raise ValueError(f"{who}: one of rtol and atol must be 0, got {rtol} and {atol}")
    threshold, mode = (rtol, "rel") if rtol else (atol, "abs")
    return Plateau(lr, factor, patience - 1, threshold, mode, cooldown, lr * low)
