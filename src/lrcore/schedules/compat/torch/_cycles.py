"""Torch's schedulers that go up and down."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lrcore._schedule import COUNT, FUNCTION, LENGTH, POSITIVE, RATE, Schedule
from lrcore.schedules import (
    Constant,
    Cosine,
    CosineAnneal,
    CosineRestarts,
    Cyclic,
    Lambda,
    Linear,
    LinearAnneal,
)
from lrcore.schedules.compat._common import FRACTION, Piece, check, one_of, phases

MODES = ("triangular", "triangular2", "exp_range")
SHAPES: dict[str, Piece] = {"cos": CosineAnneal, "linear": LinearAnneal}


def CosineAnnealingWarmRestarts(
    lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0
) -> Schedule:
    """Half waves from `lr` to `eta_min`, the first of `T_0` updates, each `T_mult` times longer.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer, and of the first update of each cycle.
    T_0 : int >= 1
        Updates of the first cycle.
    T_mult : int >= 1, default 1
        Length of a cycle in lengths of the one before; in Keras the default is 2.
    eta_min : float in [0, inf), default 0.0
        What a cycle ends near: its last update is one before.

    Returns
    -------
    Schedule
        Torch's values for ``step()`` without an epoch.

    Examples
    --------
    >>> CosineAnnealingWarmRestarts(1.0, T_0=2)(range(5)).round(3).tolist()
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    lr, T_0, T_mult, eta_min = check(
        "CosineAnnealingWarmRestarts",
        lr=(lr, RATE),
        T_0=(T_0, LENGTH),
        T_mult=(T_mult, LENGTH),
        eta_min=(eta_min, RATE),
    )
    return CosineRestarts(lr, T_0, mult=T_mult, end=eta_min)


def CyclicLR(
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[int], float] | None = None,
    scale_mode: str = "cycle",
) -> Schedule:
    """Up from `base_lr` to `max_lr` and down again, without end.

    Parameters
    ----------
    base_lr, max_lr : float in [0, inf)
        Ends of the way. Torch takes neither from the optimizer.
    step_size_up : int >= 1, default 2000
        Updates of a way up.
    step_size_down : int >= 1, default None
        Updates of a way down; None: as many as up.
    mode : {"triangular", "triangular2", "exp_range"}, default "triangular"
        All cycles alike; each half as high as the one before; multiplied by ``gamma^t``.
    gamma : float in (0, inf), default 1.0
        For "exp_range".
    scale_fn : callable, default None
        What the height is multiplied by, in place of `mode`.
    scale_mode : {"cycle", "iterations"}, default "cycle"
        Whether `scale_fn` is called with the number of the cycle, from 1, or with t.

    Returns
    -------
    Schedule
        Torch's rates; :func:`cyclic_momentum` has the momentum that goes with them.

    Examples
    --------
    >>> CyclicLR(0.0, 1.0, step_size_up=2)(range(6)).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """
    return _cyclic(
        "CyclicLR",
        ("base_lr", base_lr),
        ("max_lr", max_lr),
        (step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode),
    )


def cyclic_momentum(
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[int], float] | None = None,
    scale_mode: str = "cycle",
) -> Schedule:
    """Momentum (or beta1) that ``CyclicLR(cycle_momentum=True)`` sets: down while the rate goes up.

    Parameters
    ----------
    base_momentum : float in [0, inf), default 0.8
        Lowest momentum, where the rate is highest.
    max_momentum : float in [0, inf), default 0.9
        Highest momentum, where the rate is lowest.
    step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode
        As in `CyclicLR`.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> cyclic_momentum(step_size_up=2)(range(5)).round(3).tolist()
    [0.9, 0.85, 0.8, 0.85, 0.9]
    """
    return _cyclic(
        "cyclic_momentum",
        ("max_momentum", max_momentum),
        ("base_momentum", base_momentum),
        (step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode),
    )


def _cyclic(
    who: str,
    low: tuple[str, float],
    high: tuple[str, float],
    rest: tuple[int, int | None, str, float, Callable[[int], float] | None, str],
) -> Schedule:
    step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode = rest
    if step_size_down is None:
        step_size_down = step_size_up
    start, end, up, down, gamma = check(
        who,
        **{low[0]: (low[1], RATE), high[0]: (high[1], RATE)},
        step_size_up=(step_size_up, LENGTH),
        step_size_down=(step_size_down, LENGTH),
        gamma=(gamma, POSITIVE),
    )
    if scale_fn is None:
        return Cyclic(start, end, up, down, one_of(who, "mode", mode, MODES), gamma)
    check(who, scale_fn=(scale_fn, FUNCTION))
    by_cycle = one_of(who, "scale_mode", scale_mode, ("cycle", "iterations")) == "cycle"
    triangle = Cyclic(0.0, 1.0, up, down)
    return Lambda(partial(_scaled, triangle, start, end, scale_fn, up + down if by_cycle else 0))


def _scaled(
    triangle: Schedule, start: float, end: float, scale: Callable[[int], float], cycle: int, t: int
) -> float:
    """Height of `triangle` times `scale` of the cycle (of that many updates), or of t (0)."""
    return start + (end - start) * triangle(t) * scale(t // cycle + 1 if cycle else t)


def OneCycleLR(
    max_lr: float,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """Up to `max_lr` in `pct_start` of the updates, then down to all but nothing.

    Parameters
    ----------
    max_lr : float in [0, inf)
        Highest rate. Torch does not take it from the optimizer.
    total_steps : int >= 1, default None
        Number of updates; None: `epochs` times `steps_per_epoch`.
    epochs, steps_per_epoch : int >= 1, default None
        Used where there is no `total_steps`.
    pct_start : float in [0, 1], default 0.3
        Share of the updates that the way up takes.
    anneal_strategy : {"cos", "linear"}, default "cos"
        Shape of the ways.
    div_factor : float in (0, inf), default 25.0
        The first rate is ``max_lr / div_factor``.
    final_div_factor : float in (0, inf), default 1e4
        The last rate is ``max_lr / div_factor / final_div_factor``.
    three_phase : bool, default False
        Down to the first rate in as many updates as up, and only then to the last one.

    Returns
    -------
    Schedule
        Torch's rates for t < `total_steps`. The peak is at ``pct_start total_steps - 1``, which
        need not be whole, and the last rate is that of update ``total_steps - 1``: one earlier
        than in Optax. Past the end torch raises an exception; here the last rate stays.
        :func:`one_cycle_momentum` has the momentum that goes with it.

    Examples
    --------
    >>> OneCycleLR(1.0, total_steps=10)(range(11)).round(2).tolist()
    [0.04, 0.52, 1.0, 0.95, 0.81, 0.61, 0.39, 0.19, 0.05, 0.0, 0.0]
    """
    max_lr, div_factor, final_div_factor = check(
        "OneCycleLR",
        max_lr=(max_lr, RATE),
        div_factor=(div_factor, POSITIVE),
        final_div_factor=(final_div_factor, POSITIVE),
    )
    first = max_lr / div_factor
    values = (first, max_lr, first, first / final_div_factor)
    steps = _total("OneCycleLR", total_steps, epochs, steps_per_epoch)
    return _one_cycle("OneCycleLR", values, steps, pct_start, anneal_strategy, three_phase)


def one_cycle_momentum(
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    three_phase: bool = False,
) -> Schedule:
    """Momentum (or beta1) that ``OneCycleLR(cycle_momentum=True)`` sets: down, then up again.

    Parameters
    ----------
    base_momentum : float in [0, inf), default 0.85
        Lowest momentum, where the rate is highest.
    max_momentum : float in [0, inf), default 0.95
        First and last momentum.
    total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, three_phase
        As in `OneCycleLR`.

    Returns
    -------
    Schedule
        Torch's values for t < `total_steps`.

    Examples
    --------
    >>> one_cycle_momentum(total_steps=10)([0, 1, 2, 9]).round(3).tolist()
    [0.95, 0.9, 0.85, 0.95]
    """
    low, high = check(
        "one_cycle_momentum",
        base_momentum=(base_momentum, RATE),
        max_momentum=(max_momentum, RATE),
    )
    steps = _total("one_cycle_momentum", total_steps, epochs, steps_per_epoch)
    return _one_cycle(
        "one_cycle_momentum",
        (high, low, high, high),
        steps,
        pct_start,
        anneal_strategy,
        three_phase,
    )


def _total(who: str, total: int | None, epochs: int | None, per_epoch: int | None) -> int:
    """Return the number of updates, however it was given."""
    if total is not None:
        (steps,) = check(who, total_steps=(total, LENGTH))
        return int(steps)
    if epochs is None or per_epoch is None:
        raise ValueError(
            f"{who}: total_steps, or epochs and steps_per_epoch, must be given, got neither"
        )
    epochs, per_epoch = check(who, epochs=(epochs, LENGTH), steps_per_epoch=(per_epoch, LENGTH))
    return int(epochs * per_epoch)


def _one_cycle(
    who: str,
    values: tuple[float, float, float, float],
    steps: int,
    pct_start: float,
    anneal_strategy: str,
    three_phase: bool,
) -> Schedule:
    """Through `values`, the third of them with three phases only."""
    (pct_start,) = check(who, pct_start=(pct_start, FRACTION))
    piece = SHAPES[one_of(who, "anneal_strategy", anneal_strategy, SHAPES)]
    start, middle, third, last = values
    ends = [(pct_start * steps - 1, middle)]
    if three_phase:
        ends.append((2 * pct_start * steps - 2, third))
    ends.append((steps - 1.0, last))
    final = next(i for i, (time, _) in enumerate(ends) if time >= steps - 1)
    return phases(piece, start, ends[: final + 1])


def SWALR(
    lr: float, swa_lr: float, anneal_epochs: int = 10, anneal_strategy: str = "cos"
) -> Schedule:
    """From `lr` to `swa_lr` in `anneal_epochs` calls of ``step()``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer where the averaging begins.
    swa_lr : float in [0, inf)
        Rate to be reached and kept.
    anneal_epochs : int >= 0, default 10
        How many steps that takes; t counts epochs where ``step()`` is called once an epoch.
    anneal_strategy : {"cos", "linear"}, default "cos"
        Shape of the way.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> SWALR(1.0, 0.5, anneal_epochs=2)(range(4)).tolist()
    [1.0, 0.75, 0.5, 0.5]
    """
    lr, swa_lr, anneal_epochs = check(
        "SWALR",
        lr=(lr, RATE),
        swa_lr=(swa_lr, RATE),
        anneal_epochs=(anneal_epochs, COUNT),
    )
    shape = one_of("SWALR", "anneal_strategy", anneal_strategy, SHAPES)
    if anneal_epochs == 0:
        return Constant(swa_lr)
    return (Cosine if shape == "cos" else Linear)(lr, anneal_epochs, swa_lr)
