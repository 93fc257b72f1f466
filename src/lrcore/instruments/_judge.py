"""The finder's method: a sweep, short trainings around what it shows, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _suggest as suggest
from ._loop import Loop
from .family import Family
from .finder import LRFinder, Sweep
from .restore import Restored

__all__ = ["Search", "Verdict", "of_sweeps"]

Floats = NDArray[np.float64]

HALF = 0.5  # decades between short trainings
COUNT = 4  # of them are paid for
SHORTEST, LONGEST = 4, 60  # updates of each
SOLVED = 0.01  # of the loss at the start: what is below counts less and less

#: Where short trainings are best: constant, family (scale, growth, noise), and the marks of the
#: sweep (fails, lowest, rises). Without gains: (lowest, rises, last).
CENTRE = (-1.1, 0.65, -0.3, 0.1, 0.35, 0.05, 0.3)
CENTRE_BY_LOSS = (-1.4, 0.6, -0.3, 0.15, 0.3, 0.1, 0.4)
#: From there to what is best for some hundred updates: constant and family.
FURTHER = (-0.6, 0.69, -1.18, -0.7)
#: Best for some hundred updates, from the marks of a sweep without short trainings.
ALONE = (-1.6, 1.3, -1.4, -0.45, 0.45, 0.0, 0.2)
ALONE_BY_LOSS = (-1.9, 1.2, -1.3, -0.4, 0.25, 0.2, 0.35)
#: Decades above the failing gain that is still believed: a gradient descent on a parabola diverges.
STABLE = 0.3
#: Of an optimizer that nothing is known of.
MIDDLE = Family(0.4, 0.0, -0.3)
#: Decades from the answer to the ends of the interval.
BELOW, ABOVE = 1.3, 1.0
ALONE_BELOW, ALONE_ABOVE = 1.6, 1.3
#: What must be learned for an answer to be trusted: a share of the loss, and in standard errors
#: over that many batches.
DROP, SURE, AVERAGED = 0.12, 4.0, 4.0
#: Share of the whole fall that counts as falling or rising.
RANGE = 0.1


class Verdict(NamedTuple):
    """What was found, as decimal logarithms."""

    suggestions: dict[str, float]
    interval: tuple[float, float]
    reliable: bool
    reasons: tuple[str, ...]


class Found(NamedTuple):
    """What one sweep and its short trainings showed."""

    marks: suggest.Marks
    level: float  # the loss of the start
    spread: float
    x: Floats  # rates of short trainings, as logarithms, and the loss at their end
    y: Floats
    best: float  # NaN without any
    slopes: Floats
    paths: tuple[list[float], ...]  # the losses of the short trainings, as they were made


class Search:
    """The work of `lr_find`: what it does with the updates it may make."""

    def __init__(self, loop: Loop, family: Family, grid: Floats, budget: int) -> None:
        self._loop, self._family, self._grid = loop, family, grid
        self._low, self._high = math.log10(grid[0]), math.log10(grid[-1])
        self._budget = budget
        self.found: list[Found] = []
        self.horizon = 0
        self.sweeps: list[Sweep] = []
        self._paths: list[list[float]] = []

    @property
    def probed(self) -> list[tuple[float, float]]:
        """The short trainings."""
        return [(float(x), float(y)) for f in self.found for x, y in zip(f.x, f.y, strict=True)]

    def sweep(self, finder: LRFinder, kept: Restored, number: int) -> None:
        """Make a sweep and its short trainings, the first or one more with other batches."""
        loop, spent = self._loop, self._loop.full
        self._paths = []
        self._begin(kept, number)
        sweep = self._way_up(finder)
        self.sweeps.append(sweep)
        x = np.log10(finder._grid)
        told = [np.array(v) for v in (sweep.losses, sweep.afters, sweep.slopes)]
        marks = suggest.marks(x, told[0], suggest.gains(*told))
        level, spread = suggest.level(told[0])
        probes: dict[float, float] = {}
        if np.any(told[2] < 0) and math.isfinite(level):
            left = self._budget - (loop.full - spent)
            if not self.horizon:
                self.horizon = min(max(left // (COUNT * loop.micro), SHORTEST), LONGEST)
            centre = suggest.linear(marks[:3], CENTRE, self._family)
            probes = self._probes(kept, number, centre, left, level, spread)
        xs = np.array(sorted(probes))
        ys = np.array([probes[k] for k in sorted(probes)])
        best = _bottom(xs, ys, level) if np.isfinite(ys).any() else math.nan
        self.found.append(Found(marks, level, spread, xs, ys, best, told[2], tuple(self._paths)))

    def _begin(self, kept: Restored, number: int) -> None:
        """Everything as at the start, but the data as far as this repeat has its own."""
        kept.put_back()
        self._loop.rewind()
        for _ in range(number * max(self.horizon, 1) * self._loop.micro):
            next(self._loop.stream)

    def _way_up(self, finder: LRFinder) -> Sweep:
        sparse = self._loop.forward_costs
        for i in range(len(finder._grid)):
            lr = finder.ask()
            made = self._loop.update(lr, measured=not (sparse and i % 2))
            after = None if math.isnan(made.after) else made.after
            finder.tell(made.loss, slope=made.slope, loss_after=after)
            if finder._sweeps[-1].stopped is not None:
                break
        return finder._sweeps[-1]

    def _probes(
        self, kept: Restored, number: int, centre: float, left: int, level: float, spread: float
    ) -> dict[float, float]:
        """Train briefly at rates around a centre until the lowest is between two others."""
        out: dict[float, float] = {}
        x = float(np.clip(centre, self._low, self._high))
        most = self._loop.full + left
        while self._loop.full + self.horizon * self._loop.micro <= most:
            out[x] = self._probe(kept, number, x, level, spread)
            x = self._next(out, level)
            if not self._low <= x <= self._high or x in out:
                break
        return out

    def _next(self, out: dict[float, float], level: float) -> float:
        """Where to look next; where one has been already when all is seen."""
        xs = sorted(out)
        ys = [out[x] for x in xs]
        i = int(np.argmin(ys))
        if not math.isfinite(ys[i]):
            return xs[0] - 2 * HALF
        if len(xs) == 1:
            return xs[0] + HALF if xs[0] + HALF <= self._high else xs[0] - HALF
        if i == len(xs) - 1 and xs[i] + HALF <= self._high:
            return xs[i] + HALF
        if i == 0:
            return xs[0] - HALF
        if i == len(xs) - 1:
            return xs[i]
        low = _bottom(np.array(xs), np.array(ys), level)
        return 0.5 * (xs[i] + (xs[i + 1] if low > xs[i] else xs[i - 1]))

    def _probe(self, kept: Restored, number: int, x: float, level: float, spread: float) -> float:
        """Train briefly at a rate: the mean loss of the second half, infinite if it explodes."""
        self._begin(kept, number)
        sweep = Sweep(level, spread)
        self._paths.append(sweep.losses)
        for _ in range(self.horizon):
            made = self._loop.update(10.0**x, measured=False)
            sweep.tell(10.0**x, made.loss, made.after, math.nan)
            if sweep.stopped is not None:
                return math.inf
        return float(np.mean(sweep.losses[self.horizon // 2 :]))

    def verdict(self) -> Verdict:
        """What all of it says."""
        further = suggest.linear((), FURTHER, self._family)
        best = [f.best + further for f in self.found if not math.isnan(f.best)]
        signs = [_sign(f) for f in self.found]
        x = float(np.median(best)) if best else math.nan
        reasons = [_stopped(self.sweeps), *self._said(best)]
        against = _against(signs)
        out = {"gain": x, **common(np.log10(self._grid), self.sweeps)}
        apart = (min(best) - x, max(best) - x) if best else (0.0, 0.0)
        interval = (x - BELOW + apart[0], x + ABOVE + apart[1])
        return Verdict(out, interval, not against, (*against, *filter(None, reasons)))

    def _said(self, best: list[float]) -> list[str]:
        """What the short trainings showed, in words."""
        if not best:
            return []
        n, low, high = self.horizon, *(10.0 ** f(x for x, _ in self.probed) for f in (min, max))
        out = [
            f"short trainings of {n} updates compared rates from {low:.2g} to {high:.2g}; the "
            "answer is for some hundred updates, a longer training may want a lower rate in the end"
        ]
        if len(best) > 1:
            out.append(
                f"{len(best)} repeats say {', '.join(f'{10.0**x:.2g}' for x in sorted(best))}"
            )
        return out

    @property
    def details(self) -> dict[str, Any]:
        """What was found on the way, for the validation."""
        return {"found": self.found, "family": self._family, "horizon": self.horizon}


class Sign(NamedTuple):
    """How surely something was learned."""

    drop: float  # share of the loss
    z: float  # in standard errors
    moves: bool  # whether there is a gradient
    finite: bool


def _sign(f: Found) -> Sign:
    ends = f.y[np.isfinite(f.y)]
    low = float(ends.min()) if len(ends) else math.nan
    return _compared(f.level, f.spread, low, f.slopes)


def _compared(level: float, spread: float, low: float, slopes: Floats) -> Sign:
    with np.errstate(all="ignore"):
        drop = float(np.float64(level - low) / abs(level))
        z = float(np.float64(level - low) / (spread / AVERAGED))
    measured = slopes[np.isfinite(slopes)]
    moves = bool(len(measured) == 0 or np.any(measured != 0))
    return Sign(drop, z, moves, math.isfinite(level))


def _against(signs: Sequence[Sign]) -> list[str]:
    """Why an answer is not to be trusted, in words; nothing if it is."""
    if not any(s.finite for s in signs):
        return ["the loss is not finite from the start: look for the reason there"]
    if not any(s.moves for s in signs):
        return ["the gradient is zero: the parameters are frozen, or the loss is not of them"]
    drop = float(np.median([s.drop for s in signs]))
    if not drop >= DROP:
        return [
            f"no rate lowers the loss by much ({100 * drop:.1f} % at best, below {100 * DROP:.0f} %"
            " there is nothing to tell rates apart by): the model is trained already, or the data "
            "teach it nothing"
        ]
    z = float(np.median([s.z for s in signs]))
    if not z >= SURE:
        return [
            f"no rate lowers the loss by more than it varies between batches ({z:.1f} standard "
            f"errors, {SURE:.0f} are asked for): larger batches or repeats would tell"
        ]
    return []


def _stopped(sweeps: Sequence[Sweep]) -> str | None:
    why = [s.stopped for s in sweeps if s.stopped is not None]
    if not why:
        return "no rate up to the end of the range made the loss explode"
    return f"the sweep stopped where {why[0]}"


def common(x: Floats, sweeps: Sequence[Sweep]) -> dict[str, float]:
    """What the usual rules say of the losses, each the median over the sweeps."""
    rules = {
        "valley": suggest.valley,
        "steepest": suggest.steepest,
        "minimum": suggest.minimum,
    }
    out = {}
    for name, rule in rules.items():
        found = [rule(x[: len(s.losses)], np.array(s.losses)) for s in sweeps]
        found = [v for v in found if not math.isnan(v)]
        out[name] = float(np.median(found)) if found else math.nan
    return out


def _scores(y: Floats, level: float) -> Floats:
    """Losses at the end of short trainings, in units in which 1 is much."""
    if np.nanmin(y) >= 0 and level > 0:
        return np.log(y + SOLVED * level)
    low = float(y[np.isfinite(y)].min())
    return (y - low) / max(level - low, 1e-300)


def _bottom(x: Floats, y: Floats, level: float) -> float:
    return suggest.bottom(x, _scores(y, level))


def of_sweeps(x: Floats, sweeps: Sequence[Sweep], family: Family | None) -> Verdict:
    """What sweeps alone say, without short trainings."""
    best, signs, measured = [], [], False
    for sweep in sweeps:
        told = [np.array(v) for v in (sweep.losses, sweep.afters, sweep.slopes)]
        rho = suggest.gains(*told)
        marks = suggest.marks(x, told[0], rho)
        level, spread = suggest.level(told[0])
        low = float(np.min(suggest.smoothed(told[0]))) if len(told[0]) else math.nan
        signs.append(_compared(level, spread, low, told[2]))
        measured = not np.isnan(rho).all()
        values, weights = (marks[:3], ALONE) if measured else (marks[1:], ALONE_BY_LOSS)
        if signs[-1].finite and signs[-1].moves:
            found = suggest.linear(values, weights, family or MIDDLE)
            best.append(min(found, marks.fails + STABLE) if measured else found)
    middle = float(np.median(best)) if best else math.nan
    wider = 1.0 if family is not None else 1.4
    interval = (middle - wider * ALONE_BELOW, middle + wider * ALONE_ABOVE)
    against = _against(signs) if signs else ["nothing has been told yet"]
    reasons = [
        _stopped(sweeps),
        "from the gain ratio of each update"
        if measured
        else "from the losses alone, a rough guide",
    ]
    return Verdict(
        {"gain": middle, **common(x, sweeps)},
        interval,
        not against,
        (*against, *filter(None, reasons)),
    )


def of_range(lrs: Floats, losses: Floats, sweep: Sweep) -> tuple[float, float, tuple[str, ...]]:
    """Where the loss begins to fall and where it rises again, the rate rising linearly."""
    finite = np.isfinite(losses)
    if finite.sum() < 5:
        return math.nan, math.nan, ("too few losses were finite to tell anything",)
    width = max(len(losses) // 20, 1)
    y = np.where(finite, losses, np.inf)
    y = np.array([y[max(0, i - width) : i + width + 1].mean() for i in range(len(y))])
    low = int(np.argmin(y))
    first = losses[: 2 * width + 1]
    start = float(np.median(first[np.isfinite(first)]))
    between = np.diff(losses[finite])
    noise = 1.4826 * float(np.median(abs(between))) / math.sqrt(2 * (2 * width + 1))
    margin = max(RANGE * (start - y[low]), 3 * noise)
    falling = np.flatnonzero(y[: low + 1] < start - margin)
    if len(falling) == 0:
        return (
            math.nan,
            math.nan,
            ("the loss never falls: the range begins too high, or nothing is learned",),
        )
    rising = np.flatnonzero(y[low:] > y[low] + margin)
    high = float(lrs[low + rising[0]]) if len(rising) else float(lrs[len(losses) - 1])
    reasons = [] if len(rising) else ["the loss never rises: the range may end too low"]
    if sweep.stopped is not None:
        reasons.append(f"the test stopped where {sweep.stopped}")
    return float(lrs[falling[0]]), high, tuple(reasons)
