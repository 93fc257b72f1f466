"""Schedules without an end: they fall for ever."""

from __future__ import annotations

from .._schedule import LENGTH, POSITIVE, RATE, Schedule

__all__ = ["Exponential", "InverseTime", "NaturalExponential"]


class Exponential(Schedule, kind="exponential", lr=RATE, gamma=POSITIVE):
    """Times `gamma` at every update: lr gamma^n.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    gamma : float in (0, inf)
        Ratio of one value to the one before.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    See Also
    --------
    NaturalExponential : the same curve, written e^(-decay n).

    Examples
    --------
    >>> Exponential(1.0, gamma=0.5)(range(4)).tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    lr: float
    gamma: float

    def __init__(
        self, lr: float, gamma: float, *, warmup: int = 0, warmup_start: float = 0.0
    ) -> None:
        self._set(lr=lr, gamma=gamma, warmup=warmup, warmup_start=warmup_start)


class NaturalExponential(Schedule, kind="natural_exponential", lr=RATE, decay=RATE):
    """Decay at a constant rate per update: lr e^(-decay n).

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    decay : float in [0, inf)
        Fraction lost per update, where it is small.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> NaturalExponential(1.0, decay=0.1)(range(4)).round(3).tolist()
    [1.0, 0.905, 0.819, 0.741]
    """

    lr: float
    decay: float

    def __init__(
        self, lr: float, decay: float, *, warmup: int = 0, warmup_start: float = 0.0
    ) -> None:
        self._set(lr=lr, decay=decay, warmup=warmup, warmup_start=warmup_start)


class InverseTime(Schedule, kind="inverse_time", lr=RATE, rate=RATE, step_size=LENGTH):
    """Decay like 1/n: lr / (1 + rate n / step_size).

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    rate : float in [0, inf)
        How much the divisor grows in `step_size` updates.
    step_size : int >= 1, default 1
        Unit of time, in updates, counted from the end of the warm-up.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    References
    ----------
    H. Robbins and S. Monro, A stochastic approximation method, Ann. Math. Statist. 22, 1951:
    steps that fall like 1/n converge.

    Examples
    --------
    >>> InverseTime(1.0, rate=1.0)(range(4)).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    """

    lr: float
    rate: float
    step_size: int

    def __init__(
        self,
        lr: float,
        rate: float,
        step_size: int = 1,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(lr=lr, rate=rate, step_size=step_size, warmup=warmup, warmup_start=warmup_start)
