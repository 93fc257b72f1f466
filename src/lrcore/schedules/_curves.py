"""Schedules that go from one value to another in a given number of updates."""

from __future__ import annotations

from .._schedule import LENGTH, POSITIVE, RATE, Schedule

__all__ = ["Cosine", "Linear", "Polynomial"]


class Linear(Schedule, kind="linear", lr=RATE, steps=LENGTH, end=RATE):
    """A straight line from `lr` to `end`: end + (lr - end) (1 - n/T), T = steps - warmup.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start; `end` may be higher.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> Linear(1.0, steps=4)(range(6)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    lr: float
    steps: int
    end: float

    def __init__(
        self,
        lr: float,
        steps: int,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(lr=lr, steps=steps, end=end, warmup=warmup, warmup_start=warmup_start)


class Polynomial(Schedule, kind="polynomial", lr=RATE, steps=LENGTH, power=POSITIVE, end=RATE):
    """A power of what is left: end + (lr - end) (1 - n/T)^power, T = steps - warmup.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    power : float in (0, inf), default 1.0
        1 is a straight line; above 1 the fall is steep first, below 1 last.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Examples
    --------
    >>> Polynomial(1.0, steps=4, power=2.0)(range(6)).tolist()
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    lr: float
    steps: int
    power: float
    end: float

    def __init__(
        self,
        lr: float,
        steps: int,
        power: float = 1.0,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(
            lr=lr, steps=steps, power=power, end=end, warmup=warmup, warmup_start=warmup_start
        )


class Cosine(Schedule, kind="cosine", lr=RATE, steps=LENGTH, end=RATE):
    """Half a wave of the cosine: end + (lr - end) (1 + cos(pi n/T)) / 2, T = steps - warmup.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup : int >= 0, default 0
        Updates of linear warm-up before it.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Notes
    -----
    Computed as end + (lr - end) cos^2(pi n / 2T), which is the same and keeps its accuracy where
    the value is small.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017,
    equation 5; here without the restarts.

    Examples
    --------
    >>> Cosine(1.0, steps=4)(range(6)).round(3).tolist()
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    lr: float
    steps: int
    end: float

    def __init__(
        self,
        lr: float,
        steps: int,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
    ) -> None:
        self._set(lr=lr, steps=steps, end=end, warmup=warmup, warmup_start=warmup_start)
