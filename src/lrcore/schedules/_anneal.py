"""Pieces of a curve between two real times, and the endless wave: what others are joined from.

A piece has the value `start` until the time `begin` and `end` from `begin` + `length` on. Both are
real numbers, so that a phase may begin and end between two updates, as it does where a run is
divided by fractions.
"""

from __future__ import annotations

from .._schedule import NUMBER, POSITIVE, RATE, Schedule

__all__ = ["CosineAnneal", "ExponentialAnneal", "LinearAnneal", "TanhAnneal", "Wave"]


class LinearAnneal(
    Schedule,
    kind="linear_anneal",
    start=RATE,
    end=RATE,
    length=POSITIVE,
    begin=NUMBER,
    power=POSITIVE,
    k_decay=POSITIVE,
):
    """A straight line, or a power of one, between two real times.

    Parameters
    ----------
    start : float in [0, inf)
        Value until `begin`.
    end : float in [0, inf)
        Value from `begin` + `length` on.
    length : float in (0, inf)
        Updates from one to the other; it need not be whole.
    begin : float, default 0.0
        When it begins, in updates from the end of the warm-up; it need not be whole, and may have
        been before the first update.
    power : float in (0, inf), default 1.0
        Power of what is left.
    k_decay : float in (0, inf), default 1.0
        Power of what has passed: above 1 the change comes late, below 1 early.
    warmup, warmup_start, warmup_shape : optional
        A warm-up before it; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (start - end) (1 - x^k)^power``, x = (n - begin) / length held in [0, 1]. With power 1,
    k = 0.5 is the "1 - sqrt" decay, k = 2 the "1 - square".

    References
    ----------
    T. Zhang and W. Li, k-decay: a new method for learning rate schedule, 2020 (arXiv 2004.05909),
    for `k_decay`.

    Examples
    --------
    >>> LinearAnneal(0.0, 1.0, length=2.5)(range(5)).round(3).tolist()
    [0.0, 0.4, 0.8, 1.0, 1.0]
    """

    start: float
    end: float
    length: float
    begin: float
    power: float
    k_decay: float

    def __init__(
        self,
        start: float,
        end: float,
        length: float,
        begin: float = 0.0,
        power: float = 1.0,
        k_decay: float = 1.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            start=start,
            end=end,
            length=length,
            begin=begin,
            power=power,
            k_decay=k_decay,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class CosineAnneal(
    Schedule,
    kind="cosine_anneal",
    start=RATE,
    end=RATE,
    length=POSITIVE,
    begin=NUMBER,
    power=POSITIVE,
    k_decay=POSITIVE,
):
    """Half a cosine between two real times.

    Parameters
    ----------
    start : float in [0, inf)
        Value until `begin`.
    end : float in [0, inf)
        Value from `begin` + `length` on.
    length : float in (0, inf)
        Updates from one to the other; it need not be whole.
    begin : float, default 0.0
        When it begins, in updates from the end of the warm-up; it need not be whole, and may have
        been before the first update.
    power : float in (0, inf), default 1.0
        Power of the half wave.
    k_decay : float in (0, inf), default 1.0
        Power of what has passed: above 1 the change comes late, below 1 early.
    warmup, warmup_start, warmup_shape : optional
        A warm-up before it; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (start - end) ((1 + cos(pi x^k)) / 2)^power``, x = (n - begin) / length held in [0, 1].

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017,
    equation 5; T. Zhang and W. Li, k-decay: a new method for learning rate schedule, 2020 (arXiv
    2004.05909), for `k_decay`.

    Examples
    --------
    >>> CosineAnneal(0.0, 1.0, length=2, begin=0.5)(range(4)).round(3).tolist()
    [0.0, 0.146, 0.854, 1.0]
    """

    start: float
    end: float
    length: float
    begin: float
    power: float
    k_decay: float

    def __init__(
        self,
        start: float,
        end: float,
        length: float,
        begin: float = 0.0,
        power: float = 1.0,
        k_decay: float = 1.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            start=start,
            end=end,
            length=length,
            begin=begin,
            power=power,
            k_decay=k_decay,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class ExponentialAnneal(
    Schedule, kind="exponential_anneal", start=POSITIVE, end=POSITIVE, length=POSITIVE, begin=NUMBER
):
    """By the same ratio every update, between two real times.

    Parameters
    ----------
    start : float in (0, inf)
        Value until `begin`.
    end : float in (0, inf)
        Value from `begin` + `length` on.
    length : float in (0, inf)
        Updates from one to the other; it need not be whole.
    begin : float, default 0.0
        When it begins, in updates from the end of the warm-up; it need not be whole, and may have
        been before the first update.
    warmup, warmup_start, warmup_shape : optional
        A warm-up before it; see the top of :mod:`lrcore.schedules`.

    See Also
    --------
    Exponential : without an end.

    Notes
    -----
    ``start (end / start)^x``, x = (n - begin) / length held in [0, 1].

    Examples
    --------
    >>> ExponentialAnneal(1e-3, 1.0, length=3)(range(5)).round(6).tolist()
    [0.001, 0.01, 0.1, 1.0, 1.0]
    """

    start: float
    end: float
    length: float
    begin: float

    def __init__(
        self,
        start: float,
        end: float,
        length: float,
        begin: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            start=start,
            end=end,
            length=length,
            begin=begin,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class TanhAnneal(
    Schedule,
    kind="tanh_anneal",
    start=RATE,
    end=RATE,
    length=POSITIVE,
    begin=NUMBER,
    lb=NUMBER,
    ub=NUMBER,
):
    """A piece of tanh between two real times.

    Parameters
    ----------
    start : float in [0, inf)
        What the value is near until `begin`.
    end : float in [0, inf)
        What the value is near from `begin` + `length` on.
    length : float in (0, inf)
        Updates from one to the other; it need not be whole.
    begin : float, default 0.0
        When it begins, in updates from the end of the warm-up; it need not be whole, and may have
        been before the first update.
    lb : float, default -7.0
        Argument of tanh at the beginning: the lower it is, the nearer to `start` it begins.
    ub : float, default 3.0
        Argument of tanh at the end: the higher it is, the nearer to `end` it ends.
    warmup, warmup_start, warmup_shape : optional
        A warm-up before it; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (start - end) (1 - tanh(lb (1 - x) + ub x)) / 2``, x = (n - begin) / length held in
    [0, 1].

    References
    ----------
    B.-Y. Hsueh, W. Li and I-C. Wu, Stochastic gradient descent with hyperbolic-tangent decay on
    classification, WACV 2019 (arXiv 1806.01593), equation 3.

    Examples
    --------
    >>> TanhAnneal(1.0, 0.0, length=4)(range(6)).round(3).tolist()
    [1.0, 1.0, 0.982, 0.269, 0.002, 0.002]
    """

    start: float
    end: float
    length: float
    begin: float
    lb: float
    ub: float

    def __init__(
        self,
        start: float,
        end: float,
        length: float,
        begin: float = 0.0,
        lb: float = -7.0,
        ub: float = 3.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            start=start,
            end=end,
            length=length,
            begin=begin,
            lb=lb,
            ub=ub,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Wave(Schedule, kind="wave", high=RATE, low=RATE, period=POSITIVE, begin=NUMBER):
    """A cosine without end.

    Parameters
    ----------
    high : float in [0, inf)
        Value at `begin`, and a whole number of periods from it.
    low : float in [0, inf)
        Value half a period later.
    period : float in (0, inf)
        Updates from one crest to the next; it need not be whole.
    begin : float, default 0.0
        When there is a crest, in updates from the end of the warm-up; it need not be whole.
    warmup, warmup_start, warmup_shape : optional
        A warm-up before it; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``low + (high - low) (1 + cos(2 pi (n - begin) / period)) / 2``, computed with cos^2 of half the
    angle, which keeps its accuracy where the value is small.

    Examples
    --------
    >>> Wave(1.0, 0.0, period=4)(range(7)).round(3).tolist()
    [1.0, 0.5, 0.0, 0.5, 1.0, 0.5, 0.0]
    """

    high: float
    low: float
    period: float
    begin: float

    def __init__(
        self,
        high: float,
        low: float,
        period: float,
        begin: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            high=high,
            low=low,
            period=period,
            begin=begin,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
