"""What a job is (`Task`) and the loop that does it (`fit`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

import lrcore
from lrcore.callbacks import Callback

Array: TypeAlias = NDArray[Any]
Params: TypeAlias = dict[str, Array]


class DataError(ValueError):
    """Data that cannot be trained on; the message says what to do about it."""


class Data(NamedTuple):
    """Rows of inputs `x` and what belongs to them, `y`."""

    x: Array
    y: Array


class Model(Protocol):
    """Parameters in, loss and gradients out; holds no parameters itself."""

    def init(self, rng: np.random.Generator) -> Params:
        """Fresh parameters."""

    def loss_and_grads(self, params: Params, data: Data) -> tuple[float, Params]:
        """Mean loss over the rows, and its gradient by parameter."""

    def scores(self, params: Params, data: Data) -> dict[str, float]:
        """How good the parameters are on `data`, by name of the measure."""


@dataclass(frozen=True, eq=False)
class Task:
    """A job: a model, its data, and how long one usually trains it.

    Everything follows from `seed`: two tasks made alike give the same bits.

    Attributes
    ----------
    name : str
        What is learned, in a few words.
    kind : str
        ``"classification"`` or ``"regression"``.
    model : Model
        Loss and gradients.
    train, test : Data
        What is trained on, and what is held out (None if nothing is).
    batch_size, epochs : int
        The usual choice; `fit` is told the number of epochs.
    seed : int
        Start of the parameters and of the shuffling.
    notes : tuple of str
        What was decided about the data, a sentence each.
    optimizer : str
        The usual rule, by the name of its class.
    weight_decay : float or None
        The usual one; None: that of the rule.
    rates : mapping of str to float
        Learning rates that train well under a cosine with warm-up, by the name of the rule; for
        those it needs other rates for than most tasks do.
    example : callable or None
        ``example(params)`` is a text that shows what the parameters do.
    """

    name: str
    kind: str
    model: Model
    train: Data
    test: Data | None
    batch_size: int
    epochs: int
    seed: int = 0
    notes: tuple[str, ...] = ()
    optimizer: str = "AdamW"
    weight_decay: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    example: Callable[[Params], str] | None = None

    @property
    def updates_per_epoch(self) -> int:
        """How many batches `batches` gives; the last may be short."""
        return -(-len(self.train.y) // self.batch_size)

    def init(self) -> Params:
        """Fresh parameters; the same bits at every call."""
        return self.model.init(np.random.default_rng(self.seed))

    def batches(self, epoch: int) -> Iterator[Data]:
        """All training rows once, in an order that depends on seed and epoch alone."""
        n = len(self.train.y)
        if self.batch_size >= n:
            yield self.train
            return
        order = np.random.default_rng((self.seed, epoch)).permutation(n)
        for start in range(0, n, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield Data(self.train.x[rows], self.train.y[rows])

    def loss_and_grads(self, params: Params, batch: Data) -> tuple[float, Params]:
        """Loss of one batch, and its gradients in the structure of `params`."""
        return self.model.loss_and_grads(params, batch)

    def evaluate(self, params: Params) -> dict[str, float]:
        """All scores, named ``train_...`` and ``test_...``."""
        parts = {"train": self.train, "test": self.test}
        return {
            f"{part}_{name}": score
            for part, data in parts.items()
            if data is not None
            for name, score in self.model.scores(params, data).items()
        }


@dataclass
class Run:
    """What happened in `fit`.

    Attributes
    ----------
    losses, lrs : list of float
        Batch loss and learning rate of every update.
    history : list of dict
        ``{"epoch": ..., **task.evaluate(params)}`` before the first epoch and after each.
    samples : int
        Rows seen, repeats counted.
    step_seconds, rest_seconds : float
        Time in ``opt.step``, and in everything else but `on_step` and callbacks.
    stopped : str
        Empty after a full run; ``"diverged"`` if the optimizer met a gradient that is not
        finite or a callback noticed that it diverged; ``"asked"`` if `on_step` or another
        callback ended it.
    """

    losses: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    samples: int = 0
    step_seconds: float = 0.0
    rest_seconds: float = 0.0
    stopped: str = ""

    @property
    def final(self) -> dict[str, float]:
        """The last evaluation."""
        return {name: score for name, score in self.history[-1].items() if name != "epoch"}

    @property
    def samples_per_second(self) -> float:
        """Rows trained on in a second, `on_step` not counted."""
        return self.samples / max(self.step_seconds + self.rest_seconds, 1e-9)


def fit(
    task: Task,
    params: Params,
    opt: lrcore.Optimizer,
    epochs: int,
    *,
    on_step: Callable[[Run], object] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Train `params` in place with `opt`, which was made for them.

    Parameters
    ----------
    task : Task
        The job.
    params : dict of str to ndarray
        Parameters, usually ``task.init()``.
    opt : lrcore.Optimizer
        Makes the updates.
    epochs : int
        Passes over the training rows.
    on_step : callable, optional
        Called with the run so far after every update; a true answer ends the run.
    callbacks : sequence of Callback
        Such as a `Monitor`: told of each epoch (from 0), each update and its loss, and at the end
        of an epoch the scores, with ``"test_loss"`` also as ``"val_loss"``; one that says `stop`
        ends the run.

    Returns
    -------
    Run
        Losses, rates, scores and times.
    """
    run = Run()
    with np.errstate(all="ignore"):  # a run that diverges is an answer, not a warning
        run.history.append({"epoch": 0, **_scores(task, params, opt)})
        for epoch in range(1, epochs + 1):
            for callback in callbacks:
                callback.on_epoch_begin(epoch - 1)
            _train_epoch(task, params, opt, epoch, run, on_step, callbacks)
            start = perf_counter()
            scores = _scores(task, params, opt)
            run.history.append({"epoch": epoch, **scores})
            run.rest_seconds += perf_counter() - start
            if "test_loss" in scores:
                scores["val_loss"] = scores["test_loss"]
            for callback in callbacks:
                callback.on_epoch_end(epoch - 1, scores)
            if run.stopped or _is_stopped(run, callbacks):
                break
    return run


def _scores(task: Task, params: Params, opt: lrcore.Optimizer) -> dict[str, float]:
    """The scores of the parameters where their rule wants them evaluated."""
    opt.eval()
    scores = task.evaluate(params)
    opt.train()
    return scores


def _train_epoch(
    task: Task,
    params: Params,
    opt: lrcore.Optimizer,
    epoch: int,
    run: Run,
    on_step: Callable[[Run], object] | None,
    callbacks: Sequence[Callback],
) -> None:
    start = perf_counter()
    for batch in task.batches(epoch):
        loss, grads = task.loss_and_grads(params, batch)
        lr = opt.lr
        before = perf_counter()
        if opt.needs_loss and not np.isfinite(loss):
            run.stopped = "diverged"
        else:
            try:
                opt.step(grads, loss=loss)
            except lrcore.NonFiniteError:
                run.stopped = "diverged"
        if run.stopped:
            for callback in callbacks:
                callback.on_step_end(len(run.losses), loss)
            return
        after = perf_counter()
        run.losses.append(loss)
        run.lrs.append(lr)
        run.samples += len(batch.y)
        run.step_seconds += after - before
        run.rest_seconds += before - start
        start = after
        if on_step is not None and on_step(run):
            run.stopped = "asked"
        for callback in callbacks:
            callback.on_step_end(len(run.losses) - 1, loss)
        if run.stopped or _is_stopped(run, callbacks):
            return
        if on_step is not None or callbacks:
            start = perf_counter()


def _is_stopped(run: Run, callbacks: Sequence[Callback]) -> bool:
    """Whether a callback wants the run to end; then the run says why."""
    for callback in callbacks:
        if callback.stop:
            run.stopped = callback.why
            return True
    return False
