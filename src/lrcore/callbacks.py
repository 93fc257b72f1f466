"""Callbacks: what a training loop calls to change the rate, or to be told to stop.

A loop of any kind calls three methods, and ends when one of its callbacks says so::

    for epoch in range(epochs):
        for callback in callbacks:
            callback.on_epoch_begin(epoch)
        for batch in batches:
            ...  # loss, gradients, opt.step(gradients)
            for callback in callbacks:
                callback.on_step_end(step, loss)
        for callback in callbacks:
            callback.on_epoch_end(epoch, {"val_loss": ...})

`lrcore.tasks.fit` is such a loop, and `lrcore.Monitor` such a callback. The names, arguments and
rates of the others are those of Keras.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from inspect import signature
from math import isfinite
from numbers import Real
from typing import Any

from ._domain import Choice, Interval
from ._optimizer import Optimizer
from ._schedule import RATE, Schedule
from .schedules import Plateau, maximum

__all__ = ["Callback", "LearningRateScheduler", "ReduceLROnPlateau", "TerminateOnNaN"]

COUNT = Interval(0, 2**63 - 1, integer=True)
DELTA = Interval(0, float("inf"), closed_high=False)
MODE = Choice("auto", "min", "max")
#: What follows "val_", "test_" or "train_", if anything does, in the name of a metric.
LOWER, HIGHER = {"loss", "error", "mse", "mae", "rmse"}, {"accuracy", "acc", "auc", "r2", "f1"}


class Callback:
    """What all callbacks share: they may say nothing.

    Attributes
    ----------
    stop : bool
        Whether the loop should end; it looks after each step and each epoch.
    why : str
        What it then says of the run: "asked" or "diverged".
    """

    stop: bool = False
    why: str = "asked"

    def on_epoch_begin(self, epoch: int) -> None:
        """Before the first step of an epoch; the first epoch is 0."""

    def on_step_end(self, step: int, loss: float) -> None:
        """After a step, with the loss of its batch; the first step of the run is 0."""

    def on_epoch_end(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """After an epoch, with what was evaluated, such as ``{"val_loss": 0.3}``."""


def _optimizer(who: str, opt: Optimizer) -> Optimizer:
    if not isinstance(opt, Optimizer):
        raise TypeError(f"{who}: opt must be an optimizer of lrcore, got {opt!r}")
    return opt


class LearningRateScheduler(Callback):
    """Set the rate at the start of each epoch by a function.

    Parameters
    ----------
    opt : Optimizer
        Whose rates are set: of every group, each from its own.
    schedule : callable
        ``schedule(epoch, lr) -> lr``, or ``schedule(epoch) -> lr``; the first epoch is 0, and `lr`
        is the rate that the next step would use.

    Notes
    -----
    A rate that was a schedule is a number afterwards. `lrcore.schedules.from_epochs` makes a
    schedule of the same function, which needs no callback.

    References
    ----------
    Keras, ``keras.callbacks.LearningRateScheduler``, whose function must return a float; any real
    number will do here.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> opt = lrcore.SGD(np.zeros(1), lr=1.0)
    >>> halve = lrcore.callbacks.LearningRateScheduler(opt, lambda epoch, lr: lr * 0.5)
    >>> for epoch in range(3):
    ...     halve.on_epoch_begin(epoch)
    >>> opt.lr
    0.125
    """

    def __init__(self, opt: Optimizer, schedule: Callable[..., float]) -> None:
        who = type(self).__name__
        self.opt = _optimizer(who, opt)
        if not callable(schedule):
            raise TypeError(f"{who}: schedule must be a function of (epoch, lr), got {schedule!r}")
        self.schedule = schedule
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int) -> None:
        """Set the rates.

        Raises
        ------
        TypeError, ValueError
            The function returned no number, or none that is a rate; no rate has been changed.
        """
        who, name, groups = type(self).__name__, self.opt.rate_name, self.opt.param_groups
        rates: list[float] = []
        for group in groups:
            before = _rate(self.opt, group[name])
            rate = self.schedule(epoch, before) if self._takes_rate else self.schedule(epoch)
            if not isinstance(rate, Real) or isinstance(rate, bool):
                raise TypeError(
                    f"{who}: schedule must return a number, got {rate!r} for epoch {epoch}"
                )
            rates.append(float(RATE.check(f"{who}, epoch {epoch}", "what schedule returns", rate)))
        for group, rate in zip(groups, rates, strict=True):
            group[name] = rate


def _takes_two(function: Callable[..., float]) -> bool:
    """Whether a function takes an epoch and a rate, or just the epoch."""
    try:
        signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # it does not say
        return True
    return True


def _rate(opt: Optimizer, value: Any) -> float:
    """The rate that a group's next step uses."""
    return float(value(opt.t)) if isinstance(value, Schedule) else float(value)


class ReduceLROnPlateau(Callback):
    """Reduce the rate when a metric has stopped getting better.

    Parameters
    ----------
    opt : Optimizer
        Whose rates are reduced, those of every group.
    monitor : str, default "val_loss"
        The metric, by its name in what `on_epoch_end` is given.
    factor : float in (0, 1), default 0.1
        What a reduction multiplies by.
    patience : int >= 0, default 10
        At the last of so many epochs in a row that are no better the rate falls; 0 is as 1.
    mode : {"auto", "min", "max"}, default "auto"
        Whether a lower metric is better, or a higher one. "auto" goes by the name, where that is
        a loss or an error, or an accuracy.
    min_delta : float in [0, inf), default 1e-4
        By how much a metric must be better to count: a difference.
    cooldown : int >= 0, default 0
        Of so many epochs after a reduction all but the last are not counted.
    min_lr : float in [0, inf), default 0.0
        No rate is reduced below it.

    Attributes
    ----------
    plateau : Plateau
        What counts: its ``best`` and ``bad``, and in ``scale`` the product of the reductions.

    Notes
    -----
    A rate that is a schedule is reduced, too, and goes on in its shape. Where nothing else changes
    the rate, `lrcore.schedules.Plateau` does the same as a schedule and is saved with the
    optimizer.

    References
    ----------
    Keras, ``keras.callbacks.ReduceLROnPlateau``: the same rates. PyTorch waits for one epoch more,
    and its threshold is a share of the metric.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> opt = lrcore.SGD(np.zeros(1), lr=1.0)
    >>> reduce = lrcore.callbacks.ReduceLROnPlateau(opt, factor=0.5, patience=2)
    >>> for epoch, loss in enumerate([3.0, 2.0, 2.0, 2.0]):
    ...     reduce.on_epoch_end(epoch, {"val_loss": loss})
    >>> opt.lr
    0.5
    """

    def __init__(
        self,
        opt: Optimizer,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        who = type(self).__name__
        self.opt = _optimizer(who, opt)
        self.plateau = plateau_of(who, monitor, factor, patience, mode, min_delta, cooldown)
        self.monitor, self.factor = monitor, factor
        self.min_lr = float(RATE.check(who, "min_lr", min_lr))

    def on_epoch_end(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take note of the metric, and reduce the rates if it is time.

        Without the metric there is a warning, as in Keras, and nothing is counted.
        """
        if not reached(type(self).__name__, self.plateau, self.monitor, metrics):
            return
        name = self.opt.rate_name
        for group in self.opt.param_groups:
            value = group[name]
            if _rate(self.opt, value) > self.min_lr:
                group[name] = reduced(value, self.factor, self.min_lr)


def plateau_of(
    who: str,
    monitor: str,
    factor: float,
    patience: int,
    mode: str,
    min_delta: float,
    cooldown: int,
) -> Plateau:
    """What counts as Keras counts; the arguments are those of `ReduceLROnPlateau`."""
    if not isinstance(monitor, str):
        raise TypeError(f"{who}: monitor must be the name of a metric, got {monitor!r}")
    return Plateau(
        1.0,
        factor,
        max(COUNT.check(who, "patience", patience) - 1, 0),
        float(DELTA.check(who, "min_delta", min_delta)),
        "abs",
        max(COUNT.check(who, "cooldown", cooldown) - 1, 0),
        mode=_direction(who, monitor, MODE.check(who, "mode", mode)),
    )


def reached(who: str, plateau: Plateau, monitor: str, metrics: Mapping[str, float]) -> bool:
    """Tell a plateau the metric, and whether it is time to reduce; a warning without the metric."""
    if monitor not in metrics:
        found = ", ".join(map(repr, metrics)) or "nothing"
        warnings.warn(f"{who}: metrics must have {monitor!r}, got {found}", stacklevel=3)
        return False
    return plateau.update(metrics[monitor])


def reduced(value: Any, factor: float, least: float) -> Any:
    """A rate or a schedule times a factor, nowhere below the least."""
    if not isinstance(value, Schedule):
        return max(value * factor, least)
    return maximum(value * factor, least) if least else value * factor


def _direction(who: str, monitor: str, mode: str) -> str:
    """Whether lower is better, "min", or higher, "max"."""
    if mode != "auto":
        return mode
    names = set(monitor.lower().split("_"))
    if names & HIGHER:
        return "max"
    if names & LOWER:
        return "min"
    raise ValueError(
        f'{who}: mode must be "min" or "max" for a metric of the name {monitor!r}, got "auto"'
    )


class TerminateOnNaN(Callback):
    """Say `stop` when the loss of a step is inf or NaN.

    Parameters
    ----------
    opt : Optimizer, optional
        Whose rate `reason` names.

    Attributes
    ----------
    stop : bool
        Whether there was such a loss.
    reason : str
        Where; empty before.

    References
    ----------
    Keras, ``keras.callbacks.TerminateOnNaN``. `lrcore.Monitor` also notices a loss that grows.

    Examples
    --------
    >>> import lrcore
    >>> guard = lrcore.callbacks.TerminateOnNaN()
    >>> guard.on_step_end(7, float("nan"))
    >>> guard.stop, guard.reason
    (True, 'loss nan at step 7')
    """

    why = "diverged"

    def __init__(self, opt: Optimizer | None = None) -> None:
        self.opt = None if opt is None else _optimizer(type(self).__name__, opt)
        self.reason = ""

    def on_step_end(self, step: int, loss: float) -> None:
        """Look at the loss."""
        if isfinite(loss) or self.stop:
            return
        self.stop = True
        at = "" if self.opt is None else f", learning rate {self.opt.lr:.6g}"
        self.reason = f"loss {float(loss)} at step {step}{at}"
