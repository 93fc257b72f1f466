"""A probe: whether another learning rate would be better, from where a run stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._domain import Instance, Interval
from ..._optimizer import Optimizer
from ..._schedule import Schedule
from .._own import own
from ..restore import Batches, Restored
from .runs import DIVERGED, checked_function, checked_rates
from .student import t_cdf, t_quantile

__all__ = ["ProbeResult", "probe_lr"]

Floats = NDArray[np.float64]
WHO = "probe_lr"
OPTIMIZER = Instance("an optimizer of lrcore", lambda x: isinstance(x, Optimizer))
COUNT = Interval(1, math.inf, integer=True)
REPEATS = Interval(2, math.inf, integer=True)
FAR = 1000.0  # times the loss before: no number any more to take means of


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """What a probe found.

    Attributes
    ----------
    lr : float
        The rate of the next update (of the first group).
    factors : tuple of float
        What it was multiplied by, rising; 1 is among them.
    losses : ndarray of float64, shape (repeats, factors)
        Mean loss on the evaluation batches over the last quarter of `horizon` updates; inf if it
        diverged, or rose to a thousand times `before`.
    halfway : ndarray of float64, shape (repeats, factors)
        The same after half of the updates, rounded down.
    before : float
        The same before the first.
    horizon : int
        Updates of each run. The answer is about these, and not about later ones.
    passes : int
        Calls of the loss functions, evaluations included.
    scheduled : bool
        Whether the rate follows a schedule, which the factors then multiply.

    Notes
    -----
    Every factor starts from the same state and sees the same batches, and the losses are compared
    on the same evaluation batches, repeat by repeat (Student's t of the paired differences).

    Over a short horizon small rates look better than they are: they quiet the noise of the
    gradients at once, and pay for it later along the flat directions (Wu et al., "Understanding
    Short-Horizon Bias in Stochastic Meta-Optimization", 2018). A lower rate that wins is therefore
    followed through: `shrinking` tells whether its lead was larger halfway.
    """

    lr: float
    factors: tuple[float, ...]
    losses: Floats
    halfway: Floats
    before: float
    horizon: int
    passes: int
    scheduled: bool = False

    @property
    def means(self) -> Floats:
        """Mean loss of each factor; inf if one of its repeats diverged."""
        return np.asarray(self.losses.mean(axis=0))

    @property
    def differences(self) -> Floats:
        """Mean difference of each factor to the rate as it is; below 0 is better.

        inf for a factor that diverged, -inf if the rate as it is did; NaN if both did.
        """
        return np.array([_pair(self.losses[:, j], self._now)[0] for j in range(len(self.factors))])

    @property
    def intervals(self) -> Floats:
        """Intervals of `differences` at the level of `level`, shape (factors, 2)."""
        reach = t_quantile(0.5 + self.level / 200, len(self.losses) - 1)
        pairs = [_pair(self.losses[:, j], self._now) for j in range(len(self.factors))]
        return np.array([(mean - reach * error, mean + reach * error) for mean, error in pairs])

    @property
    def level(self) -> float:
        """Percent of `intervals`: 95 for up to three factors, more for more.

        The best of many is better by luck more often; 5 % of all probes in which nothing differs
        have a `best` that is `decided`, however many factors there are.
        """
        return 100 - 10 / max(2, len(self.factors) - 1)

    @property
    def _now(self) -> Floats:
        """The losses at the rate as it is."""
        return np.asarray(self.losses[:, self.factors.index(1.0)])

    @property
    def best(self) -> float:
        """The factor with the lowest mean loss; the smallest if all diverged."""
        return self.factors[int(np.argmin(self.means))]

    @property
    def confidence(self) -> float:
        """Probability, by the t-test, that `best` is better than the closest other factor.

        About 0.5 if nothing tells them apart; 0 if every factor diverged.
        """
        at = self.factors.index(self.best)
        own = self.losses[:, at]
        if not np.isfinite(own).all():
            return 0.0
        others = [j for j in range(len(self.factors)) if j != at]
        return min((_better(own, self.losses[:, j]) for j in others), default=0.5)

    @property
    def decided(self) -> bool:
        """Whether `best` is better than the rate as it is, or it is that and better than all.

        For certain at the level of `intervals`.
        """
        at, level = self.factors.index(self.best), 0.5 + self.level / 200
        own = self.losses[:, at]
        if not np.isfinite(own).all():
            return False
        others = [self.factors.index(1.0)] if self.best != 1 else range(len(self.factors))
        return all(_better(own, self.losses[:, j]) > level for j in others if j != at)

    @property
    def shrinking(self) -> bool:
        """Whether the lead of `best` over the rate as it is was larger halfway.

        A lead that shrinks may turn round after the horizon.
        """
        at, now = self.factors.index(self.best), self.factors.index(1.0)
        if not (np.isfinite(self.losses[:, [at, now]]).all() and self.horizon > 1):
            return False
        lead = self.losses[:, at] - self.losses[:, now]
        halfway = self.halfway[:, at] - self.halfway[:, now]
        return bool(halfway.mean() < lead.mean())

    @property
    def advice(self) -> str:
        """What to do, in a sentence or two, with the horizon it holds for."""
        from .probe_text import advice

        return advice(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; None for what is not finite."""
        return {
            "lr": self.lr,
            "scheduled": self.scheduled,
            "factors": list(self.factors),
            "best": self.best,
            "level": self.level,
            "confidence": self.confidence,
            "decided": self.decided,
            "shrinking": self.shrinking,
            "horizon": self.horizon,
            "before": _plain(self.before),
            "means": [_plain(x) for x in self.means],
            "differences": [_plain(x) for x in self.differences],
            "intervals": [[_plain(x) for x in pair] for pair in self.intervals],
            "losses": [[_plain(x) for x in row] for row in self.losses],
            "halfway": [[_plain(x) for x in row] for row in self.halfway],
            "passes": self.passes,
            "advice": self.advice,
        }

    def __str__(self) -> str:
        from .probe_text import text

        return text(self)


def probe_lr(
    opt: Optimizer,
    loss_and_grads: Callable[[Any], tuple[float, Any]],
    batches: Any,
    *,
    factors: Iterable[float] = (1 / 3, 1.0, 3.0),
    steps: int = 50,
    repeats: int = 5,
    evaluation: int = 8,
    loss_only: Callable[[Any], float] | None = None,
    generators: Iterable[Any] = (),
    also: Iterable[Any] = (),
) -> ProbeResult:
    """Try other learning rates from where a run stands, and put everything back.

    Parameters
    ----------
    opt : Optimizer
        Of `lrcore` or `lrcore.torch`, in the middle of a run, or before its first step. Rates that
        follow a schedule follow it multiplied by the factor; groups keep their ratios.
    loss_and_grads : function (batch) -> (loss, grads)
        Reads the parameters in place. For a model of torch `lrcore.torch.loss_and_grads` makes it.
    batches : list, loader, or function that returns an iterator
        Data; not an iterator, which can be gone through only once. ``evaluation + repeats * steps``
        batches are drawn, from the beginning again after the last, and kept until the end.
    factors : iterable of float in (0, inf), default (1/3, 1, 3)
        Distinct, with 1 among them.
    steps : int >= 1, default 50
        The horizon: updates of each run.
    repeats : int >= 2, default 5
        Runs of each factor, each repeat with other batches, in another order.
    evaluation : int >= 1, default 8
        Batches that a loss is the mean of: before, halfway, and at four updates, of which the
        last is the last, for the end.
    loss_only : function (batch) -> float, default None
        The loss alone, if it is cheaper; None: `loss_and_grads`.
    generators, also : sequence, default ()
        What is put back besides what is found; see `lrcore.instruments.restore.Restored`.

    Returns
    -------
    ProbeResult
        A factor that diverges has infinite losses; that is an answer, and no error.

    Raises
    ------
    TypeError, ValueError
        An argument outside its domain, before anything is run.
    Exception
        What the functions raise, other than FloatingPointError and OverflowError, which mean
        divergence. Everything is put back first.

    Notes
    -----
    It takes ``repeats * len(factors) * (steps + 5 * evaluation) + evaluation`` passes, or fewer
    when `steps` is below 16, where the last quarter has less than four updates. Two-point rules
    (schedule-free) are evaluated where `Optimizer.eval` puts them.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> w = np.ones(3)
    >>> opt = lrcore.SGD(w, lr=0.01)
    >>> def loss_and_grads(batch):
    ...     return ((w - batch) ** 2).sum(), 2 * (w - batch)
    >>> batches = list(np.random.default_rng(0).normal(size=(100, 3)) * 0.1)
    >>> result = lrcore.probe_lr(opt, loss_and_grads, batches, steps=20)
    >>> result.best, result.decided, w
    (3.0, True, array([1., 1., 1.]))
    """
    opt = own(opt)
    OPTIMIZER.check(WHO, "opt", opt)
    checked_function(WHO, "loss_and_grads", loss_and_grads)
    measure = loss_and_grads if loss_only is None else checked_function(WHO, "loss_only", loss_only)
    tried = tuple(sorted(checked_rates(WHO, "factors", factors)))
    if 1.0 not in tried:
        raise ValueError(f"{WHO}: factors must have 1 among them, got {list(tried)}")
    COUNT.check(WHO, "steps", steps)
    REPEATS.check(WHO, "repeats", repeats)
    COUNT.check(WHO, "evaluation", evaluation)
    stream = Batches(WHO, batches)
    functions = [loss_and_grads] if loss_only is None else [loss_and_grads, loss_only]
    lr = opt.lr
    scheduled = any(isinstance(g[opt.rate_name], Schedule) for g in opt.param_groups)
    whole = Restored(opt, functions, batches, generators=generators, also=also)
    with whole, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        drawn = [next(stream) for _ in range(evaluation + repeats * steps)]
        stream.close()
        run = _Run(opt, loss_and_grads, measure, drawn[:evaluation])
        before = run.before = run.evaluate()
        ends: list[list[tuple[float, float]]] = []
        for i in range(repeats):
            # other noise in every repeat, the same for its factors
            start = Restored(opt, functions, generators=whole._generators, also=whole._also)
            whole.put_back_model()
            start.__enter__()
            part = drawn[evaluation + i * steps : evaluation + (i + 1) * steps]
            order = np.random.default_rng(i).permutation(steps)
            row = []
            for factor in tried:
                start.put_back()
                row.append(run.go(factor, [part[k] for k in order]))
            ends.append(row)
    table = np.array(ends)
    halfway, losses = table[..., 0], table[..., 1]
    return ProbeResult(lr, tried, losses, halfway, before, steps, run.passes, scheduled)


class _Run:
    """Updates from the present state, and the loss they lead to."""

    def __init__(
        self,
        opt: Optimizer,
        loss_and_grads: Callable[[Any], tuple[float, Any]],
        measure: Callable[[Any], Any],
        held: Sequence[Any],
    ) -> None:
        self.opt, self.loss_and_grads, self.measure, self.held = opt, loss_and_grads, measure, held
        self.passes, self.before = 0, 0.0

    def go(self, factor: float, batches: Sequence[Any]) -> tuple[float, float]:
        """Loss halfway and at the end, inf where it diverged before."""
        _scale(self.opt, factor)
        steps = len(batches)
        last = {steps - k * (steps // 4) // 4 for k in range(4)}
        halfway, end = math.inf, 0.0
        try:
            for k, batch in enumerate(batches):
                if k == steps // 2:
                    halfway = self.evaluate()
                self.passes += 1
                loss, grads = self.loss_and_grads(batch)
                if not math.isfinite(loss):
                    return halfway, math.inf
                self.opt.step(grads, loss=float(loss))
                if k + 1 in last:
                    end += self.evaluate() / len(last)
        except DIVERGED:
            return halfway, math.inf
        return halfway, math.inf if 0 < FAR * self.before < end else end

    def evaluate(self) -> float:
        """Mean loss on the evaluation batches; inf for one that is not finite."""
        training = self.opt.training
        if training:
            self.opt.eval()
        total = 0.0
        try:
            for batch in self.held:
                self.passes += 1
                value: Any = self.measure(batch)
                total += float(value[0] if self.measure is self.loss_and_grads else value)
        except DIVERGED:
            total = math.inf
        if training:
            self.opt.train()
        return total / len(self.held) if math.isfinite(total) else math.inf


def _scale(opt: Optimizer, factor: float) -> None:
    """Multiply the rate of every group."""
    for group in opt.param_groups:
        rate = group[opt.rate_name]
        group[opt.rate_name] = rate * factor if isinstance(rate, Schedule) else float(rate) * factor


def _pair(one: Floats, other: Floats) -> tuple[float, float]:
    """Mean and standard error of `one` - `other`; what diverged is infinitely far away."""
    if not (np.isfinite(one).all() or np.isfinite(other).all()):
        return math.nan, math.nan
    if not np.isfinite(one).all():
        return math.inf, math.nan
    if not np.isfinite(other).all():
        return -math.inf, math.nan
    difference = one - other
    return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(len(one)))


def _better(one: Floats, other: Floats) -> float:
    """Probability that `one`, which is finite, is below `other`."""
    mean, error = _pair(one, other)
    if mean == 0:
        return 0.5
    if math.isinf(mean) or error == 0:
        return 1.0 if mean < 0 else 0.0
    return t_cdf(-mean / error, len(one) - 1)


def _plain(x: float) -> float | None:
    """A float that JSON knows, or None."""
    return float(x) if math.isfinite(x) else None
