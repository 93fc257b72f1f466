"""Optax's schedules that follow one formula."""

from __future__ import annotations

from lrcore._domain import Interval
from lrcore._schedule import LAST, LENGTH, POSITIVE, RATE, Schedule
from lrcore.schedules import (
    Constant,
    Cosine,
    Exponential,
    Polynomial,
    Step,
    join,
    maximum,
    minimum,
)
from lrcore.schedules.compat._common import check

WHOLE = Interval(-LAST, LAST, integer=True)


def constant_schedule(value: float) -> Schedule:
    """The same value at every update.

    Parameters
    ----------
    value : float in [0, inf)
        The value.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> constant_schedule(0.1)(5)
    0.1
    """
    check("constant_schedule", value=(value, RATE))
    return Constant(value)


def polynomial_schedule(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """From `init_value` to `end_value`: ``(init - end) (1 - n/transition_steps)^power + end``.

    Parameters
    ----------
    init_value, end_value : float in [0, inf)
        Values at the start and at the end.
    power : float in (0, inf)
        1 is a straight line.
    transition_steps : int
        Updates from one to the other; 0 or fewer: `init_value` for ever.
    transition_begin : int, default 0
        Update from which n counts; below 0 it is 0.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> polynomial_schedule(1.0, 0.0, power=2, transition_steps=4)(range(5)).tolist()
    [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """
    return _polynomial(
        "polynomial_schedule", init_value, end_value, power, transition_steps, transition_begin
    )


def linear_schedule(
    init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """From `init_value` to `end_value` in a straight line.

    Parameters
    ----------
    init_value, end_value : float in [0, inf)
        Values at the start and at the end.
    transition_steps : int
        Updates from one to the other; 0 or fewer: `init_value` for ever.
    transition_begin : int, default 0
        Update at which it begins; below 0 it is 0.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> linear_schedule(0.0, 1.0, transition_steps=4)(range(6)).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return _polynomial(
        "linear_schedule", init_value, end_value, 1.0, transition_steps, transition_begin
    )


def _polynomial(
    who: str, init: float, end: float, power: float, steps: int, begin: int
) -> Schedule:
    init, end, power, steps, begin = check(
        who,
        init_value=(init, RATE),
        end_value=(end, RATE),
        power=(power, POSITIVE),
        transition_steps=(steps, WHOLE),
        transition_begin=(begin, WHOLE),
    )
    if steps <= 0:
        return Constant(init)
    return _after(begin, init, Polynomial(init, int(steps), power, end))


def _after(begin: int, value: float, schedule: Schedule) -> Schedule:
    """`value` before update `begin`, then `schedule` with t counted from there."""
    return join([Constant(value), schedule], [begin]) if begin > 0 else schedule


def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """``init_value decay_rate^(n / transition_steps)``, not beyond `end_value`.

    Parameters
    ----------
    init_value : float in [0, inf)
        Value at the start.
    transition_steps : int
        Updates in which the value is multiplied by `decay_rate`; 0 or fewer: `init_value` for ever.
    decay_rate : float in [0, inf)
        Ratio over `transition_steps` updates; 0: `init_value` for ever.
    transition_begin : int, default 0
        Update from which n counts; below 0 it is 0.
    staircase : bool, default False
        Whether the exponent is rounded down, so that the value changes by steps.
    end_value : float in [0, inf), default None
        Lowest value where `decay_rate` is below 1, highest where it is not.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> exponential_decay(1.0, 2, 0.9, end_value=0.9)(range(4)).round(3).tolist()
    [1.0, 0.949, 0.9, 0.9]
    """
    return exponential(
        "exponential_decay",
        init_value,
        (transition_steps, decay_rate, transition_begin, staircase, end_value),
    )


def exponential(
    who: str, init: float, rest: tuple[int, float, int, bool, float | None]
) -> Schedule:
    steps, rate, begin, staircase, end = rest
    init, steps, rate, begin = check(
        who,
        init_value=(init, RATE),
        transition_steps=(steps, WHOLE),
        decay_rate=(rate, RATE),
        transition_begin=(begin, WHOLE),
    )
    if steps <= 0 or rate == 0:
        return Constant(init)
    decay = Step(init, steps, rate) if staircase else Exponential(init, rate, steps)
    schedule = _after(begin, init, decay)
    if end is None:
        return schedule
    (end,) = check(who, end_value=(end, RATE))
    return (maximum if rate < 1 else minimum)(schedule, Constant(end))


def cosine_decay_schedule(
    init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> Schedule:
    """``init_value ((1 - alpha) ((1 + cos(pi t / decay_steps)) / 2)^exponent + alpha)``.

    Parameters
    ----------
    init_value : float in [0, inf)
        Value at the start.
    decay_steps : int >= 1
        Updates until the end, which stays.
    alpha : float in [0, inf), default 0.0
        Value at the end, as a share of `init_value`.
    exponent : float in (0, inf), default 1.0
        Power of the half wave.

    Returns
    -------
    Schedule
        Optax's values.

    Examples
    --------
    >>> cosine_decay_schedule(1.0, 2, alpha=0.1)(range(4)).round(3).tolist()
    [1.0, 0.55, 0.1, 0.1]
    """
    init, steps, alpha, exponent = check(
        "cosine_decay_schedule",
        init_value=(init_value, RATE),
        decay_steps=(decay_steps, LENGTH),
        alpha=(alpha, RATE),
        exponent=(exponent, POSITIVE),
    )
    return Cosine(init, steps, init * alpha, exponent=exponent)
