"""The finder's method: a sweep, short trainings around what it shows, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import suggest
from .family import Family

__all__ = ["Round", "Sweep", "Verdict", "of_range", "verdict"]

Floats = NDArray[np.float64]

HALF = 0.5  # decades between short trainings
NEAR = 0.4  # decades; closer ones are not compared
COUNT = 4  # of them are paid for
SHORTEST, LONGEST = 4, 60  # updates of each
SOLVED = 0.01  # of the loss at the start: what is below counts less and less

#: Where short trainings are best: constant, family (scale, growth, noise), and the marks of the
#: sweep (fails, lowest, rises). Without gains: (lowest, rises, last).
CENTRE = (-1.1, 0.65, -0.3, 0.1, 0.35, 0.05, 0.3)
CENTRE_BY_LOSS = (-1.4, 0.6, -0.3, 0.15, 0.3, 0.1, 0.4)
#: From there to what is best for some hundred updates: constant and family.
FURTHER = (-0.55, 0.65, -1.15, -0.7)
#: Best for some hundred updates, from the marks of a sweep without short trainings; and of an
#: optimizer of which nothing is known.
ALONE = (-1.5, 1.25, -1.3, -0.3, 0.6, 0.05, 0.05)
ALONE_BY_LOSS = (-1.8, 1.1, -1.15, -0.25, 0.35, 0.0, 0.55)
UNKNOWN = (-0.75, 0.0, 0.0, 0.0, 0.6, 0.3, -0.1)
UNKNOWN_BY_LOSS = (-1.2, 0.0, 0.0, 0.0, 0.45, 0.0, 0.5)
#: Decades above the failing gain that is still believed: a gradient descent on a parabola diverges.
STABLE = 0.3
#: Of an optimizer that nothing is known of.
MIDDLE = Family(0.4, 0.0, -0.3)
#: Decades from the answer to the ends of the interval: where short trainings show a flat bowl, and
#: where a decade from its bottom to that side the score is worse by 1.
BELOW, ABOVE = (1.75, 0.95), (1.55, 1.15)
#: The same without short trainings; and without a family.
ALONE_BELOW, ALONE_ABOVE, UNKNOWN_WIDER = 1.5, 1.8, 1.25
#: What must be learned for an answer to be trusted: a share of the loss, by short trainings and by
#: a sweep, whose best moment is chosen; and as many standard errors.
DROP, DROP_ALONE, SURE = 0.14, 0.2, 4.5
#: Where the loss falls by less than the first share, a rate half a decade lower must be behind in
#: the end by the second share of that; otherwise there was little to learn, and it is learned.
MUCH, BEHIND = 0.55, 0.06
#: Share of the whole fall that counts as falling or rising.
RANGE = 0.1
#: What the usual rules are called.
RULES = {"valley": suggest.valley, "steepest": suggest.steepest, "minimum": suggest.minimum}
#: A loss this many times that of the start, twice in three updates, has exploded; so has one that
#: is that many times larger still.
EXPLODED, AT_ONCE = 4.0, 25.0


class Sweep:
    """Updates one after the other: what was told of each, and whether the loss exploded.

    The loss of the start and its spread are those of the first updates, or told.
    """

    def __init__(self, level: float = math.nan, spread: float = 0.0) -> None:
        self._level, self._spread = level, spread
        self.losses: list[float] = []
        self.afters: list[float] = []
        self.slopes: list[float] = []
        self.stopped: str | None = None

    def tell(self, lr: float, loss: float, after: float, slope: float) -> None:
        """Take down an update; notice an explosion."""
        self.losses.append(loss)
        self.afters.append(after)
        self.slopes.append(slope)
        if not math.isfinite(loss):
            self.stopped = f"the loss was {loss} at the rate {lr:.3g}"
        elif self._high(loss) > AT_ONCE or (
            self._high(loss) > 1 and any(self._high(x) > 1 for x in self.losses[-3:-1])
        ):
            self.stopped = f"the loss exploded, to {loss:.3g}, at the rate {lr:.3g}"
        elif after == after and not math.isfinite(after):
            self.stopped = f"the loss was {after} after the update at the rate {lr:.3g}"

    def _high(self, loss: float) -> float:
        """How far above the start a loss is, 1 being where it counts as exploded."""
        level, spread = self._level, self._spread
        if math.isnan(level):
            first = self.losses[: max(3, len(self.losses) // 4)]
            level, spread = float(np.median(first)), float(np.ptp(first))
        scale = (EXPLODED - 1) * abs(level) + 6 * spread
        return (loss - level) / scale if scale > 0 else (math.inf if loss > level else 0.0)


class Verdict(NamedTuple):
    """What was found, as decimal logarithms."""

    suggestions: dict[str, float]
    interval: tuple[float, float]
    reliable: bool
    reasons: tuple[str, ...]


class Round:
    """A sweep up the rates, and the short trainings around what it showed.

    Knows the rate of the next update, whether that begins from the start, and when all is done.

    Parameters
    ----------
    lrs : ndarray of float64
        The rates of the sweep.
    family : Family or None
        Of the optimizer.
    short : int
        Updates for short trainings; those that a sweep leaves over are added.
    """

    def __init__(self, lrs: Floats, family: Family | None, short: int) -> None:
        self.lrs, self.family, self._short = lrs, family or MIDDLE, short
        self.known = family is not None
        self.sweep, self.probes = Sweep(), dict[float, Sweep]()
        self.over, self.horizon, self._left = False, 0, 0
        self._now: float | None = None

    @property
    def _current(self) -> Sweep:
        return self.sweep if self._now is None else self.probes[self._now]

    @property
    def sweeping(self) -> bool:
        """Whether the next update is of the sweep."""
        return self._now is None

    @property
    def begins(self) -> bool:
        """Whether the next update is from the start."""
        return not self.over and not self._current.losses

    @property
    def rate(self) -> float:
        """Of the next update."""
        return float(self.lrs[len(self.sweep.losses)] if self._now is None else 10.0**self._now)

    def tell(self, loss: float, after: float, slope: float) -> None:
        """What the update did."""
        current, rate = self._current, self.rate
        current.tell(rate, loss, after, slope)
        done = len(current.losses) == (len(self.lrs) if self._now is None else self.horizon)
        if current.stopped is None and not done:
            return
        if self._now is None:
            self._swept()
        else:
            self._left -= len(current.losses)
            self._go(self._next())

    # ----------------------------------------------------------------- what the sweep says

    @cached_property
    def gains(self) -> Floats:
        """The gain ratio of each update of the sweep."""
        s = self.sweep
        return suggest.gains(np.array(s.losses), np.array(s.afters), np.array(s.slopes))

    @property
    def measured(self) -> bool:
        """Whether there are gain ratios."""
        return not np.isnan(self.gains).all()

    @cached_property
    def marks(self) -> suggest.Marks:
        """Where the sweep shows something."""
        return suggest.marks(np.log10(self.lrs), np.array(self.sweep.losses), self.gains)

    @cached_property
    def level(self) -> tuple[float, float]:
        """The loss of the start, and how much it varies."""
        return suggest.level(np.array(self.sweep.losses))

    def linear(self, weights: tuple[float, ...], by_loss: tuple[float, ...]) -> float:
        """A rate from the marks, by the weights for those there are."""
        if self.measured:
            return suggest.linear(self.marks[:3], weights, self.family)
        return suggest.linear(self.marks[1:], by_loss, self.family)

    @property
    def survives(self) -> bool:
        """Whether the first update left a loss that can be used."""
        return self.sweep.stopped is None or len(self.sweep.losses) > 1

    @property
    def moves(self) -> bool:
        """Whether updates do something, as far as that was told."""
        told = [s for s in self.sweep.slopes if not math.isnan(s)]
        return not told or any(told)

    # ------------------------------------------------------------------- short trainings

    def _swept(self) -> None:
        self._left = self._short + len(self.lrs) - len(self.sweep.losses)
        self.horizon = min(max(self._left // COUNT, SHORTEST), LONGEST) if self._short else 0
        if not (self._short and self.moves and math.isfinite(self.level[0])):
            self.over = True
            return
        low, high = np.log10(self.lrs[[0, -1]])
        self._go(float(np.clip(self.linear(CENTRE, CENTRE_BY_LOSS), low, high)))

    def _go(self, x: float) -> None:
        """Train briefly at a rate, or be done: outside of the range, again, or nothing left."""
        low, high = np.log10(self.lrs[[0, -1]])
        self.over = not low <= x <= high or x in self.probes or self._left < self.horizon
        if not self.over:
            self.probes[x], self._now = Sweep(*self.level), x

    @property
    def bowl(self) -> tuple[Floats, Floats]:
        """Rates of short trainings as logarithms, increasing, and the losses at their end."""
        x = sorted(x for x, s in self.probes.items() if s.losses)
        half = self.horizon // 2
        ends = [
            float(np.mean(s.losses[half:]))
            if s.stopped is None and len(s.losses) == self.horizon
            else math.inf
            for s in (self.probes[v] for v in x)
        ]
        return np.array(x), np.array(ends)

    @property
    def best(self) -> float:
        """The rate that is best for a short training, as a logarithm; NaN without any."""
        x, y = self.bowl
        return suggest.bottom(x, _scores(y, self.level[0])) if np.isfinite(y).any() else math.nan

    @property
    def behind(self) -> float:
        """How much higher the loss of a rate half a decade below the best is in the end.

        Batch by batch, over the last quarter of the short training; NaN where there is none.
        """
        xs, ys = self.bowl
        if not np.isfinite(ys).any():
            return math.nan
        best = xs[int(np.argmin(ys))]
        lower = [x for x, y in zip(xs, ys, strict=True) if x < best - NEAR and math.isfinite(y)]
        if not lower:
            return math.nan
        end = [np.array(self.probes[x].losses[3 * self.horizon // 4 :]) for x in (lower[-1], best)]
        return float(np.mean(end[0] - end[1]))

    @property
    def sides(self) -> tuple[float, float]:
        """How steep the bowl is to the left and to the right, from 0 to 1; 0 where not known."""
        x, y = self.bowl
        scores, i = _scores(y, self.level[0]), int(np.argmin(y))
        left = (scores[0] - scores[i]) / (x[i] - x[0]) if i > 0 else 0.0
        right = (scores[-1] - scores[i]) / (x[-1] - x[i]) if i < len(x) - 1 else 0.0
        return float(min(left, 1.0)), float(min(right, 1.0))

    def _next(self) -> float:
        """Where to look next; where one has been already when all is seen."""
        xs, ys = self.bowl
        i, last = int(np.argmin(ys)), len(xs) - 1
        if not math.isfinite(ys[i]):
            return float(xs[0] - 2 * HALF)
        low, high = np.log10(self.lrs[[0, -1]])
        if i == last and xs[i] < high:
            return float(min(xs[i] + HALF, high))
        if i == 0 and xs[i] > low:
            return float(max(xs[i] - HALF, low))
        if i in (0, last):
            return float(xs[i])
        return float(0.5 * (xs[i] + (xs[i + 1] if self.best > xs[i] else xs[i - 1])))


def verdict(rounds: Sequence[Round]) -> Verdict:
    """What one round or several say together."""
    if not rounds:
        nothing = dict.fromkeys(("gain", *RULES), math.nan)
        return Verdict(nothing, (math.nan, math.nan), False, ("nothing has been told yet",))
    first, sweeps = rounds[0], [r.sweep for r in rounds]
    further = suggest.linear((), FURTHER, first.family)
    short = [r.best + further for r in rounds if not math.isnan(r.best)]
    usable = [r for r in rounds if r.moves and r.survives and math.isfinite(r.level[0])]
    said = short or [_alone(r) for r in usable]
    x = float(np.median(said)) if said else math.nan
    used = [r for r in rounds if short and not math.isnan(r.best)]
    exploded = [r.lrs[len(r.sweep.losses) - 1] for r in rounds if r.sweep.stopped is not None]
    highest = math.log10(min(exploded, default=math.inf))
    low, high = _ends(x, said, used, first.known, highest)
    against = _against([_sign(r) for r in rounds])
    reasons = [_stopped(sweeps), *_words(rounds, short, said)]
    return Verdict(
        {"gain": x, **common(np.log10(first.lrs), sweeps)},
        (low, high),
        not against,
        (*against, *reasons),
    )


def _alone(r: Round) -> float:
    """What a sweep without short trainings says."""
    x = r.linear(*((ALONE, ALONE_BY_LOSS) if r.known else (UNKNOWN, UNKNOWN_BY_LOSS)))
    return min(x, r.marks.fails + STABLE) if r.measured else x


def _ends(
    x: float, said: list[float], short: list[Round], known: bool, highest: float
) -> tuple[float, float]:
    """The interval around an answer, over all repeats; not beyond where the loss exploded."""
    if not said:
        return math.nan, math.nan
    if short:
        left, right = (float(np.mean(side)) for side in zip(*(r.sides for r in short), strict=True))
        below, above = (
            flat + (steep - flat) * side for (flat, steep), side in ((BELOW, left), (ABOVE, right))
        )
    else:
        below, above = ALONE_BELOW, ALONE_ABOVE
    wider = 1.0 if known else UNKNOWN_WIDER
    high = max(said) + wider * above
    return min(said) - wider * below, max(x, min(high, highest))


def _words(rounds: Sequence[Round], short: list[float], said: list[float]) -> list[str]:
    """How the answer came about."""
    out = []
    if short:
        rates = [10.0**x for r in rounds for x in r.bowl[0]]
        out.append(
            f"short trainings of {rounds[0].horizon} updates compared rates from {min(rates):.2g} "
            f"to {max(rates):.2g}; the answer is for some hundred updates, and a longer training "
            "may want a lower rate in the end"
        )
    elif said:
        found = "the gain ratio of each update" if rounds[0].measured else "the losses"
        out.append(f"from {found} of a sweep alone, without short trainings: a rough guide")
    if len(said) > 1:
        each = ", ".join(f"{10.0**x:.2g}" for x in sorted(said))
        out.append(f"{len(said)} repeats say {each}")
    return out


class Sign(NamedTuple):
    """How surely something was learned."""

    drop: float  # share of the loss
    enough: float  # what that should be
    z: float  # in standard errors
    behind: float  # how far a lower rate is behind in the end, as a share of the drop
    moves: bool  # whether there is a gradient
    survives: bool  # the first update
    finite: bool


def _sign(r: Round) -> Sign:
    """By the short trainings, or by the sweep where there were none."""
    level, spread = r.level
    ends = r.bowl[1]
    ends, enough, averaged = ends[np.isfinite(ends)], DROP, r.horizon - r.horizon // 2
    if not len(ends):
        ends = suggest.smoothed(np.array(r.sweep.losses))
        enough, averaged = DROP_ALONE, 2 * suggest.WINDOW + 1
    with np.errstate(all="ignore"):
        fall = np.float64(level - (ends.min() if len(ends) else math.nan))
        drop, z = float(fall / abs(level)), float(fall / (spread / math.sqrt(averaged)))
        behind = float(r.behind / fall)
    return Sign(drop, enough, z, behind, r.moves, r.survives, math.isfinite(level))


def _against(signs: Sequence[Sign]) -> list[str]:
    """Why an answer is not to be trusted, in words; nothing if it is."""
    if not any(s.finite for s in signs):
        return ["the loss is not finite from the start: look for the reason there"]
    if not any(s.moves for s in signs):
        return ["the gradient is zero: the parameters are frozen, or the loss is not of them"]
    if not any(s.survives for s in signs):
        return ["the first update, at the lowest rate, fails already: look at the gradients"]
    drop, enough = (float(np.median([x[i] for x in signs])) for i in (0, 1))
    if not drop >= enough:
        return [
            f"no rate lowers the loss by much ({100 * max(0.0, drop):.1f} % at best; "
            f"{100 * enough:.0f} % are asked for): the model is trained already, the data teach it "
            "little, or it begins to learn slowly, which more steps would show"
        ]
    z = float(np.median([s.z for s in signs]))
    if not z >= SURE:
        return [
            f"no rate lowers the loss by more than it varies between batches ({z:.1f} standard "
            f"errors, {SURE} are asked for): larger batches or repeats would tell"
        ]
    if drop < MUCH and np.median([s.behind for s in signs]) < BEHIND:
        return [
            f"the loss falls by {100 * drop:.0f} % and then stays, with a rate three times lower "
            "as well: what can be learned is learned in a few updates, or there is nothing more"
        ]
    return []


def _stopped(sweeps: Sequence[Sweep]) -> str:
    why = [s.stopped for s in sweeps if s.stopped is not None]
    if not why:
        return "no rate up to the end of the range made the loss explode"
    return f"the sweep stopped where {why[0]}"


def common(x: Floats, sweeps: Sequence[Sweep]) -> dict[str, float]:
    """What the usual rules say of the losses, each the median over the sweeps."""
    out = {}
    for name, rule in RULES.items():
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
