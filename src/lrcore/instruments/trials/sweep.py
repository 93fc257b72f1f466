"""Sweeps: one training a learning rate and seed, on any executor, and the rate to use."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._domain import Choice, Interval
from .runs import (
    SweepError,
    SweepRun,
    checked_callback,
    checked_function,
    checked_rates,
    checked_seeds,
    run_all,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SweepError", "SweepResult", "SweepRun", "lr_sweep", "rates"]

Floats = NDArray[np.float64]
RULE = Choice("1se", "best")
INITIAL = Interval(-math.inf, math.inf, closed_low=False, closed_high=False, optional=True)
RATE = Interval(0, math.inf, closed_low=False, closed_high=False)


def rates(low: float, high: float, per_decade: int = 2) -> tuple[float, ...]:
    """Learning rates in equal ratios from `low` to `high`, both included.

    Parameters
    ----------
    low, high : float in (0, inf)
        The ends, `low` < `high`.
    per_decade : int in [1, 100], default 2
        Rates per factor of ten; the nearest number that fits between the ends is taken.

    Returns
    -------
    tuple of float
        Rising; those between the ends rounded to four digits.

    Raises
    ------
    TypeError, ValueError
        An argument outside its domain.

    Examples
    --------
    >>> from lrcore.instruments import rates
    >>> rates(1e-3, 1, per_decade=2)
    (0.001, 0.003162, 0.01, 0.03162, 0.1, 0.3162, 1.0)
    """
    first, last = RATE.check("rates", "low", low), RATE.check("rates", "high", high)
    count = Interval(1, 100, integer=True).check("rates", "per_decade", per_decade)
    if not first < last:
        raise ValueError(f"rates: high must be above low = {first!r}, got {last!r}")
    steps = max(1, round(math.log10(last / first) * count))
    between = (first * (last / first) ** (k / steps) for k in range(1, steps))
    return (first, *(float(f"{rate:.4g}") for rate in between), last)


@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep found; `lr_sweep` and `cross_validate_lr` return it.

    Attributes
    ----------
    lrs : ndarray of float64, shape (rates,)
        The rates in the order they were given.
    seeds : tuple of int
        The columns: seeds, or numbers of folds.
    runs : tuple of SweepRun
        The runs that were made, rate after rate and seed after seed.
    interrupted : bool
        Whether Ctrl-C came before all were made.
    initial : float or None
        The score before training, if it was given.
    rule : "1se" or "best"
        How `chosen` chooses.
    column : "seed" or "fold"
        What a column is.
    seconds : float
        How long the whole took, by the clock.

    Notes
    -----
    Best and chosen. `best` has the lowest mean score. How good a rate is, is known up to the
    standard error of its mean only, so that rates within one standard error of the best cannot be
    told from it; Breiman et al. ("Classification and Regression Trees", 1984, 3.4.3) then take
    the simplest. No rate is simpler than another, but one at the rim of what works is worse than
    one inside: the score rises steeply above, where training diverges, and slowly below. `chosen`
    is therefore the middle one of the unbroken `band` of rates round the best whose means are
    within one standard error of the best mean; of two in the middle it is the smaller.

    Examples
    --------
    >>> import lrcore
    >>> def train(lr, seed):
    ...     return (lr - 0.1) ** 2
    >>> result = lrcore.lr_sweep(train, [0.01, 0.1, 1.0])
    >>> result.best, result.chosen, result.edge
    (0.1, 0.1, None)
    """

    lrs: Floats
    seeds: tuple[int, ...]
    runs: tuple[SweepRun, ...]
    interrupted: bool = False
    initial: float | None = None
    rule: str = "1se"
    column: str = "seed"
    seconds: float = 0.0

    @cached_property
    def scores(self) -> Floats:
        """Shape (rates, seeds): inf where a run diverged, NaN where it failed or was not made."""
        table = np.full((len(self.lrs), len(self.seeds)), np.nan)
        row = {float(lr): i for i, lr in enumerate(self.lrs)}
        column = {seed: j for j, seed in enumerate(self.seeds)}
        for run in self.runs:
            score = math.inf if run.diverged else run.score
            table[row[run.lr], column[run.seed]] = score
        return table

    @cached_property
    def means(self) -> Floats:
        """Mean score of each rate over the runs it has: inf if one diverged, NaN if it has none."""
        count = self._counts
        total = np.where(np.isnan(self.scores), 0.0, self.scores).sum(axis=1)
        out = np.full(len(self.lrs), np.nan)
        np.divide(total, count, out=out, where=count > 0)
        return out

    @cached_property
    def errors(self) -> Floats:
        """Standard error of each mean: NaN with fewer than two runs, or if one diverged."""
        out = np.full(len(self.lrs), np.nan)
        for i, row in enumerate(self.scores):
            made = row[~np.isnan(row)]
            if len(made) > 1 and np.isfinite(made).all():
                out[i] = made.std(ddof=1) / math.sqrt(len(made))
        return out

    @cached_property
    def adjusted(self) -> Floats:
        """The means that rates are compared by.

        They are `means` where every rate has every run. Where a rate lacks some, it is compared
        with the best of those that lack the fewest, over the seeds (or folds) that both have, so
        that a rate is not thought good for lacking the worst of them: the mean difference there
        is added to the mean of the other.
        """
        out = self.means.copy()
        finite = np.flatnonzero(np.isfinite(self.means))
        if not len(finite):
            return out
        by = min(finite, key=lambda i: (-self._counts[i], self.means[i]))
        for i in finite:
            both = np.isfinite(self.scores[i]) & np.isfinite(self.scores[by])
            if self._counts[i] < self._counts[by] and both.any():
                out[i] = self.means[by] + (self.scores[i] - self.scores[by])[both].mean()
        return out

    @property
    def _counts(self) -> NDArray[np.int64]:
        return np.asarray((~np.isnan(self.scores)).sum(axis=1), dtype=np.int64)

    @cached_property
    def _order(self) -> list[int]:
        """Rows of the rates that have a run, by rate."""
        return [int(i) for i in np.argsort(self.lrs, kind="stable") if self._counts[i]]

    @cached_property
    def _best(self) -> int | None:
        """Row of the best rate; of equally good ones that in the middle."""
        lowest = min((self.adjusted[i] for i in self._order), default=math.inf)
        equal = [i for i in self._order if self.adjusted[i] == lowest]
        return equal[(len(equal) - 1) // 2] if math.isfinite(lowest) else None

    @property
    def best(self) -> float:
        """The rate with the lowest mean score; of equal ones the middle. NaN if all diverged."""
        return math.nan if self._best is None else float(self.lrs[self._best])

    @cached_property
    def _band(self) -> list[int]:
        """Rows of `band`, by rate."""
        if self._best is None:
            return []
        error = self.errors[self._best]
        limit = self.adjusted[self._best] + (0.0 if math.isnan(error) else error)
        order, at = self._order, self._order.index(self._best)
        first = last = at
        while first > 0 and self.adjusted[order[first - 1]] <= limit:
            first -= 1
        while last + 1 < len(order) and self.adjusted[order[last + 1]] <= limit:
            last += 1
        return order[first : last + 1]

    @property
    def band(self) -> tuple[float, float]:
        """Lowest and highest of the neighbours of the best within one standard error of it."""
        if not self._band:
            return math.nan, math.nan
        return float(self.lrs[self._band[0]]), float(self.lrs[self._band[-1]])

    @property
    def chosen(self) -> float:
        """The rate to use: by `rule` the middle of `band`, or the best. NaN if all diverged."""
        if self.rule == "best" or not self._band:
            return self.best
        if math.isnan(self.errors[self._best]):
            return self.best
        return float(self.lrs[self._band[(len(self._band) - 1) // 2]])

    @property
    def edge(self) -> str | None:
        """Whether the best rate is the smallest ("low") or largest ("high") that has a score.

        A better one may be beyond. None if it is inside, or if there is one rate only.
        """
        if self._best is None or len(self._order) < 2:
            return None
        return {self._order[0]: "low", self._order[-1]: "high"}.get(self._best)

    @property
    def lr_sensitivity(self) -> float:
        """How much a wrong rate costs: mean over the rates of min(mean score, initial) - best.

        0 if all rates are equally good; in units of the score, and it depends on the range of the
        rates. Without `initial` a rate that diverged counts as the worst that did not, so that the
        figure is a lower bound. NaN if every rate diverged.

        Notes
        -----
        Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities"
        (2023), 2.2, who take the loss at initialization for `initial` and rates in equal ratios
        from 3e-4 to 3e-1.
        """
        means = self.adjusted[self._order]
        finite = means[np.isfinite(means)]
        if not len(finite):
            return math.nan
        capped = np.minimum(means, finite.max() if self.initial is None else self.initial)
        return float(np.mean(capped - min(finite.min(), capped.min())))

    @property
    def failures(self) -> tuple[SweepRun, ...]:
        """The runs that raised something other than a divergence."""
        return tuple(run for run in self.runs if run.failed)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the answer is trusted; empty if there is nothing."""
        from .sweep_text import notes

        return notes(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; None for what is not finite."""
        return {
            "lrs": self.lrs.tolist(),
            f"{self.column}s": list(self.seeds),
            "scores": [[_plain(x) for x in row] for row in self.scores],
            "means": [_plain(x) for x in self.means],
            "errors": [_plain(x) for x in self.errors],
            "best": _plain(self.best),
            "chosen": _plain(self.chosen),
            "rule": self.rule,
            "band": [_plain(x) for x in self.band],
            "edge": self.edge,
            "lr_sensitivity": _plain(self.lr_sensitivity),
            "initial": self.initial,
            "interrupted": self.interrupted,
            "notes": list(self.notes),
            "seconds": self.seconds,
            "runs": [run.to_dict() for run in self.runs],
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the scores over the rates: `lrcore.plot.sweep`."""
        from ... import plot

        return plot.sweep(self, ax=ax)

    def __str__(self) -> str:
        from .sweep_text import text

        return text(self)


def _plain(x: float) -> float | None:
    """A float that JSON knows, or None."""
    return float(x) if math.isfinite(x) else None


def lr_sweep(
    train: Callable[[float, int], float],
    lrs: Iterable[float],
    *,
    seeds: Iterable[int] = (0,),
    executor: Executor | None = None,
    initial: float | None = None,
    rule: str = "1se",
    on_run: Callable[[SweepRun], object] | None = None,
) -> SweepResult:
    """Train once for every learning rate and seed, and say which rate to use.

    Parameters
    ----------
    train : function (lr: float, seed: int) -> float
        Trains from the start with this rate, and returns a score of which less is better: a
        validation loss, or an error rate. Everything random in it has to come from `seed`; then
        the result does not depend on the executor. inf, NaN, FloatingPointError (`NonFiniteError`)
        and OverflowError mean that the run diverged.
    lrs : iterable of float in (0, inf)
        The rates, distinct; see `rates`.
    seeds : iterable of int, default (0,)
        Distinct. With one seed there is no standard error, and `chosen` is `best`.
    executor : concurrent.futures.Executor, default None
        Where the runs are made, one task each: threads, processes, ``Client.get_executor()`` of
        Dask, MPI. None: here, one after the other. It is not shut down. A pool of processes needs
        a `train` that can be pickled.
    initial : float, default None
        Score before training, for `SweepResult.lr_sensitivity`.
    rule : "1se" or "best", default "1se"
        How `SweepResult.chosen` chooses.
    on_run : function (SweepRun), default None
        Called here after each run, in the order in which they end.

    Returns
    -------
    SweepResult
        Also if some runs failed, which it lists, and after Ctrl-C with the runs made until then.
        Runs that are under way on an executor are then awaited; a second Ctrl-C does not wait.

    Raises
    ------
    TypeError, ValueError
        An argument outside its domain, before any run.
    SweepError
        Every run raised something that is not a divergence. Its ``runs`` have the errors.
    KeyboardInterrupt
        Ctrl-C before the first run had ended.

    Notes
    -----
    The first seed of every rate is run before the second of any, so that an interrupted sweep has
    seen as many rates as it could.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> def train(lr, seed):
    ...     w = np.random.default_rng(seed).normal(size=3)
    ...     opt = lrcore.SGD(w, lr=lr)
    ...     for _ in range(20):
    ...         opt.step(w * [1.0, 2.0, 4.0])
    ...     return float((w * w) @ [1.0, 2.0, 4.0])
    >>> result = lrcore.lr_sweep(train, [0.01, 0.03, 0.1, 0.3, 1.0], seeds=[0, 1, 2])
    >>> result.best, result.scores.shape
    (0.3, (5, 3))
    """
    who = "lr_sweep"
    checked_function(who, "train", train)
    grid, columns = checked_rates(who, "lrs", lrs), checked_seeds(who, seeds)
    INITIAL.check(who, "initial", initial)
    RULE.check(who, "rule", rule)
    called = checked_callback(who, on_run)
    jobs = [(lr, seed, (lr, seed)) for seed in columns for lr in grid]
    start = time.perf_counter()
    made, interrupted = run_all(who, train, jobs, executor, called)
    result = swept(grid, columns, made.values(), interrupted, initial, rule)
    return replace(result, seconds=time.perf_counter() - start)


def swept(
    grid: tuple[float, ...],
    columns: tuple[int, ...],
    runs: Iterable[SweepRun],
    interrupted: bool,
    initial: float | None = None,
    rule: str = "1se",
    column: str = "seed",
) -> SweepResult:
    """Put runs in the order of the grid."""
    place = {lr: i for i, lr in enumerate(grid)}
    ordered = sorted(runs, key=lambda run: (place[run.lr], columns.index(run.seed)))
    return SweepResult(np.array(grid), columns, tuple(ordered), interrupted, initial, rule, column)
