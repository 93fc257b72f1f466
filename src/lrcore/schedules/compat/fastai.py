"""fastai's schedules: ``fastai.callback.schedule``.

fastai's schedules are functions of the share of a run that is over. These are functions of the
update, with the number of updates of the run last, as `steps` or `steps_per_epoch`: the value at t
is fastai's at t / steps, which is what ``ParamScheduler`` sets before batch t. The last batch has
t = steps - 1, so the end of a schedule is never used; it is the value from `steps` on.

``Learner.fit_one_cycle`` and its kind are here as the rates they set.

Examples
--------
>>> from lrcore.schedules.compat import fastai
>>> fastai.fit_one_cycle(1, 1.0, steps_per_epoch=10)(range(10)).round(2).tolist()
[0.04, 0.37, 0.91, 0.99, 0.9, 0.75, 0.55, 0.35, 0.17, 0.04]
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate

from ..._domain import Interval, Items
from ..._schedule import LENGTH, POSITIVE, RATE, Schedule
from .. import Constant, CosineAnneal, ExponentialAnneal, LinearAnneal, join
from ._common import COUNT_OF_CYCLES, FRACTION, check

__all__ = [
    "SchedCos",
    "SchedExp",
    "SchedLin",
    "SchedNo",
    "SchedPoly",
    "combine_scheds",
    "combined_cos",
    "fit_flat_cos",
    "fit_one_cycle",
    "fit_sgdr",
    "one_cycle_momentum",
]
ROUNDING = 1e-9  # nearer to an update than that is at it
ANNEALS = (CosineAnneal, ExponentialAnneal, LinearAnneal)


def SchedLin(start: float, end: float, steps: int = 1) -> Schedule:
    """``start + (end - start) t/steps``.

    Parameters
    ----------
    start, end : float in [0, inf)
        Values at the start and at the end.
    steps : int >= 1, default 1
        Updates from one to the other. `combine_scheds` sets it anew.

    Returns
    -------
    Schedule
        fastai's values.

    Examples
    --------
    >>> SchedLin(1.0, 0.0, 4)(range(6)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    check("SchedLin", start=(start, RATE), end=(end, RATE), steps=(steps, LENGTH))
    return LinearAnneal(start, end, steps)


def SchedCos(start: float, end: float, steps: int = 1) -> Schedule:
    """``start + (end - start) (1 - cos(pi t/steps)) / 2``.

    Parameters
    ----------
    start, end : float in [0, inf)
        Values at the start and at the end.
    steps : int >= 1, default 1
        Updates from one to the other. `combine_scheds` sets it anew.

    Returns
    -------
    Schedule
        fastai's values.

    Examples
    --------
    >>> SchedCos(1.0, 0.0, 4)(range(6)).round(3).tolist()
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """
    check("SchedCos", start=(start, RATE), end=(end, RATE), steps=(steps, LENGTH))
    return CosineAnneal(start, end, steps)


def SchedNo(start: float, end: float, steps: int = 1) -> Schedule:
    """`start`, whatever `end` and `steps` say.

    Parameters
    ----------
    start, end : float in [0, inf)
        The value, and what has no effect.
    steps : int >= 1, default 1
        Of no effect.

    Returns
    -------
    Schedule
        fastai's values.

    Examples
    --------
    >>> SchedNo(1.0, 0.0, 4)(3)
    1.0
    """
    check("SchedNo", start=(start, RATE), end=(end, RATE), steps=(steps, LENGTH))
    return Constant(start)


def SchedExp(start: float, end: float, steps: int = 1) -> Schedule:
    """``start (end / start)^(t/steps)``.

    Parameters
    ----------
    start, end : float in (0, inf)
        Values at the start and at the end.
    steps : int >= 1, default 1
        Updates from one to the other. `combine_scheds` sets it anew.

    Returns
    -------
    Schedule
        fastai's values.

    Examples
    --------
    >>> SchedExp(1.0, 0.01, 2)(range(4)).round(3).tolist()
    [1.0, 0.1, 0.01, 0.01]
    """
    check("SchedExp", start=(start, POSITIVE), end=(end, POSITIVE), steps=(steps, LENGTH))
    return ExponentialAnneal(start, end, steps)


def SchedPoly(start: float, end: float, power: float, steps: int = 1) -> Schedule:
    """``start + (end - start) (t/steps)^power``.

    Parameters
    ----------
    start, end : float in [0, inf)
        Values at the start and at the end.
    power : float in (0, inf)
        Of what has passed; elsewhere it is a power of what is left.
    steps : int >= 1, default 1
        Updates from one to the other. `combine_scheds` sets it anew.

    Returns
    -------
    Schedule
        fastai's values.

    Examples
    --------
    >>> SchedPoly(1.0, 0.0, 2, 4)(range(6)).tolist()
    [1.0, 0.9375, 0.75, 0.4375, 0.0, 0.0]
    """
    check(
        "SchedPoly",
        start=(start, RATE),
        end=(end, RATE),
        power=(power, POSITIVE),
        steps=(steps, LENGTH),
    )
    return LinearAnneal(start, end, steps, k_decay=power)


def combine_scheds(pcts: Iterable[float], scheds: Iterable[Schedule], steps: int) -> Schedule:
    """One schedule after another, each stretched over its share of the run.

    Parameters
    ----------
    pcts : list of float in [0, 1]
        The shares, which add up to 1; one of 0 leaves its schedule out.
    scheds : list of Schedule, as many
        Those of the ``Sched`` functions. How long they were made is of no effect.
    steps : int >= 1
        Updates of the run.

    Returns
    -------
    Schedule
        fastai's values, which it computes from shares in float32. A phase need not begin at an
        update.

    Examples
    --------
    >>> combine_scheds([0.5, 0.5], [SchedLin(0, 1), SchedCos(1, 0)], 4)(range(5)).tolist()
    [0.0, 0.5, 1.0, 0.5000000000000001, 0.0]
    """
    who = "combine_scheds"
    shares, steps = check(who, pcts=(pcts, Items(FRACTION)), steps=(steps, LENGTH))
    scheds = tuple(scheds)
    if len(shares) != len(scheds):
        raise ValueError(f"{who}: the number of scheds must be {len(shares)}, got {len(scheds)}")
    if not math.isclose(math.fsum(shares), 1.0, abs_tol=1e-9):
        raise ValueError(f"{who}: the sum of pcts must be 1, got {math.fsum(shares)}")
    parts: list[Schedule] = []
    starts: list[int] = []
    for i, sched in enumerate(scheds):
        if not isinstance(sched, (Constant, *ANNEALS)):
            raise TypeError(f"{who}: scheds[{i}] must be from a Sched function, got {sched!r}")
        begin, length = math.fsum(shares[:i]) * steps, shares[i] * steps
        first = math.ceil(begin - ROUNDING)
        if i + 1 == len(scheds) or first < math.ceil(begin + length - ROUNDING):
            parts.append(_stretched(sched, length, begin - first))
            starts.append(first)
    return join(parts, starts[1:])


def _stretched(sched: Schedule, length: float, begin: float) -> Schedule:
    """The same from `start` to `end`, at another time."""
    if isinstance(sched, (CosineAnneal, LinearAnneal)):
        return type(sched)(sched.start, sched.end, length, begin, k_decay=sched.k_decay)
    if isinstance(sched, ExponentialAnneal):
        return ExponentialAnneal(sched.start, sched.end, length, begin)
    return sched


def combined_cos(pct: float, start: float, middle: float, end: float, steps: int) -> Schedule:
    """Half a cosine from `start` to `middle` in a share `pct`, then one to `end`.

    Parameters
    ----------
    pct : float in [0, 1]
        Share of the first.
    start, middle, end : float in [0, inf)
        Values.
    steps : int >= 1
        Updates of the run.

    Returns
    -------
    Schedule
        fastai's values.

    Examples
    --------
    >>> combined_cos(0.5, 0.0, 1.0, 0.5, steps=4)(range(5)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.75, 0.5]
    """
    start, middle, end = check(
        "combined_cos", start=(start, RATE), middle=(middle, RATE), end=(end, RATE)
    )
    (pct,) = check("combined_cos", pct=(pct, FRACTION))
    pieces = [CosineAnneal(start, middle, 1.0), CosineAnneal(middle, end, 1.0)]
    return combine_scheds([pct, 1 - pct], pieces, steps)


def fit_one_cycle(
    n_epoch: int,
    lr_max: float,
    div: float = 25.0,
    div_final: float = 1e5,
    pct_start: float = 0.25,
    *,
    steps_per_epoch: int,
) -> Schedule:
    """Rates of ``Learner.fit_one_cycle``: up to `lr_max`, then down to all but nothing.

    Parameters
    ----------
    n_epoch : int >= 1
        Number of epochs.
    lr_max : float in [0, inf)
        Highest rate.
    div : float in (0, inf), default 25.0
        The first rate is ``lr_max / div``.
    div_final : float in (0, inf), default 1e5
        The last rate, never used, is ``lr_max / div_final``; torch divides by `div` too.
    pct_start : float in [0, 1], default 0.25
        Share of the way up.
    steps_per_epoch : int >= 1
        Batches of an epoch.

    Returns
    -------
    Schedule
        fastai's rates; :func:`one_cycle_momentum` has the momentum that goes with them.

    Examples
    --------
    >>> fit_one_cycle(2, 1.0, steps_per_epoch=4)([0, 2, 7, 8]).round(5).tolist()
    [0.04, 1.0, 0.067, 1e-05]
    """
    who = "fit_one_cycle"
    lr, div, div_final = check(
        who, lr_max=(lr_max, RATE), div=(div, POSITIVE), div_final=(div_final, POSITIVE)
    )
    steps = _steps(who, n_epoch, steps_per_epoch)
    return combined_cos(pct_start, lr / div, lr, lr / div_final, steps)


def one_cycle_momentum(
    n_epoch: int,
    moms: tuple[float, float, float] = (0.95, 0.85, 0.95),
    pct_start: float = 0.25,
    *,
    steps_per_epoch: int,
) -> Schedule:
    """Momentum (or beta1) of ``Learner.fit_one_cycle``: down while the rate goes up, and back.

    Parameters
    ----------
    n_epoch : int >= 1
        Number of epochs.
    moms : three floats in [0, inf), default (0.95, 0.85, 0.95)
        First, lowest and last momentum.
    pct_start : float in [0, 1], default 0.25
        Share of the way down.
    steps_per_epoch : int >= 1
        Batches of an epoch.

    Returns
    -------
    Schedule
        fastai's values.

    Examples
    --------
    >>> one_cycle_momentum(2, steps_per_epoch=4)([0, 2, 8]).round(3).tolist()
    [0.95, 0.85, 0.95]
    """
    steps = _steps("one_cycle_momentum", n_epoch, steps_per_epoch)
    start, middle, end = moms
    return combined_cos(pct_start, start, middle, end, steps)


def fit_flat_cos(
    n_epoch: int,
    lr: float,
    div_final: float = 1e5,
    pct_start: float = 0.75,
    *,
    steps_per_epoch: int,
) -> Schedule:
    """Rates of ``Learner.fit_flat_cos``: `lr`, then half a cosine down to all but nothing.

    Parameters
    ----------
    n_epoch : int >= 1
        Number of epochs.
    lr : float in [0, inf)
        The rate.
    div_final : float in (0, inf), default 1e5
        The last rate, never used, is ``lr / div_final``.
    pct_start : float in [0, 1], default 0.75
        Share of the run before the decay.
    steps_per_epoch : int >= 1
        Batches of an epoch.

    Returns
    -------
    Schedule
        fastai's rates.

    Examples
    --------
    >>> fit_flat_cos(1, 1.0, steps_per_epoch=8)(range(9)).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    lr, div_final = check("fit_flat_cos", lr=(lr, RATE), div_final=(div_final, POSITIVE))
    steps = _steps("fit_flat_cos", n_epoch, steps_per_epoch)
    return combined_cos(pct_start, lr, lr, lr / div_final, steps)


def fit_sgdr(
    n_cycles: int, cycle_len: int, lr_max: float, cycle_mult: int = 2, *, steps_per_epoch: int
) -> Schedule:
    """Rates of ``Learner.fit_sgdr``: half cosines from `lr_max` to 0, each longer than the last.

    Parameters
    ----------
    n_cycles : int in [1, 10000]
        Number of cycles.
    cycle_len : int >= 1
        Epochs of the first.
    lr_max : float in [0, inf)
        Rate at the beginning of each.
    cycle_mult : int >= 2, default 2
        Length of a cycle in lengths of the one before; 1 divides by zero in fastai.
    steps_per_epoch : int >= 1
        Batches of an epoch.

    Returns
    -------
    Schedule
        fastai's rates.

    Examples
    --------
    >>> fit_sgdr(2, 1, 1.0, steps_per_epoch=2)(range(7)).round(3).tolist()
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    n_cycles, cycle_len, lr, mult = check(
        "fit_sgdr",
        n_cycles=(n_cycles, COUNT_OF_CYCLES),
        cycle_len=(cycle_len, LENGTH),
        lr_max=(lr_max, RATE),
        cycle_mult=(cycle_mult, Interval(2, math.inf, integer=True)),
    )
    steps = _steps("fit_sgdr", cycle_len, steps_per_epoch)
    lengths = [steps * mult**i for i in range(n_cycles)]
    starts = list(accumulate(lengths))
    return join([CosineAnneal(lr, 0.0, n) for n in lengths], starts[:-1])


def _steps(who: str, n_epoch: int, steps_per_epoch: int) -> int:
    epochs, per_epoch = check(
        who, n_epoch=(n_epoch, LENGTH), steps_per_epoch=(steps_per_epoch, LENGTH)
    )
    return int(epochs * per_epoch)
