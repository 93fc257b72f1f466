"""Torch's schedulers that are made of functions, of other schedulers, or of a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lrcore._domain import Items
from lrcore._schedule import COUNT, FUNCTION, POSITIVE, RATE, SCHEDULE, Schedule
from lrcore.schedules import Lambda, Plateau
from lrcore.schedules.compat._common import INSIDE, check, joined, one_of


def LambdaLR(lr: float, lr_lambda: Callable[[int], float]) -> Schedule:
    """``lr lr_lambda(t)``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    lr_lambda : callable, int -> float
        Called with t. One a group, as torch has it, are as many schedules here.

    Returns
    -------
    Schedule
        Torch's values.

    Examples
    --------
    >>> LambdaLR(0.5, lambda t: 1 / (t + 1))(range(3)).round(3).tolist()
    [0.5, 0.25, 0.167]
    """
    check("LambdaLR", lr=(lr, RATE), lr_lambda=(lr_lambda, FUNCTION))
    return Lambda(lr_lambda) * lr


def MultiplicativeLR(lr: float, lr_lambda: Callable[[int], float]) -> Schedule:
    """``lr lr_lambda(1) lr_lambda(2) ... lr_lambda(t)``.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer, and of update 0.
    lr_lambda : callable, int -> float
        Ratio of the rate of update t to the one before. Not called with 0.

    Returns
    -------
    Schedule
        Torch's values. The products are kept as far as they were asked for, so the value at a
        large t takes t calls once.

    Examples
    --------
    >>> MultiplicativeLR(1.0, lambda t: 1 / t)(range(4)).round(3).tolist()
    [1.0, 1.0, 0.5, 0.167]
    """
    (lr,) = check("MultiplicativeLR", lr=(lr, RATE))
    check("MultiplicativeLR", lr_lambda=(lr_lambda, FUNCTION))
    return Lambda(_Products(lr, lr_lambda))


class _Products:
    """Products of all ratios up to t, remembered."""

    def __init__(self, lr: float, ratio: Callable[[int], float]) -> None:
        self.values = [lr]
        self.ratio = ratio

    def __call__(self, t: int) -> float:
        while len(self.values) <= t:
            self.values.append(self.values[-1] * self.ratio(len(self.values)))
        return self.values[t]


def SequentialLR(schedulers: Iterable[Schedule], milestones: Iterable[int]) -> Schedule:
    """One schedule after another, each from its milestone on with t counted from there.

    Parameters
    ----------
    schedulers : list of Schedule
        Each with its own rate, such as others of this module.
    milestones : list of int >= 0, increasing, one fewer
        The updates that are the first of the next one.

    Returns
    -------
    Schedule
        Torch's values where each of its schedulers has a closed form (all but MultiplicativeLR,
        which torch starts from the rate that the one before has left). Chained and sequential
        schedules may be part of one, which torch refuses or gets wrong.

    Examples
    --------
    >>> from lrcore.schedules.compat.torch import CosineAnnealingLR, LinearLR
    >>> warmup = LinearLR(1.0, start_factor=0.5, total_iters=2)
    >>> SequentialLR([warmup, CosineAnnealingLR(1.0, 2)], milestones=[2])(range(5)).tolist()
    [0.5, 0.75, 1.0, 0.5000000000000001, 0.0]
    """
    return joined("SequentialLR", schedulers, milestones, ("schedulers", "milestones"))


def ChainedScheduler(lr: float, schedulers: Iterable[Schedule]) -> Schedule:
    """``lr (a(t) / lr) (b(t) / lr) ...``: every scheduler multiplies what the others leave.

    Parameters
    ----------
    lr : float in (0, inf)
        Rate of the optimizer, which all of `schedulers` were made with.
    schedulers : list of Schedule, at least one
        Such as others of this module.

    Returns
    -------
    Schedule
        Torch's values for those that multiply by a factor of t: StepLR, MultiStepLR, ConstantLR,
        LinearLR, ExponentialLR, PolynomialLR, MultiplicativeLR, and CosineAnnealingLR with
        `eta_min` 0. The others set a rate of their own in torch, whatever the one before made.

    Examples
    --------
    >>> from lrcore.schedules.compat.torch import ConstantLR, ExponentialLR
    >>> parts = [ConstantLR(2.0, factor=0.5, total_iters=2), ExponentialLR(2.0, gamma=0.5)]
    >>> ChainedScheduler(2.0, parts)(range(4)).tolist()
    [1.0, 0.5, 0.5, 0.25]
    """
    lr, parts = check(
        "ChainedScheduler",
        lr=(lr, POSITIVE),
        schedulers=(schedulers, Items(SCHEDULE)),
    )
    if not parts:
        raise ValueError("ChainedScheduler: schedulers must have at least one, got none")
    product: Schedule = parts[0]
    for part in parts[1:]:
        product = product * (part * (1 / lr))
    return product


def ReduceLROnPlateau(
    lr: float,
    mode: str = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr: float = 0.0,
    eps: float = 1e-8,
) -> Plateau:
    """`lr`, multiplied by `factor` when a metric has not got better `patience` + 1 times in a row.

    Parameters
    ----------
    lr : float in [0, inf)
        Rate of the optimizer.
    mode : {"min", "max"}, default "min"
        Whether a lower metric is better, or a higher one.
    factor : float in (0, 1), default 0.1
        What a reduction multiplies by.
    patience : int >= 0, default 10
        How many metrics in a row may be no better; at the next one the rate falls.
    threshold : float in [0, inf), default 1e-4
        By how much a metric must be better to count.
    threshold_mode : {"rel", "abs"}, default "rel"
        Whether that is a share of the best one, or a difference.
    cooldown : int >= 0, default 0
        Metrics after a reduction that are not counted as bad.
    min_lr : float in [0, inf), default 0.0
        Lowest rate.
    eps : float in [0, inf), default 1e-8
        A reduction by no more than this is not made, so that the rate stays where it is.

    Returns
    -------
    Plateau
        With torch's rate after each ``update(metric)``, torch's ``step(metric)``.

    Examples
    --------
    >>> s = ReduceLROnPlateau(1.0, patience=2)
    >>> [s.update(1.0) for _ in range(7)]
    [False, False, False, True, False, False, True]
    """
    who = "ReduceLROnPlateau"
    lr, factor, min_lr, eps = check(
        who,
        lr=(lr, RATE),
        factor=(factor, INSIDE),
        min_lr=(min_lr, RATE),
        eps=(eps, RATE),
    )
    check(who, patience=(patience, COUNT), threshold=(threshold, RATE), cooldown=(cooldown, COUNT))
    one_of(who, "mode", mode, ("min", "max"))
    one_of(who, "threshold_mode", threshold_mode, ("rel", "abs"))
    floor = _floor(lr, factor, min_lr, eps)
    return Plateau(lr, factor, patience, threshold, threshold_mode, cooldown, floor, mode)


def _floor(lr: float, factor: float, low: float, eps: float) -> float:
    """Return the rate at which the next reduction would be one by no more than `eps`."""
    if eps == 0.0:
        return min(lr, low)
    while lr - (reduced := max(lr * factor, low)) > eps:
        lr = reduced
    return lr
