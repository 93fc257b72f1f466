"""Callbacks for ``model.fit``: rates by a schedule or a plateau, a finder, and a monitor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from .. import instruments
from .._domain import Choice
from .._schedule import RATE
from .._schedule import Schedule as OwnSchedule
from ..callbacks import plateau_of, reached, reduced
from ..instruments.diagnosis.curve import Curve
from ..instruments.diagnosis.monitor import COUNT, LANGUAGE
from ..instruments.diagnosis.verdict import Diagnosis, judge
from ..instruments.finder.family import Family, named
from ..instruments.finder.find import LRFindResult
from ..optimizers import __all__ as RULES
from ._optimizer import Optimizer
from ._run import BatchLoss, Kept, inner, rate_of
from .schedules import Schedule

__all__ = ["EvaluateAverage", "LRFinder", "LearningRateScheduler", "Monitor", "ReduceLROnPlateau"]

ON_DIVERGENCE = Choice("stop", "warn", "raise", "ignore")


class LearningRateScheduler(keras.callbacks.LearningRateScheduler):
    """Set the rate at the start of each epoch.

    Parameters
    ----------
    schedule : lrcore.Schedule or callable
        A schedule, of epochs (the first is 0); or, as in Keras, ``schedule(epoch, lr) -> lr``.
    verbose : int, default 0
        1 prints the rate.

    Examples
    --------
    >>> import lrcore.keras.callbacks as callbacks  # doctest: +SKIP
    >>> s = lrcore.schedules.Cosine(1e-3, steps=20)  # doctest: +SKIP
    >>> model.fit(x, y, epochs=20, callbacks=[callbacks.LearningRateScheduler(s)])  # doctest: +SKIP
    """

    def __init__(self, schedule: OwnSchedule | Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(
                "lrcore.keras.LearningRateScheduler: schedule must be a schedule of lrcore or a "
                f"function of (epoch, lr), got {schedule!r}"
            )
        epochs: Any = schedule
        if isinstance(schedule, OwnSchedule):
            own = schedule

            def epochs(epoch: int, lr: float) -> float:
                return own(epoch)

        super().__init__(epochs, verbose=verbose)


class ReduceLROnPlateau(keras.callbacks.Callback):
    """Reduce the rate when a metric has stopped getting better: Keras's, and for schedules too.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The metric's name.
    factor : float in (0, 1), default 0.1
        What a reduction multiplies by.
    patience : int >= 0, default 10
        At the last of so many epochs in a row that are no better the rate falls.
    verbose : int, default 0
        1 prints a line at each reduction.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower is better, or higher.
    min_delta : float in [0, inf), default 1e-4
        By how much a metric must be better to count.
    cooldown : int >= 0, default 0
        Epochs after a reduction that are not counted.
    min_lr : float in [0, inf), default 0.0
        No rate is reduced below it.

    Notes
    -----
    A rate that is a schedule of lrcore goes on in its shape, reduced. Keras's own callback stops
    with an error there.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        self._who = "lrcore.keras.ReduceLROnPlateau"
        self._given = (monitor, factor, patience, mode, min_delta, cooldown)
        self.monitor, self.factor, self.verbose = monitor, factor, verbose
        self.min_lr = float(RATE.check(self._who, "min_lr", min_lr))
        self.plateau = plateau_of(self._who, *self._given)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget what an earlier training showed, as Keras does."""
        self.plateau = plateau_of(self._who, *self._given)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take note of the metric, and reduce the rate if it is time."""
        logs = logs if logs is not None else {}
        optimizer = self.model.optimizer
        before = rate_of(optimizer)
        logs["learning_rate"] = before
        numbers = {k: float(v) for k, v in logs.items()}
        if not reached(self._who, self.plateau, self.monitor, numbers) or before <= self.min_lr:
            return
        found = inner(optimizer)._learning_rate
        if isinstance(found, Schedule):
            optimizer.learning_rate = Schedule(reduced(found.schedule, self.factor, self.min_lr))
        elif callable(found) and not isinstance(found, keras.Variable):
            raise TypeError(
                f"{self._who}: learning_rate must be a number or a schedule of lrcore, "
                f"got {type(found).__name__}"
            )
        else:
            optimizer.learning_rate = reduced(before, self.factor, self.min_lr)
        if self.verbose:
            print(f"epoch {epoch + 1}: learning rate {rate_of(optimizer):.6g}, was {before:.6g}")


class EvaluateAverage(keras.callbacks.Callback):
    """Validate, and end, at the average that a schedule-free rule keeps.

    Put first among the callbacks. `ScheduleFreeSGD` and `ScheduleFreeAdamW` train at one point and
    mean another, their average, see `lrcore.Optimizer.eval`; without this callback validation shows
    the point that is trained. For other rules it does nothing. After the training the model is at
    the average; ``optimizer.train()`` brings it back.
    """

    def _move(self, how: str) -> None:
        optimizer = inner(self.model.optimizer)
        if isinstance(optimizer, Optimizer):
            getattr(optimizer, how)()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Go to the point that is trained."""
        self._move("train")

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Go to the average."""
        self._move("eval")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Go back."""
        self._move("train")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Stay at the average."""
        self._move("eval")


class LRFinder(keras.callbacks.Callback):
    """A range test inside ``fit``: find a rate, and leave model and optimizer as they were.

    Parameters
    ----------
    start, end : float in (0, inf), default 1e-7 and 10
        The first rate and the last.
    steps : int >= 10, default 100
        Batches from `start` to `end`.
    repeats : int >= 1, default 1
        How often all of this is done.
    short : int >= 0, default 150
        Batches of short trainings after each sweep, which make the answer much more accurate.

    Attributes
    ----------
    result : LRFindResult or None
        What was found, when the training has ended; ``result.suggested`` is the rate.

    Notes
    -----
    Each batch is one update, and ``fit`` is stopped when the test is done; give it enough epochs,
    at most ``repeats * (steps + short)`` batches, or the result is not reliable.
    Everything that Keras keeps in variables is put back before each part and at the end, and the
    state of the rule. The data go on: a part has other batches than the one before, where
    `lrcore.lr_find` has the same. An optimizer of Keras must have a rate that can be set, no
    schedule; those of :mod:`lrcore.keras` may have one.

    Examples
    --------
    >>> finder = lrcore.keras.callbacks.LRFinder()  # doctest: +SKIP
    >>> model.fit(x, y, epochs=50, callbacks=[finder], verbose=0)  # doctest: +SKIP
    >>> print(finder.result)  # doctest: +SKIP
    """

    def __init__(
        self,
        start: float = 1e-7,
        end: float = 10.0,
        steps: int = 100,
        repeats: int = 1,
        short: int = 150,
    ) -> None:
        super().__init__()
        self._options: dict[str, Any] = {
            "start": start,
            "end": end,
            "steps": steps,
            "repeats": repeats,
            "short": short,
        }
        instruments.LRFinder(**self._options)  # says what is wrong with them
        self.result: LRFindResult | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keep everything."""
        optimizer = inner(self.model.optimizer)
        self._own = isinstance(optimizer, Optimizer)
        rate = optimizer._learning_rate
        if not self._own and not isinstance(rate, keras.Variable):
            raise TypeError(
                "lrcore.keras.LRFinder: the optimizer must have a learning_rate that can be set, "
                f"got {type(rate).__name__}; compile the model with a number"
            )
        if getattr(self.model, "steps_per_execution", 1) not in (1, None):
            raise ValueError(
                "lrcore.keras.LRFinder: steps_per_execution must be 1, "
                f"got {self.model.steps_per_execution}"
            )
        self._kept = Kept(self.model)
        self._finder = instruments.LRFinder(**self._options)
        self._finder._family = _family(optimizer)
        self._loss = BatchLoss(self.model)
        self.result = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the rate of the batch."""
        if self._finder.done:
            return
        if self._finder.begins:
            self._kept.put_back()
        optimizer = inner(self.model.optimizer)
        if self._own:
            optimizer._host.rate = self._finder.ask()
        else:
            optimizer.learning_rate = self._finder.ask()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the loss; stop when it is done."""
        if not self._finder.done:
            self._finder.tell(self._loss.of(logs))
        if self._finder.done:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put everything back."""
        self._kept.put_back()
        if self._own:
            inner(self.model.optimizer)._host.rate = None
        self.result = self._finder.result()
        if not self._finder.done:
            early = "the training ended before the test did: give fit more epochs"
            self.result = replace(self.result, reasons=(early, *self.result.reasons[1:]))


def _family(optimizer: Any) -> Family | None:
    """What kind of steps an optimizer makes, where that is known."""
    if isinstance(optimizer, Optimizer):
        return named("LRFinder", optimizer.core)
    name = type(optimizer).__name__
    return named("LRFinder", name) if name in RULES else None


class Monitor(keras.callbacks.Callback):
    """Watch a training: whether the rate is right, whether it diverges, overfits or stands still.

    Parameters
    ----------
    lang : {"en", "zh"}, default "en"
        The language of the report.
    every : int >= 0, optional
        As of `lrcore.Monitor`.
    on_divergence : {"stop", "warn", "raise", "ignore"}, default "stop"
        What to do, once, when the training has diverged: end it, or as `lrcore.Monitor`.
    verbose : int, default 1
        1 prints the diagnosis at the end of the training.

    Attributes
    ----------
    diagnosis : Diagnosis or None
        What is to be said of the training, when it has ended.

    Notes
    -----
    With an optimizer of :mod:`lrcore.keras` gradients and steps are measured; with one of Keras
    there are losses and rates alone, a diagnosis is less sure, and of a divergence it is only
    noticed that a loss is inf or NaN.
    """

    def __init__(
        self,
        lang: str = "en",
        every: int | None = None,
        on_divergence: str = "stop",
        verbose: int = 1,
    ) -> None:
        super().__init__()
        who = "lrcore.keras.Monitor"
        self._on_divergence = ON_DIVERGENCE.check(who, "on_divergence", on_divergence)
        self._lang = LANGUAGE.check(who, "lang", lang)
        self._every = None if every is None else COUNT.check(who, "every", every)
        self._verbose = verbose
        self.diagnosis: Diagnosis | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin anew."""
        optimizer = inner(self.model.optimizer)
        self._loss = BatchLoss(self.model)
        self._watch: Any
        if isinstance(optimizer, Optimizer):
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            core = optimizer.core
            assert core is not None
            self._watch = instruments.Monitor(
                core,
                lang=self._lang,
                every=self._every,
                on_divergence="ignore" if self._on_divergence == "stop" else self._on_divergence,
            )
        else:
            self._watch = _Losses(self.model.optimizer, self._lang, self._on_divergence)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the loss."""
        self._watch.update(self._loss.of(logs))
        if self._watch.stop and self._on_divergence == "stop":
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the validation loss."""
        self._watch.on_epoch_end(epoch, logs or {})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Say what there is to say."""
        self.diagnosis = self._watch.report()
        self._watch.close()
        if self._verbose:
            print(self.diagnosis)


class _Losses:
    """The little that there is to watch of an optimizer of Keras."""

    def __init__(self, optimizer: Any, lang: str, on_divergence: str) -> None:
        self._optimizer, self._lang, self._on_divergence = optimizer, lang, on_divergence
        self._curve = Curve()
        self._waiting: list[tuple[float, float, float]] = []
        self.stop = False

    def update(self, loss: float) -> None:
        """A batch."""
        self._waiting.append((loss, rate_of(self._optimizer), np.nan))
        if np.isfinite(loss) or self.stop:
            return
        self.stop = True
        text = f"lrcore.keras.Monitor: the training has diverged, loss {loss}"
        if self._on_divergence == "raise":
            raise instruments.DivergedError(
                self._curve.steps + len(self._waiting) - 1, loss, self._waiting[-1][1], text, ""
            )
        if self._on_divergence == "warn":
            warnings.warn(text, instruments.DivergedWarning, stacklevel=2)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """An epoch, which may bring a validation loss."""
        if self._waiting and "val_loss" in logs:
            loss, rate, _ = self._waiting[-1]
            self._waiting[-1] = loss, rate, float(logs["val_loss"])
        self._flush()

    def _flush(self) -> None:
        if self._waiting:
            loss, rate, val = np.array(self._waiting).T
            self._curve.extend(loss, rate, val)
            self._waiting = []

    def report(self) -> Diagnosis:
        """The diagnosis of the losses so far."""
        self._flush()
        return judge(self._curve, lang=self._lang)

    def close(self) -> None:
        """Nothing is held."""
