"""Schedules that plan a whole run: up, flat, down, and again."""

from __future__ import annotations

import math

from .._domain import Choice, Interval
from .._schedule import COUNT, LENGTH, POSITIVE, RATE, SHAPE, Schedule
from ._steps import PiecewiseCosine, PiecewiseLinear

__all__ = ["WSD", "Chebyshev", "CosineRestarts", "Cyclic", "Knee", "OneCycle"]

SHARE = Interval(0, 1, closed_low=False, closed_high=False)
MULT = Interval(1, math.inf, closed_high=False)
PHASES = Interval(2, 3, integer=True)
MODE = Choice("triangular", "triangular2", "exp_range")
ORDER = Choice("fractal", "falling")


class WSD(Schedule, kind="wsd", lr=RATE, steps=LENGTH, decay_steps=LENGTH, end=RATE, shape=SHAPE):
    """Warm-up, stable, decay: flat until the last `decay_steps` updates; also called trapezoid.

    Parameters
    ----------
    lr : float in [0, inf)
        Value of the flat part.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    decay_steps : int >= 1, at most steps - warmup
        Updates of the decay.
    end : float in [0, inf), default 0.0
        Value at the end.
    shape : {"linear", "cosine", "1-sqrt", "1-square"}, default "1-sqrt"
        How it falls; with x the share of the decay that is over: 1 - x, (1 + cos(pi x)) / 2,
        1 - sqrt(x) or 1 - x^2.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (lr - end) f((t - steps + decay_steps) / decay_steps)``, before that lr.

    References
    ----------
    S. Hu et al., MiniCPM, 2024 (arXiv 2404.06395). A. Hagele et al., Scaling laws and
    compute-optimal training beyond fixed training durations, NeurIPS 2024: 1 - sqrt(x) does best.

    Examples
    --------
    >>> WSD(1.0, steps=8, decay_steps=4, warmup=2)(range(9)).round(3).tolist()
    [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.293, 0.134, 0.0]
    """

    lr: float
    steps: int
    decay_steps: int
    end: float
    shape: str

    def __init__(
        self,
        lr: float,
        steps: int,
        decay_steps: int,
        end: float = 0.0,
        shape: str = "1-sqrt",
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            decay_steps=decay_steps,
            end=end,
            shape=shape,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        if self.decay_steps > self.steps - self.warmup:
            most = f"at most steps - warmup ({self.steps - self.warmup})"
            self._refuse("decay_steps", most, self.decay_steps)


class Knee(Schedule, kind="knee", lr=RATE, steps=LENGTH, knee=COUNT, end=RATE):
    """Explore at `lr`, then exploit: a straight line down.

    Parameters
    ----------
    lr : float in [0, inf)
        Value up to the knee.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    knee : int in [warmup, steps)
        The update from which on it falls; it counts all updates. The paper explores for half of
        them.
    end : float in [0, inf), default 0.0
        Value at the end.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    See Also
    --------
    WSD : the same, with the decay in other shapes.

    Notes
    -----
    ``end + (lr - end) (steps - t) / (steps - knee)``, up to the knee lr.

    References
    ----------
    N. Iyer et al., Wide-minima density hypothesis and the explore-exploit learning rate schedule,
    JMLR 24, 2023.

    Examples
    --------
    >>> Knee(1.0, steps=6, knee=2)(range(7)).tolist()
    [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    lr: float
    steps: int
    knee: int
    end: float

    def __init__(
        self,
        lr: float,
        steps: int,
        knee: int,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            knee=knee,
            end=end,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        if not self.warmup <= self.knee < self.steps:
            self._refuse("knee", f"in [warmup, steps) ([{self.warmup}, {self.steps}))", self.knee)


class OneCycle(
    Schedule,
    kind="one_cycle",
    lr=RATE,
    steps=LENGTH,
    pct_start=SHARE,
    div_factor=POSITIVE,
    final_div_factor=POSITIVE,
    phases=PHASES,
    shape=SHAPE,
):
    """Up to `lr` and down to almost nothing, once.

    Parameters
    ----------
    lr : float in [0, inf)
        The highest value.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is the last one.
    pct_start : float in (0, 1), default 0.3
        Share of the updates, those of the warm-up apart, that rise; below 0.5 with three phases.
    div_factor : float in (0, inf), default 25.0
        What `lr` is divided by at the start.
    final_div_factor : float in (0, inf), default 1e4
        What the start is divided by at the end.
    phases : {2, 3}, default 2
        With 3 it falls back to the start first, in as many updates as it rose, then to the end.
    shape : {"linear", "cosine", "1-sqrt", "1-square"}, default "cosine"
        Of each phase.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr/div_factor .. lr .. lr/(div_factor final_div_factor)`` at n = 0, pct_start T and T,
    T = steps - warmup. The peak need not fall on an update. The matching momentum is `momentum`.

    References
    ----------
    L. Smith and N. Topin, Super-convergence: very fast training of neural networks using large
    learning rates, 2018 (arXiv 1708.07120); the phases and factors are those of fastai and PyTorch.

    Examples
    --------
    >>> rate = OneCycle(1.0, steps=10)
    >>> rate([0, 3, 5, 10]).round(4).tolist()
    [0.04, 1.0, 0.8117, 0.0]
    >>> rate.momentum()([0, 3, 5, 10]).round(4).tolist()
    [0.95, 0.85, 0.8688, 0.95]
    """

    lr: float
    steps: int
    pct_start: float
    div_factor: float
    final_div_factor: float
    phases: int
    shape: str

    def __init__(
        self,
        lr: float,
        steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        phases: int = 2,
        shape: str = "cosine",
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            pct_start=pct_start,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
            phases=phases,
            shape=shape,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        if self.phases == 3 and self.pct_start >= 0.5:
            self._refuse("pct_start", "below 0.5 with three phases", self.pct_start)

    def momentum(self, low: float = 0.85, high: float = 0.95) -> Schedule:
        """Return the momentum that goes with this rate: low where the rate is high.

        Parameters
        ----------
        low, high : float in [0, inf), default 0.85, 0.95
            Momentum at the peak, and at the start and at the end.

        Returns
        -------
        Schedule
            For `momentum`, `alpha` or a place in `betas`; with three phases it is back at `high` at
            the end of the second and stays there.

        Raises
        ------
        ValueError
            The shape is neither "linear" nor "cosine".

        Examples
        --------
        >>> import numpy as np, lrcore
        >>> rate = OneCycle(0.1, steps=100)
        >>> opt = lrcore.SGD(np.zeros(3), lr=rate, momentum=rate.momentum())
        """
        kinds = {"linear": PiecewiseLinear, "cosine": PiecewiseCosine}
        if self.shape not in kinds:
            self._refuse("shape", '"linear" or "cosine" for a momentum', self.shape)
        rise = self.pct_start * (self.steps - self.warmup)
        back = self.warmup + 2.0 * rise if self.phases == 3 else float(self.steps)
        positions = [float(self.warmup), self.warmup + rise, back]
        return kinds[self.shape](positions, [high, low, high])


class Cyclic(
    Schedule, kind="cyclic", lr=RATE, max_lr=RATE, up=LENGTH, down=LENGTH, mode=MODE, gamma=POSITIVE
):
    """Up and down between two values, for ever.

    Parameters
    ----------
    lr : float in [0, inf)
        The lower value, at the start.
    max_lr : float in [0, inf)
        The upper value.
    up : int >= 1, default 2000
        Updates from the lower to the upper value.
    down : int >= 1, default None
        Updates back; None: as many as `up`.
    mode : {"triangular", "triangular2", "exp_range"}, default "triangular"
        Height of the triangles: all the same, each half of the one before, or falling by gamma^n.
    gamma : float in (0, inf), default 1.0
        Of "exp_range", for each update.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr + (max_lr - lr) triangle(n) a``, a = 1, 2^-cycle or gamma^n.

    References
    ----------
    L. Smith, Cyclical learning rates for training neural networks, WACV 2017.

    Examples
    --------
    >>> Cyclic(0.0, 1.0, up=2, mode="triangular2")(range(9)).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25, 0.0]
    """

    lr: float
    max_lr: float
    up: int
    down: int
    mode: str
    gamma: float

    def __init__(
        self,
        lr: float,
        max_lr: float,
        up: int = 2000,
        down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        down = up if down is None else down
        self._set(
            lr=lr,
            max_lr=max_lr,
            up=up,
            down=down,
            mode=mode,
            gamma=gamma,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class CosineRestarts(
    Schedule, kind="cosine_restarts", lr=RATE, period=LENGTH, mult=MULT, gamma=POSITIVE, end=RATE
):
    """Half a wave of the cosine, again and again (SGDR).

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    period : int >= 1
        Updates of the first cycle, T_0.
    mult : float, 1 or at least 1.001, default 1.0
        Ratio of a cycle's length to that of the one before. Where it is not whole, cycles need not
        begin on an update.
    gamma : float in (0, inf), default 1.0
        Ratio of a cycle's peak to that of the one before.
    end : float in [0, inf), default 0.0
        Value at the end of each cycle, which no update has if it begins the next.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``end + (lr gamma^i - end) (1 + cos(pi (n - n_i)/T_i)) / 2``, T_i = period mult^i, cycle i
    begins at n_i = period (mult^i - 1) / (mult - 1).

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017,
    equation 5.

    Examples
    --------
    >>> CosineRestarts(1.0, period=2, mult=2, gamma=0.5)(range(8)).round(3).tolist()
    [1.0, 0.5, 0.5, 0.427, 0.25, 0.073, 0.25, 0.24]
    """

    lr: float
    period: int
    mult: float
    gamma: float
    end: float

    def __init__(
        self,
        lr: float,
        period: int,
        mult: float = 1.0,
        gamma: float = 1.0,
        end: float = 0.0,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            period=period,
            mult=mult,
            gamma=gamma,
            end=end,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        if 1.0 < self.mult < 1.001:
            self._refuse("mult", "1 or at least 1.001", self.mult)


class Chebyshev(Schedule, kind="chebyshev", lr=POSITIVE, steps=LENGTH, end=POSITIVE, order=ORDER):
    """The best steps for a quadratic whose curvatures are known to lie between two bounds.

    Parameters
    ----------
    lr : float in (0, inf)
        The longest step: one over the smallest curvature.
    steps : int > warmup
        Total number of updates, warm-up included; from t = `steps` on the value is `end`.
    end : float in (0, inf)
        The shortest step: one over the largest curvature.
    order : {"fractal", "falling"}, default "fractal"
        In which order the steps are made. All orders end at the same point, but in "falling" order
        rounding errors grow; "fractal" keeps them small and needs a power of two of updates.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``1 / ((M + m)/2 - (M - m)/2 cos(pi (i + 1/2)/T))``, M = 1/end, m = 1/lr, T = steps - warmup;
    i is n or, in fractal order, a permutation of it. Long steps overshoot; the others make up for
    it.

    References
    ----------
    D. Young, On Richardson's method for solving linear systems with positive definite matrices,
    J. Math. Phys. 32, 1953. N. Agarwal, S. Goel and C. Zhang, Acceleration via fractal learning
    rate schedules, ICML 2021.

    Examples
    --------
    >>> Chebyshev(1.0, steps=4, end=0.1)(range(5)).round(3).tolist()
    [0.745, 0.104, 0.265, 0.138, 0.1]
    """

    lr: float
    steps: int
    end: float
    order: str

    def __init__(
        self,
        lr: float,
        steps: int,
        end: float,
        order: str = "fractal",
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            steps=steps,
            end=end,
            order=order,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        length = self.steps - self.warmup
        if self.order == "fractal" and length & (length - 1):
            self._refuse("steps - warmup", 'a power of two with order "fractal"', length)
