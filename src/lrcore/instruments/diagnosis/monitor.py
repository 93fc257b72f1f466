"""Monitor: watch a run while it trains, at almost no cost, and say what is wrong with it."""

from __future__ import annotations

import warnings
from copy import copy
from math import inf, isfinite, nan
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _core
from ..._domain import Choice, Interval
from ..._optimizer import Optimizer
from ...callbacks import Callback
from .._own import own
from . import checks, words
from .curve import STATS, Curve
from .thresholds import LIMIT
from .verdict import Diagnosis, Finding, judge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

__all__ = ["DivergedError", "DivergedWarning", "Monitor"]

ROWS = 4096  # updates that wait for the curve
BLOCK = 128  # updates between two looks at the level of the loss
FIRST = 32  # before the first look; each next wait is twice as long, up to BLOCK
SKIPPED = 10  # losses in a row that are not finite, where steps may be skipped
#: Unless asked otherwise, four steps in SELDOM are measured at first; once ROUNDS times FOUR steps
#: have shown how long the loop takes, as often as costs no more than SHARE of that. What it costs
#: is what bench/instruments/monitor.py finds, amply: seconds a step and parameter.
FOUR, SELDOM, ROUNDS, SHARE = 4, 1024, 4, 0.03
COST_STEP, COST_PARAMETER = 1e-6, 5e-10
SMALL = 4096  # parameters, below which all steps are measured: it takes a microsecond or two

LOSS, VAL_LOSS, LR = (_core.RECORD.index(name) for name in ("loss", "val_loss", "lr"))
COLUMNS = {name: _core.RECORD.index(name) for name in STATS}

LANGUAGE = Choice(*words.LANGUAGES)
ON_DIVERGENCE = Choice("warn", "raise", "ignore")
COUNT = Interval(0, 2**31, integer=True)


class DivergedWarning(UserWarning):
    """A run has diverged."""


class DivergedError(RuntimeError):
    """A run has diverged.

    Attributes
    ----------
    step : int
        The update at which it was noticed, from 0.
    loss, lr : float
        There.
    reason, advice : str
        What was found, and what to do next.
    """

    def __init__(self, step: int, loss: float, lr: float, reason: str, advice: str) -> None:
        super().__init__(step, loss, lr, reason, advice)
        self.step, self.loss, self.lr, self.reason, self.advice = step, loss, lr, reason, advice

    def __str__(self) -> str:
        numbers = f"loss {self.loss:.6g}, learning rate {self.lr:.6g}"
        where = f"diverged at update {self.step} ({numbers})."
        return " ".join(filter(None, (where, self.reason, self.advice)))


class Monitor(Callback):
    """Watch a run: told the loss at every step, it says whether the learning rate is right.

    Parameters
    ----------
    opt : Optimizer
        What makes the steps, of `lrcore` or `lrcore.torch`. Learning rates are those of its first
        group.
    lang : {"en", "zh"}, default "en"
        The language of reports and warnings.
    every : int >= 0, optional
        Measure four updates in a row out of so many; 1 to 4 measure all, 0 none. The default
        measures all where there are fewer than 4096 parameters, and otherwise as often as a loop
        becomes 3 % longer by: it takes the time of 16 updates, and stays at one of 1, 8, 16, ...,
        1024 (where a loop makes steps and nothing else). Of no effect where `opt` was made with
        ``stats=True``, which measures all steps.
    on_divergence : {"warn", "raise", "ignore"}, default "warn"
        What to do, once, when the run has diverged: a `DivergedWarning`, a `DivergedError`, or
        nothing; `stop` says so in any case.

    Attributes
    ----------
    stop : bool
        Whether the run has diverged.

    Notes
    -----
    What it measures: the cosine of gradient and previous step, the norms of gradients, steps and
    parameters, and, where `update` is also told the loss of the same batch after the step, the gain
    ratio. A diagnosis is the surer the more there is of them. Which steps are measured may differ
    from run to run by default, since times do; with `every` it does not.

    An optimizer that was made without ``stats=True`` measures from the next step on, and has
    `Optimizer.stats` of the last step that was measured; this takes 4 bytes a parameter, see
    `Optimizer.stats`. Steps with a `RowGrad` are not measured. `close`, or the end of a ``with``,
    gives the memory back. Parameters and state are never changed.

    The run is kept in a `Curve`: memory does not grow with the number of updates. A monitor can be
    copied and pickled; it takes its optimizer along.

    A run has diverged when a loss is inf or NaN (with ``nonfinite="skip"``, at the tenth in a row),
    or when `diagnose` would say so of what it has seen: the level of the losses has risen, surely,
    to above twice that at the start, or lost most of what was gained. The level is looked at after
    32 and 96 updates and every 128 from there on, and thoroughly only where it looks risen.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> rng = np.random.default_rng(0)
    >>> curvature = np.geomspace(0.1, 1.0, 50)
    >>> w = rng.standard_normal(50)
    >>> opt = lrcore.SGD(w, lr=1e-3)
    >>> with lrcore.Monitor(opt, every=1) as monitor:
    ...     for _ in range(1000):
    ...         grad = curvature * w + 0.01 * rng.standard_normal(50)
    ...         loss = 0.5 * np.sum(curvature * w**2)
    ...         _ = opt.step(grad)
    ...         monitor.update(loss)
    ...     print(monitor.report().rate)
    too_low
    """

    def __init__(
        self,
        opt: Optimizer,
        *,
        lang: str = "en",
        every: int | None = None,
        on_divergence: str = "warn",
    ) -> None:
        opt = own(opt)
        if not isinstance(opt, Optimizer):
            raise TypeError(
                f"Monitor: opt must be an optimizer of lrcore, got {type(opt).__name__}; "
                "diagnose(losses) judges a run with any other"
            )
        always = opt._layout.whole.stats
        if every is None:
            size = sum(leaf.array.size for leaf in opt._layout.leaves)
            every = SELDOM if size >= SMALL else 1
            self._timed = 0 if every == 1 or always else size
        else:
            self._timed = 0
        every = COUNT.check("Monitor", "every", every)
        self._on_divergence = ON_DIVERGENCE.check("Monitor", "on_divergence", on_divergence)
        self._opt, self._lang = opt, LANGUAGE.check("Monitor", "lang", lang)
        self._before = None if always else opt._watch(every)
        self._curve = Curve()
        self._rows = np.empty((ROWS + 1, len(_core.RECORD)))
        self._n = 0  # rows that wait
        self._block = FIRST  # updates before the next look
        self._next = FOUR if self._timed else FIRST  # the row at which there is more to do
        self._since, self._fastest = nan, inf  # of FOUR updates: when they began; the least time
        self._bad = 0  # losses in a row that are not finite, up to this one
        self._last_bad = -1
        self._lowest = inf  # level of a block
        self._due = 0  # updates before the next thorough look
        self.stop = False

    # ------------------------------------------------------------------------- each step

    def update(self, loss: Any, val_loss: Any = None, *, loss_after: Any = None) -> None:
        """Take note of a step, after it was made.

        Parameters
        ----------
        loss : float
            Of the batch, before the step. An array of one element will do. What is no number
            counts as NaN, which is a finding.
        val_loss : float, optional
            The validation loss, where there is one now.
        loss_after : float, optional
            The loss of the same batch after the step, for the gain ratio; it is of use where the
            step was measured (`measured`), and with ``maximize`` is minus what is maximized, as
            `loss` is.

        Raises
        ------
        DivergedError
            The run has diverged, and `on_divergence` is "raise".
        """
        if type(loss) is not float:
            loss = _number(loss)
        n = self._n
        self._opt._plan.record(
            self._rows,
            n,
            loss,
            nan if val_loss is None else _number(val_loss),
            nan if loss_after is None else _number(loss_after),
        )
        self._n = n = n + 1
        if loss - loss != 0:
            self._not_finite()
        elif n >= self._next:
            self._look()

    @property
    def measured(self) -> bool:
        """Whether the last step was measured: if not, `update` has no use for a `loss_after`."""
        return bool(self._opt._plan.measuring)

    @property
    def steps(self) -> int:
        """Updates it was told of."""
        return self._curve.steps + self._n

    # ------------------------------------------------------------------------- the answer

    def report(self) -> Diagnosis:
        """What is to be said of the run so far; the same as `diagnose` says of the same numbers.

        Returns
        -------
        Diagnosis
        """
        return judge(self._seen(), rule=self._opt, lang=self._lang)

    def close(self) -> None:
        """Stop measuring and give the memory for it back; `report` still works."""
        if self._before is not None:
            self._opt._watch(self._before)
            self._before = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        diverged = ", diverged" if self.stop else ""
        return f"<Monitor of {type(self._opt).__name__}, {self.steps} updates{diverged}>"

    # -------------------------------------------------------------------- as a callback

    why = "diverged"

    def on_step_end(self, step: int, loss: Any) -> None:
        """`update`, after each step."""
        self.update(loss)

    def on_epoch_end(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Take ``metrics["val_loss"]``, where there is one, as of the last update."""
        value = metrics.get("val_loss")
        if value is not None and self._n:
            self._rows[self._n - 1, VAL_LOSS] = _number(value)

    # ---------------------------------------------------------------------------- inside

    def _seen(self) -> Curve:
        """The curve of all updates so far."""
        curve = copy(self._curve)
        _extend(curve, self._rows[: self._n])
        return curve

    def _flush(self) -> None:
        """Put what waits into the curve, but for the last update, whose epoch may end."""
        last = self._n - 1
        _extend(self._curve, self._rows[:last])
        self._rows[0] = self._rows[last]
        self._n, self._next = 1, 1 + self._block

    def _not_finite(self) -> None:
        """A loss is inf or NaN."""
        step = self.steps - 1
        self._bad = self._bad + 1 if self._last_bad == step - 1 else 1
        self._last_bad = step
        skips = self._opt._layout.whole.nonfinite == "skip"
        if self._bad >= (SKIPPED if skips else 1):
            self._diverged()
        if self._n >= self._next:
            self._look()

    def _look(self) -> None:
        """Look at the level of the last block; as thoroughly as `diagnose` where it has risen."""
        if self._timed:
            self._time()
            return
        level = float(self._rows[self._next - self._block : self._next, LOSS].mean())
        self._block = min(2 * self._block, BLOCK)
        self._next += self._block
        rise = LIMIT["level_ratio"] - 1
        risen = not level <= self._lowest + rise * abs(self._lowest)
        self._lowest = level if level < self._lowest else self._lowest
        if self._next > len(self._rows) or (risen and self.steps >= self._due):
            self._flush()
        if risen and self.steps >= self._due and not self.stop:
            far = level > LIMIT["diverged_ratio"] * self._lowest > 0
            self._due = self.steps + (4 * BLOCK if far else max(self.steps // 8, 4 * BLOCK))
            curve = self._seen()
            found = checks.diverged(curve, checks.levels(curve))
            if found is not None and found.statistic != "nonfinite":
                self._diverged()

    def _time(self) -> None:
        """Find out how often to measure: the loop's own time is that of its fastest few updates."""
        now = perf_counter()
        self._fastest = min(self._fastest, now - self._since) if self._next > FOUR else inf
        self._since, self._next = now, self._next + FOUR
        if self._next <= (1 + ROUNDS) * FOUR:
            return
        seconds = FOUR * (COST_STEP + COST_PARAMETER * self._timed)
        share = seconds / SHARE / max(self._fastest / FOUR, 1e-9)
        every = next((2**k for k in range(3, 10) if share <= 2**k), SELDOM)
        self._timed, self._next = 0, self._block
        if self._before is not None:
            self._opt._watch(1 if share <= FOUR else every)

    def _diverged(self) -> None:
        """Say so, once."""
        if self.stop:
            return
        self.stop = True
        if self._on_divergence == "ignore":
            return
        curve = self._seen()
        loss, lr = self._rows[self._n - 1, [LOSS, LR]].tolist()
        if isfinite(loss):
            found = checks.diverged(curve, checks.levels(curve))
        else:
            found = checks.nonfinite(curve)
        reason = advice = ""
        if found is not None:
            finding = Finding(*found)
            reason, advice = finding.text(self._lang), finding.advice(self._lang)
        error = DivergedError(self.steps - 1, loss, lr, reason, advice)
        if self._on_divergence == "raise":
            raise error
        warnings.warn(f"Monitor: {error}", DivergedWarning, stacklevel=4)


def _extend(curve: Curve, rows: NDArray[np.float64]) -> None:
    stats = {name: rows[:, column] for name, column in COLUMNS.items()}
    curve.extend(rows[:, LOSS], rows[:, LR], rows[:, VAL_LOSS], **stats)


def _number(value: Any) -> float:
    """A number, or an array of one; NaN for anything else."""
    if isinstance(value, (str, bytes)):
        return nan
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return nan
