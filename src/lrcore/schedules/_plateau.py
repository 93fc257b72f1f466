"""Plateau: the one schedule that listens."""

from __future__ import annotations

from numbers import Real

from .._domain import Choice, Interval
from .._schedule import COUNT, RATE, SCHEDULE, Schedule, as_schedule

__all__ = ["Plateau"]

FACTOR = Interval(0, 1, closed_low=False, closed_high=False)
SCALE = Interval(0, 1)
THRESHOLD_MODE = Choice("rel", "abs")
MODE = Choice("min", "max")
BEST = Interval(float("-inf"), float("inf"))


class Plateau(
    Schedule,
    kind="plateau",
    schedule=SCHEDULE,
    factor=FACTOR,
    patience=COUNT,
    threshold=RATE,
    threshold_mode=THRESHOLD_MODE,
    cooldown=COUNT,
    min_lr=RATE,
    mode=MODE,
):
    """Any schedule, reduced when a metric stops getting better.

    Accepted wherever a schedule is. It is told the metric with `update`, whenever there is one;
    its value at an update is that of the schedule beneath times what the metric has made of
    `scale`. The warm-up and the shape of the schedule beneath go on as they are.

    Parameters
    ----------
    schedule : Schedule or float
        What is reduced; a number stands for a constant.
    factor : float in (0, 1), default 0.1
        What a reduction multiplies by.
    patience : int >= 0, default 10
        Metrics in a row that may be no better than the best; at the next one it is reduced.
    threshold : float in [0, inf), default 1e-4
        By how much a metric must be better to count.
    threshold_mode : {"rel", "abs"}, default "rel"
        Better is below best (1 - threshold), or below best - threshold; above with mode "max",
        and with a plus. "rel" is for metrics above zero: below, it takes for better what is a
        little worse, as in PyTorch.
    cooldown : int >= 0, default 0
        Metrics after a reduction that are not counted as bad.
    min_lr : float in [0, inf), default 0.0
        The value is never below it.
    mode : {"min", "max"}, default "min"
        Whether a lower metric is better, or a higher one.
    best, bad, cooling, scale : optional
        The state to begin with: the best metric so far (None: none), how many were no better since,
        how many more will not be counted, and the product of all reductions.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``max(schedule(t) scale, min_lr)``. It is the only schedule with a state, and so the only one
    that is no function of t alone. The state is part of `repr`, `to_dict`, `==`, of copies and
    pickles, and with them of an optimizer's state dict; `load_state_dict` puts it back into the
    object that is there, if that was made with the same arguments. Everything that is made of a
    Plateau (``plateau * 0.1``) follows it.

    A metric that is NaN is no better than any other. Losses 1, 1, 1, ... with patience 2 reduce
    after the fourth and the seventh, as in PyTorch; Keras and optax wait for one metric less.

    References
    ----------
    The rules are those of PyTorch's ReduceLROnPlateau, without its `eps`.

    Examples
    --------
    >>> rate = Plateau(1.0, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     reduced = rate.update(loss)
    >>> reduced, rate(4)
    (True, 0.5)
    >>> rate
    Plateau(schedule=Constant(lr=1.0), factor=0.5, patience=1, best=2.0, scale=0.5)
    """

    numbers = ("min_lr", "scale")
    state = ("best", "bad", "cooling", "scale")

    schedule: Schedule
    factor: float
    patience: int
    threshold: float
    threshold_mode: str
    cooldown: int
    min_lr: float
    mode: str
    best: float | None
    bad: int
    cooling: int
    scale: float

    def __init__(
        self,
        schedule: Schedule | float,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "min",
        *,
        best: float | None = None,
        bad: int = 0,
        cooling: int = 0,
        scale: float = 1.0,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            schedule=as_schedule(schedule),
            factor=factor,
            patience=patience,
            threshold=threshold,
            threshold_mode=threshold_mode,
            cooldown=cooldown,
            min_lr=min_lr,
            mode=mode,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        self._put(
            best=None if best is None else BEST.check("Plateau", "best", best),
            bad=COUNT.check("Plateau", "bad", bad),
            cooling=COUNT.check("Plateau", "cooling", cooling),
            scale=SCALE.check("Plateau", "scale", scale),
        )

    def update(self, metric: float) -> bool:
        """Take note of a metric.

        Parameters
        ----------
        metric : float
            Such as the validation loss. NaN and what is infinitely bad are never better.

        Returns
        -------
        bool
            Whether the value was reduced now.

        Raises
        ------
        TypeError
            It is no number.
        """
        if not isinstance(metric, Real) or isinstance(metric, bool):
            raise TypeError(f"Plateau: metric must be a number, got {metric!r}")
        value = float(metric)
        better = self._is_better(value)
        bad = 0 if better or self.cooling else self.bad + 1
        reduced = bad > self.patience
        self._put(
            best=value if better else self.best,
            bad=0 if reduced else bad,
            cooling=self.cooldown if reduced else max(self.cooling - 1, 0),
            scale=self.scale * self.factor if reduced else self.scale,
        )
        return reduced

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "min" else -1.0
        if self.best is None:
            return sign * value < float("inf")
        if self.threshold_mode == "rel":
            return sign * value < sign * (self.best * (1.0 - sign * self.threshold))
        return sign * value < sign * (self.best - sign * self.threshold)
