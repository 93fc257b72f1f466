"""Several optimizers, each at its best rate of a small grid, and what of it is not chance."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._domain import Instance, Interval
from .runs import SweepRun, checked_function, checked_rates, checked_seeds, run_all
from .student import t_quantile
from .sweep import SweepResult, swept

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "Difference", "compare"]

Floats = NDArray[np.float64]
NAMES = Instance(
    "a dict of lists of rates by name",
    lambda x: isinstance(x, Mapping) and all(isinstance(name, str) for name in x),
)
CONFIDENCE = Interval(0.5, 1, closed_low=False, closed_high=False)


@dataclass(frozen=True)
class Difference:
    """How much worse one optimizer is than another, paired by seed.

    Attributes
    ----------
    better, worse : str
        Names, in the order of the ranking.
    mean : float
        Mean over the seeds of the score of `worse` minus that of `better`, both with rates that
        the other seeds chose; NaN if not known.
    low, high : float
        Confidence interval; NaN with fewer than two seeds, or if a run diverged. It covers two
        intervals of Student's t: that of `mean`, and that of the difference between each one's
        best rate over all seeds.
    decided : bool
        Whether the interval leaves 0 out, or runs of `worse` alone diverged. If not, the two are
        tied.
    """

    better: str
    worse: str
    mean: float
    low: float
    high: float
    decided: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    sweeps : dict of str to SweepResult
        All runs of each optimizer.
    seeds : tuple of int
        The seeds, the same for all.
    interrupted : bool
        Whether Ctrl-C came before all runs were made.
    confidence : float
        Probability with which all intervals of `differences` hold together.
    seconds : float
        How long the whole took, by the clock.

    Notes
    -----
    The lowest score of a grid flatters: among several rates that are equally good it is the one
    that was lucky. So the rate is chosen anew for each seed by the scores of the *other* seeds,
    and the score that it has with this seed is what counts (`held_out`). Two optimizers are
    compared by the differences, seed by seed, with Student's t and the error probability shared
    equally by all pairs (Bonferroni). If the interval contains 0, they are tied. With one seed
    nothing can be held out: the lowest scores are reported, as such, and nothing is decided.

    Neither of the two intervals behind a difference would do alone. Scores chosen by each other
    are correlated, so that t over `held_out` finds a difference between equals too often (by
    ``bench/instruments/ties.py`` with rates that are all equal: 7 to 42 % instead of 5); and t at
    the best rates prefers who had more rates (up to 20 %). That both agree happens in 0.1 to 2.3 %
    for grids of two rates or more, in 5 % for 9 against 1 with 5 seeds, and in 12 % at worst (20
    against 1, 40 seeds); where one rate is clearly best, nothing is lost by it.
    """

    sweeps: dict[str, SweepResult]
    seeds: tuple[int, ...]
    interrupted: bool = False
    confidence: float = 0.95
    seconds: float = 0.0

    @cached_property
    def rates(self) -> dict[str, tuple[float, ...]]:
        """For each seed the rate chosen by the other seeds; NaN if they have none to choose."""
        return {name: _rates(sweep) for name, sweep in self.sweeps.items()}

    @cached_property
    def held_out(self) -> dict[str, Floats]:
        """Scores with the rates of `rates`, shape (seeds,): inf diverged, NaN failed."""
        return {name: _held_out(self.sweeps[name], self.rates[name]) for name in self.sweeps}

    @cached_property
    def scores(self) -> dict[str, float]:
        """Mean of `held_out`: what to expect of each optimizer, its rate tuned on this grid."""
        return {name: _mean(scores) for name, scores in self.held_out.items()}

    @cached_property
    def errors(self) -> dict[str, float]:
        """Standard error of each of `scores`; NaN with fewer than two."""
        return {name: _error(_known(scores)) for name, scores in self.held_out.items()}

    @cached_property
    def ranking(self) -> tuple[str, ...]:
        """Names by score, the best first. Neighbours may be tied: see `ranks`."""
        return tuple(sorted(self.sweeps, key=lambda name: _sorting(self.scores[name])))

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Every pair, in the order of the ranking."""
        names = self.ranking
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        alpha = (1 - self.confidence) / max(1, len(pairs))
        return tuple(self._difference(a, b, alpha) for a, b in pairs)

    def _difference(self, a: str, b: str, alpha: float) -> Difference:
        """The paired comparison of two, `a` having the lower mean."""
        mean, low, high = _paired(self.held_out[a], self.held_out[b], alpha)
        if math.isnan(low):
            first, second = self.held_out[a], self.held_out[b]
            wild = bool(np.isinf(second).any() and not np.isinf(first).any())
            return Difference(a, b, mean, low, high, wild and len(self.seeds) > 1)
        _, *at_best = _paired(_at_best(self.sweeps[a]), _at_best(self.sweeps[b]), alpha)
        if math.isnan(at_best[0]):
            return Difference(a, b, mean, math.nan, math.nan, False)
        low, high = min(low, at_best[0]), max(high, at_best[1])
        return Difference(a, b, mean, low, high, low > 0)

    @cached_property
    def ranks(self) -> dict[str, int]:
        """1 for those than which none is better for certain; 1 + the number that is, for others.

        Those without a score come after all that have one.
        """
        scored = sum(not math.isnan(score) for score in self.scores.values())
        return {
            name: 1
            + (
                scored
                if math.isnan(self.scores[name])
                else sum(d.decided and d.worse == name for d in self.differences)
            )
            for name in self.ranking
        }

    @property
    def ties(self) -> tuple[tuple[str, ...], ...]:
        """Groups of two or more of the same rank."""
        groups = [
            tuple(n for n in self.ranking if self.ranks[n] == r)
            for r in sorted(set(self.ranks.values()))
        ]
        return tuple(group for group in groups if len(group) > 1)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the ranking is trusted; empty if there is nothing."""
        from .comparison_text import notes

        return notes(self)

    def table(self) -> str:
        """The ranking as a table of text: rank, name, best rate, score, distance to the first."""
        from .comparison_text import table

        return table(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; None for what is not finite."""
        return {
            "ranking": list(self.ranking),
            "ties": [list(group) for group in self.ties],
            "optimizers": {
                name: {
                    "rank": self.ranks[name],
                    "lr": _plain(self.sweeps[name].best),
                    "score": _plain(self.scores[name]),
                    "error": _plain(self.errors[name]),
                    "held_out": [_plain(x) for x in self.held_out[name]],
                    "rates": [_plain(x) for x in self.rates[name]],
                    "sweep": self.sweeps[name].to_dict(),
                }
                for name in self.ranking
            },
            "differences": [
                {
                    "better": d.better,
                    "worse": d.worse,
                    "mean": _plain(d.mean),
                    "low": _plain(d.low),
                    "high": _plain(d.high),
                    "decided": d.decided,
                }
                for d in self.differences
            ],
            "seeds": list(self.seeds),
            "confidence": self.confidence,
            "interrupted": self.interrupted,
            "notes": list(self.notes),
            "seconds": self.seconds,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the scores of every optimizer over its rates: `lrcore.plot.comparison`."""
        from ... import plot

        return plot.comparison(self, ax=ax)

    def __str__(self) -> str:
        from .comparison_text import text

        return text(self)


def compare(
    train: Callable[[str, float, int], float],
    optimizers: Mapping[str, Iterable[float]],
    *,
    seeds: Iterable[int] = (0,),
    executor: Executor | None = None,
    confidence: float = 0.95,
    on_run: Callable[[str, SweepRun], object] | None = None,
) -> Comparison:
    """Compare optimizers, each at its best rate of a grid, by runs with the same seeds.

    Parameters
    ----------
    train : function (name: str, lr: float, seed: int) -> float
        Trains from the start with this optimizer and rate, and returns a score of which less is
        better, best of data that were not trained on. See `lr_sweep` for seeds and divergence.
        Return the logarithm of a loss that spreads over decades: t is made for spreads that are
        alike.
    optimizers : dict of str to iterable of float in (0, inf)
        The rates to try with each. Give all as many: who tries more finds more.
    seeds : iterable of int, default (0,)
        Distinct; five or more tell a difference of the size of the noise from none.
    executor : concurrent.futures.Executor, default None
        As in `lr_sweep`.
    confidence : float in (0.5, 1), default 0.95
        With which all intervals of the differences are to hold together.
    on_run : function (name: str, run: SweepRun), default None
        Called here after each run.

    Returns
    -------
    Comparison
        Also if some runs failed, and after Ctrl-C with the runs made until then.

    Raises
    ------
    TypeError, ValueError
        An argument outside its domain, before any run.
    SweepError
        Every run failed.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> def train(name, lr, seed):
    ...     w = np.random.default_rng(seed).normal(size=3)
    ...     opt = getattr(lrcore, name)(w, lr=lr)
    ...     for _ in range(30):
    ...         opt.step(w * [1.0, 10.0, 100.0])
    ...     return float((w * w) @ [1.0, 10.0, 100.0])
    >>> grids = {"SGD": [0.001, 0.01, 0.1], "Adam": [0.01, 0.1, 1.0]}
    >>> result = lrcore.compare(train, grids, seeds=range(5))
    >>> result.ranking, result.ties
    (('SGD', 'Adam'), (('SGD', 'Adam'),))
    """
    who = "compare"
    checked_function(who, "train", train)
    given = NAMES.check(who, "optimizers", optimizers)
    if not given:
        raise ValueError("compare: optimizers must have at least one name, got none")
    grids = {n: checked_rates(who, f"optimizers[{n!r}]", lrs) for n, lrs in given.items()}
    columns = checked_seeds(who, seeds)
    CONFIDENCE.check(who, "confidence", confidence)
    planned = [(name, lr, seed) for seed in columns for name in grids for lr in grids[name]]
    called = None
    if on_run is not None:
        tell = checked_function(who, "on_run", on_run)

        def called(i: int, run: SweepRun) -> None:
            tell(planned[i][0], run)

    start = time.perf_counter()
    jobs = [(lr, seed, (name, lr, seed)) for name, lr, seed in planned]
    made, interrupted = run_all(who, train, jobs, executor, called)
    sweeps = {}
    for name, grid in grids.items():
        own = [run for i, run in made.items() if planned[i][0] == name]
        sweeps[name] = swept(grid, columns, own, interrupted)
    return Comparison(sweeps, columns, interrupted, confidence, time.perf_counter() - start)


def _rates(sweep: SweepResult) -> tuple[float, ...]:
    """The best rate by the other seeds, for each seed."""
    if len(sweep.seeds) == 1:
        return (sweep.best,)
    grid = tuple(sweep.lrs.tolist())
    return tuple(
        swept(grid, sweep.seeds, [run for run in sweep.runs if run.seed != seed], False).best
        for seed in sweep.seeds
    )


def _held_out(sweep: SweepResult, rates: tuple[float, ...]) -> Floats:
    """The score of each seed at its rate; if the others have none to choose, a run diverged."""
    out = np.full(len(sweep.seeds), np.nan)
    for j, lr in enumerate(rates):
        column = sweep.scores[:, j]
        if not math.isnan(lr):
            out[j] = column[int(np.flatnonzero(sweep.lrs == lr)[0])]
        elif np.isinf(sweep.scores).any() and not np.isnan(column).all():
            out[j] = math.inf
    return out


def _known(scores: Floats) -> Floats:
    return scores[~np.isnan(scores)]


def _mean(scores: Floats) -> float:
    known = _known(scores)
    return float(known.mean()) if len(known) else math.nan


def _error(scores: Floats) -> float:
    """Standard error of a mean."""
    if len(scores) < 2 or not np.isfinite(scores).all():
        return math.nan
    return float(scores.std(ddof=1) / math.sqrt(len(scores)))


def _sorting(score: float) -> tuple[bool, float]:
    """Small scores first, then those that diverged, then those that failed."""
    return math.isnan(score), 0.0 if math.isnan(score) else score


def _at_best(sweep: SweepResult) -> Floats:
    """The scores of the best rate over all seeds."""
    return np.asarray(sweep.scores[int(np.flatnonzero(sweep.lrs == sweep.best)[0])])


def _paired(first: Floats, second: Floats, alpha: float) -> tuple[float, float, float]:
    """Mean of `second` - `first` over the seeds of both, and the ends of its interval."""
    both = ~np.isnan(first) & ~np.isnan(second)
    if not both.any() or np.isinf([*first[both], *second[both]]).any():
        return math.nan, math.nan, math.nan
    difference = (second - first)[both]
    mean, error = float(difference.mean()), _error(difference)
    if math.isnan(error):
        return mean, math.nan, math.nan
    reach = t_quantile(1 - alpha / 2, len(difference) - 1) * error
    return mean, mean - reach, mean + reach


def _plain(x: float) -> float | None:
    """A float that JSON knows, or None."""
    return float(x) if math.isfinite(x) else None
