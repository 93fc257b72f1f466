"""Schedules that go from one value to another in a given number of updates."""

from __future__ import annotations

from .._schedule import FLAG, LENGTH, NUMBER, POSITIVE, RATE, Schedule

__all__ = ["REX", "Cosine", "Hyperbolic", "Linear", "Polynomial", "TanhDecay"]


class Linear(Schedule, kind="linear", lr=RATE, steps=LENGTH, end=RATE):
    """A straight line from `lr` to `end`.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start; `end` may be higher.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (lr - end) (1 - n/T)``, T = steps - warmup.

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
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            end=end,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Polynomial(
    Schedule,
    kind="polynomial",
    lr=RATE,
    steps=LENGTH,
    power=POSITIVE,
    end=RATE,
    k_decay=POSITIVE,
    cycle=FLAG,
):
    """A power of what is left.

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
    k_decay : float in (0, inf), default 1.0
        k: n/T becomes (n/T)^k; above 1 it stays high for longer.
    cycle : bool, default False
        Whether it begins anew after the end, each time with T, 2T, 3T, ... for T: at n = T it is at
        `end`, at n = T + 1 on a curve that ends at 2T. There is then no last value.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (lr - end) (1 - (n/T)^k)^power``, T = steps - warmup.

    References
    ----------
    T. Zhang and W. Li, k-decay: a new method for learning rate schedule, 2020 (arXiv 2004.05909).

    Examples
    --------
    >>> Polynomial(1.0, steps=4, power=2.0)(range(6)).tolist()
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    >>> Polynomial(1.0, steps=2, cycle=True)(range(7)).round(3).tolist()
    [1.0, 0.5, 0.0, 0.25, 0.0, 0.167, 0.0]
    """

    lr: float
    steps: int
    power: float
    end: float
    k_decay: float
    cycle: bool

    def __init__(
        self,
        lr: float,
        steps: int,
        power: float = 1.0,
        end: float = 0.0,
        k_decay: float = 1.0,
        cycle: bool = False,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            power=power,
            end=end,
            k_decay=k_decay,
            cycle=cycle,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Cosine(
    Schedule, kind="cosine", lr=RATE, steps=LENGTH, end=RATE, exponent=POSITIVE, k_decay=POSITIVE
):
    """Half a wave of the cosine.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    exponent : float in (0, inf), default 1.0
        Power of the wave.
    k_decay : float in (0, inf), default 1.0
        k: n/T becomes (n/T)^k; above 1 it stays high for longer.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    See Also
    --------
    CosineRestarts : with the restarts.

    Notes
    -----
    ``end + (lr - end) ((1 + cos(pi (n/T)^k)) / 2)^exponent``, T = steps - warmup. Computed with
    cos^2(pi n / 2T), which is the same and keeps its accuracy where the value is small.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017,
    equation 5; here without the restarts. T. Zhang and W. Li, k-decay: a new method for learning
    rate schedule, 2020 (arXiv 2004.05909).

    Examples
    --------
    >>> Cosine(1.0, steps=4)(range(6)).round(3).tolist()
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    lr: float
    steps: int
    end: float
    exponent: float
    k_decay: float

    def __init__(
        self,
        lr: float,
        steps: int,
        end: float = 0.0,
        exponent: float = 1.0,
        k_decay: float = 1.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            end=end,
            exponent=exponent,
            k_decay=k_decay,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class TanhDecay(Schedule, kind="tanh_decay", lr=RATE, steps=LENGTH, end=RATE, lb=NUMBER, ub=NUMBER):
    """The hyperbolic tangent from high to low.

    Parameters
    ----------
    lr : float in [0, inf)
        Value before the fall; the first is a little lower, by (1 + tanh lb) / 2 of the way.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    lb, ub : float, default -7.0, 3.0
        The part of the tangent's axis that is used.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (lr - end) (1 - tanh(lb (1 - n/T) + ub n/T)) / 2``, T = steps - warmup. The curve comes
    to within (1 - tanh ub) / 2 of `end`; at `steps` it is exactly there.

    References
    ----------
    B. Hsueh, W. Li and I. Wu, Stochastic gradient descent with hyperbolic-tangent decay on
    classification, WACV 2019, equation 3.

    Examples
    --------
    >>> TanhDecay(1.0, steps=10)([0, 5, 7, 9, 10]).round(3).tolist()
    [1.0, 0.982, 0.5, 0.018, 0.0]
    """

    lr: float
    steps: int
    end: float
    lb: float
    ub: float

    def __init__(
        self,
        lr: float,
        steps: int,
        end: float = 0.0,
        lb: float = -7.0,
        ub: float = 3.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            end=end,
            lb=lb,
            ub=ub,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class REX(Schedule, kind="rex", lr=RATE, steps=LENGTH, end=RATE):
    """Reflected exponential: high for long, then down fast.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (lr - end) (1 - n/T) / (1 - n/2T)``, T = steps - warmup.

    References
    ----------
    J. Chen, C. Wolfe and A. Kyrillidis, REX: revisiting budgeted training with an improved
    schedule, MLSys 2022.

    Examples
    --------
    >>> REX(1.0, steps=4)(range(6)).round(3).tolist()
    [1.0, 0.857, 0.667, 0.4, 0.0, 0.0]
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
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            end=end,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Hyperbolic(
    Schedule, kind="hyperbolic", lr=RATE, steps=LENGTH, upper_bound=LENGTH, infimum=RATE
):
    """A hyperbola whose beginning hardly depends on the number of updates.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value stays.
    upper_bound : int >= steps
        The most updates that one means to compare; it sets the asymptote.
    infimum : float in [0, inf), default 0.0
        Value that would be reached at `upper_bound` updates.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr + (lr - infimum) (h(n) - h(0)), h(n) = sqrt((T - n)/U (2 - (T + n)/U))``,
    T = steps - warmup, U = upper_bound - warmup.

    References
    ----------
    T. Kim, HyperbolicLR: epoch insensitive learning rate scheduler, 2024 (arXiv 2407.15200).

    Examples
    --------
    >>> Hyperbolic(1.0, steps=4, upper_bound=8)(range(6)).round(3).tolist()
    [1.0, 0.852, 0.693, 0.509, 0.134, 0.134]
    """

    lr: float
    steps: int
    upper_bound: int
    infimum: float

    def __init__(
        self,
        lr: float,
        steps: int,
        upper_bound: int,
        infimum: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            upper_bound=upper_bound,
            infimum=infimum,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        if self.upper_bound < self.steps:
            self._refuse("upper_bound", f"at least steps ({self.steps})", self.upper_bound)
