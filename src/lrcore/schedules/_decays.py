"""Schedules without an end: they fall for ever."""

from __future__ import annotations

from .._schedule import LENGTH, POSITIVE, RATE, Schedule

__all__ = ["Exponential", "InverseSqrt", "InverseTime", "NaturalExponential", "Noam", "Power"]


class Exponential(Schedule, kind="exponential", lr=RATE, gamma=POSITIVE, step_size=LENGTH):
    """Times `gamma` in every `step_size` updates, evenly.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    gamma : float in (0, inf)
        Ratio of one value to that `step_size` updates before.
    step_size : int >= 1, default 1
        Unit of time, in updates.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    See Also
    --------
    Step : the same in stairs.
    NaturalExponential : the same curve, written e^(-decay n).

    Notes
    -----
    ``lr gamma^(n / step_size)``.

    Examples
    --------
    >>> Exponential(1.0, gamma=0.5)(range(4)).tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    lr: float
    gamma: float
    step_size: int

    def __init__(
        self,
        lr: float,
        gamma: float,
        step_size: int = 1,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            gamma=gamma,
            step_size=step_size,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class NaturalExponential(Schedule, kind="natural_exponential", lr=RATE, decay=RATE):
    """Decay at a constant rate per update.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    decay : float in [0, inf)
        Fraction lost per update, where it is small.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr e^(-decay n)``.

    Examples
    --------
    >>> NaturalExponential(1.0, decay=0.1)(range(4)).round(3).tolist()
    [1.0, 0.905, 0.819, 0.741]
    """

    lr: float
    decay: float

    def __init__(
        self,
        lr: float,
        decay: float,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            decay=decay,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class InverseTime(Schedule, kind="inverse_time", lr=RATE, rate=RATE, step_size=LENGTH):
    """Decay like 1/n.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    rate : float in [0, inf)
        How much the divisor grows in `step_size` updates.
    step_size : int >= 1, default 1
        Unit of time, in updates, counted from the end of the warm-up.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr / (1 + rate n / step_size)``.

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
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            rate=rate,
            step_size=step_size,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class InverseSqrt(Schedule, kind="inverse_sqrt", lr=RATE, timescale=POSITIVE):
    """Flat, then falling like one over the square root of t.

    Parameters
    ----------
    lr : float in [0, inf)
        Value up to t = `timescale`.
    timescale : float in (0, inf)
        The update from which on it falls; it counts all updates. With as long a warm-up the flat
        part is the warm-up.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr sqrt(timescale / max(t, timescale))``. Counted from another update it is shifted:
    ``InverseSqrt(lr, W).shift(W)`` begins to fall at once.

    References
    ----------
    C. Raffel et al., Exploring the limits of transfer learning with a unified text-to-text
    transformer, JMLR 21, 2020, section 3.1.2.

    Examples
    --------
    >>> InverseSqrt(1.0, timescale=4, warmup=4)([0, 2, 4, 16, 64]).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.25]
    """

    lr: float
    timescale: float

    def __init__(
        self,
        lr: float,
        timescale: float,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            timescale=timescale,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Noam(Schedule, kind="noam", d_model=LENGTH, warmup_steps=LENGTH, factor=RATE):
    """The schedule of the first transformer: up in a line, down like one over the square root.

    Parameters
    ----------
    d_model : int >= 1
        Width of the model.
    warmup_steps : int >= 1, default 4000
        Update, counted from 1, at which the value is highest.
    factor : float in [0, inf), default 1.0
        What everything is multiplied by.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``factor d_model^-0.5 min(i^-0.5, i warmup_steps^-1.5)``, i = t + 1: it rises by itself, from a
    first value that is not zero.

    References
    ----------
    A. Vaswani et al., Attention is all you need, NeurIPS 2017, equation 3.

    Examples
    --------
    >>> Noam(16, warmup_steps=4)([0, 1, 3, 15]).tolist()
    [0.03125, 0.0625, 0.125, 0.0625]
    """

    d_model: int
    warmup_steps: int
    factor: float

    def __init__(
        self,
        d_model: int,
        warmup_steps: int = 4000,
        factor: float = 1.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            d_model=d_model,
            warmup_steps=warmup_steps,
            factor=factor,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Power(Schedule, kind="power", lr=RATE, scale=POSITIVE, power=POSITIVE, per_update=POSITIVE):
    """A power of the amount of data seen, whatever the total will be.

    Parameters
    ----------
    lr : float in [0, inf)
        The value is never above it.
    scale : float in (0, inf)
        Value for one unit of data; in the paper a times the batch size.
    power : float in (0, inf), default 0.51
        How fast it falls; the paper's b is its negative.
    per_update : float in (0, inf), default 1.0
        Units of data (tokens) in an update; t counts all updates.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``min(lr, scale (per_update t)^-power)``. The paper's decay at the end is to be joined to it.

    References
    ----------
    Y. Shen et al., Power scheduler: a batch size and token number agnostic learning rate scheduler,
    2024 (arXiv 2408.13359).

    Examples
    --------
    >>> Power(0.5, scale=1.0, power=0.5)([0, 1, 4, 16, 64]).tolist()
    [0.5, 0.5, 0.5, 0.25, 0.125]
    """

    lr: float
    scale: float
    power: float
    per_update: float

    def __init__(
        self,
        lr: float,
        scale: float,
        power: float = 0.51,
        per_update: float = 1.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            scale=scale,
            power=power,
            per_update=per_update,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
