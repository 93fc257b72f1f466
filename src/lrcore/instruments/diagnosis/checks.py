"""The checks a diagnosis is made of: each measures one thing and compares it with its null.

A check returns a finding as a tuple, or None; `all_of` makes them all and says which verdict they
amount to. The lines are in `thresholds`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import rate
from .curve import WINDOW, Curve
from .measures import Part, Trend, normal_score, parts, poisson_tail, rest, trend
from .thresholds import LIMIT

__all__ = ["Found", "all_of"]

NAN = math.nan
RECENT = 512  # updates, all of them far up, that are enough to call a run exploded
#: The chances where a run diverged, whatever else was measured.
DIVERGED = {"too_low": 0.0, "good": 0.05, "too_high": 0.95}


class Found(NamedTuple):
    """The fields of a Finding."""

    code: str
    start: int
    stop: int
    statistic: str
    value: float
    null: float
    threshold: float
    confidence: float
    values: dict[str, Any]


class Levels(NamedTuple):
    """Mean losses: of the first window, the last, and the best before it; and of the first bin."""

    start: float
    first: float  # of the first bin, before anything could go wrong
    last: float
    best: float
    best_stop: int  # where the best window ends
    last_start: int
    above_start: float  # how many errors the last is above that at the start
    above_best: float


# -------------------------------------------------------------------------------- levels


def levels(curve: Curve) -> Levels:
    """Compare the ends of a run with its best window; errors from the spread inside windows."""
    whole = Part(curve, 0, len(curve))
    count = max(5, min(10, len(curve) // 2))
    windows = [whole.slice(i / count, (i + 1) / count) for i in range(count)]
    windows = [w for w in windows if w.total("n") > 0]
    if len(windows) < 3:
        mean = whole.loss()
        return Levels(mean, mean, mean, mean, 0, 0, 0.0, 0.0)
    means = np.array([w.loss() for w in windows])
    memory = _memory(curve)
    errors = np.array([_error(w, memory) for w in windows])
    best = int(np.argmin(means[:-1]))
    # The start is where nothing was learnt yet: the first tenth of the first window.
    first = windows[0].slice(0, 0.1)
    start = first.loss() if first.total("n") else float(means[0])

    def above(i: int) -> float:
        error = math.hypot(errors[-1], errors[i])
        gap = float(means[-1] - means[i])
        return 0.0 if gap <= 0 else gap / error if error > 0 else math.inf

    return Levels(
        max(start, float(means[0])),
        float(curve["mean"][np.argmax(curve["n"] > 0)]),
        float(means[-1]),
        float(means[best]),
        windows[best].stop,
        windows[-1].start,
        above(0),
        above(best),
    )


def _memory(curve: Curve) -> float:
    """The correlation of the noise of neighbouring losses, from the moves between them."""
    part = parts(curve)[0]
    square = part.total("move2")
    lag = 1 + 2 * part.total("move_move") / square if square > 0 else 0.0
    # Two errors up: too little memory would make an error too small.
    return min(max(lag, 0.0) + 2 / math.sqrt(max(part.total("moves"), 1)), 0.98)


def _error(part: Part, memory: float) -> float:
    """The error of the mean of a window: from the moves in it, or its batches about a line."""
    y, _ = part.batches(most=10)
    k, moves = len(y), part.total("moves")
    if k < 4 or not moves:
        return math.inf
    scale = float(abs(y).max()) or 1.0
    y = y / scale  # so that the squares of losses which explode do not overflow
    x = np.linspace(-0.5, 0.5, k)
    rest = y - y.mean() - x * (x @ y) / (x @ x)
    lag = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300) + 2 / k
    lag = min(max(lag, 0.0), 0.8)
    by_batches = float(rest @ rest) / (k - 2) / k * (1 + lag) / (1 - lag)
    variance = part.total("move2") / scale / scale / moves / 2 / (1 - memory)
    by_moves = variance / moves * (1 + memory) / (1 - memory)
    return scale * math.sqrt(max(by_batches, by_moves))


def diverged(curve: Curve, at: Levels) -> Found | None:
    """Non-finite to the end or often; or far up, significantly, and not come down."""
    bad = curve["bad"]
    total = int(bad.sum())
    if total:
        places = np.flatnonzero(bad)
        first = int(places[0]) * curve.width
        seen = Part(curve, 0, len(curve))
        back = places[-1] < len(curve) - max(len(curve) // 20, 1)
        if not back or poisson_tail(total, LIMIT["spike_rate"] * curve.steps) < LIMIT["alpha"]:
            values = {"count": total, "first": first, "last": NAN, "best": at.best}
            return Found("diverged", first, seen.stop, "nonfinite", total, 0.0, 1.0, 1.0, values)
    sure = at.above_best > LIMIT["level_z"]
    risen = at.last - at.best
    ratio = at.last / at.start if at.start > 0 else NAN
    values = {"last": at.last, "best": at.best}
    span = (_turn(curve, at), curve.steps)
    if (far := _exploded(curve)) is not None:
        return far
    if sure and at.above_start > LIMIT["level_z"] and ratio > LIMIT["diverged_ratio"]:
        line = LIMIT["diverged_ratio"]
        return Found("diverged", *span, "level_start", ratio, 1.0, line, 0.99, values)
    if not (sure and risen > LIMIT["regained"] * (at.start - at.best)):
        return None
    line = LIMIT["level_ratio"]
    if at.best > 0 and at.last / at.best > line:
        return Found("diverged", *span, "level", at.last / at.best, 1.0, line, 0.95, values)
    if at.best <= 0 and risen > (line - 1) * abs(at.best):
        # A ratio says nothing where the loss is below 0: how much of the fall was lost does.
        lost = min(risen / max(at.start - at.best, 0.01 * risen), 100.0)
        line = LIMIT["regained"]
        return Found("diverged", *span, "regained", lost, 0.0, line, 0.95, values)
    return None


def _turn(curve: Curve, at: Levels) -> int:
    """Where the losses went for good above the middle between the best and the last."""
    first = at.best_stop // curve.width
    middle = 0.5 * (at.best + at.last)
    means = curve["mean"][first:]
    path = np.cumsum(np.where(np.isfinite(means), means - middle, 0.0))
    return min((first + int(np.argmin(np.r_[0.0, path]))) * curve.width, curve.steps - 1)


def _exploded(curve: Curve) -> Found | None:
    """All of the last losses far above the highest of the first tenth.

    The last losses are a tenth as well, but no more than are enough: in a long run a tenth is much
    too long to wait for.
    """
    tenth = max(len(curve) // 10, 1)
    enough = -(-RECENT // curve.width) + 1  # the last bin may hold few updates
    line = LIMIT["exploded_ratio" if tenth < enough else "diverged_ratio"]
    top = float(curve["high"][:tenth].max(initial=-math.inf))
    floor = float(curve["low"][-min(tenth, enough) :].min(initial=math.inf))
    if not floor > line * top > 0:
        return None
    start = (int(np.flatnonzero(curve["low"] <= line * top)[-1]) + 1) * curve.width
    values = {"last": floor, "best": float(curve["low"].min())}
    ratio = floor / top
    return Found("diverged", start, curve.steps, "level_top", ratio, 1.0, line, 0.99, values)


def nonfinite(curve: Curve) -> Found | None:
    """Any loss that is no number."""
    bad = curve["bad"]
    total = int(bad.sum())
    if not total:
        return None
    places = np.flatnonzero(bad)
    first, last = int(places[0]) * curve.width, (int(places[-1]) + 1) * curve.width
    stop = min(last, curve.steps)
    values = {"count": total, "first": first}
    return Found("nonfinite", first, stop, "nonfinite", total, 0.0, 1.0, 1.0, values)


def risen(curve: Curve, at: Levels) -> Found | None:
    """The last window significantly above the best one."""
    if at.best <= 0 or at.above_best <= LIMIT["level_z"]:
        return None
    ratio = at.last / at.best
    if ratio <= LIMIT["level_ratio"]:
        return None
    values = {"change": at.last - at.best, "last": at.last, "best": at.best}
    line = LIMIT["level_ratio"]
    return Found("rising", at.best_stop, curve.steps, "level", ratio, 1.0, line, 0.95, values)


# ---------------------------------------------------------------------- spikes, swinging


def spiking(part: Part, start: float) -> Found | None:
    """More spikes than one in a thousand updates; a Poisson count.

    Only those count that rise by a tenth of the loss at the start: near the end of a run that has
    learnt all but everything, one batch in many stands out, and it does not matter.
    """
    spikes = part.row("spikes")
    where = np.flatnonzero(spikes)
    around = max(WINDOW // 2 // part.curve.width, 2)
    mean, high = part.row("mean"), part.row("high")
    usual = np.array([np.median(mean[max(i - around, 0) : i + around]) for i in where])
    where = where[high[where] - usual > LIMIT["spike_height"] * abs(start)]
    count, steps = int(spikes[where].sum()), part.steps
    chance = poisson_tail(count, LIMIT["spike_rate"] * steps)
    if chance > LIMIT["alpha"]:
        return None
    begin = part.start + int(where[0]) * part.curve.width
    stop = min(part.start + (int(where[-1]) + 1) * part.curve.width, part.stop)
    values = {"count": count, "every": round(steps / count)}
    line = LIMIT["spike_rate"]
    return Found("spiking", begin, stop, "spike_rate", count / steps, 0.0, line, 0.95, values)


def oscillating(part: Part, falling: bool) -> Found | None:
    """Turns at more updates than noise does, neighbours on opposite sides, and no descent."""
    half = part.slice(0.5, 1)
    moves = half.total("moves")
    square = half.total("move2")
    if moves < LIMIT["least_steps"] / 2 or square <= 0 or falling:
        return None
    # Of differences: white noise has -1/2, swinging from side to side -1.
    lag = 1 + 2 * half.total("move_move") / square
    turning = (half.total("turns") - 2 * moves / 3) / math.sqrt(16 * moves / 90)
    line = min(LIMIT["lag1"], -5 * math.sqrt(2 / moves))
    if lag > line or turning < LIMIT["turning_z"]:
        return None
    values = {"turning_z": turning}
    return Found("oscillating", half.start, half.stop, "lag1", lag, 0.0, line, 0.95, values)


# ---------------------------------------------------------------------------- overfitting


def overfitting(curve: Curve, falling: bool) -> Found | None:
    """The validation loss rises from its minimum on, while the training loss falls."""
    seen = np.flatnonzero(curve["count:val_loss"])
    seen = seen[seen >= int(LIMIT["ignored_share"] * len(curve))]
    if len(seen) < LIMIT["least_val"] or not falling:
        return None
    v = curve.val_loss[seen]
    smooth = v.copy()
    smooth[1:-1] = np.median([v[:-2], v[1:-1], v[2:]], axis=0)
    low = int(np.argmin(smooth))
    after = v[low + 1 :]
    k = len(after)
    if k < LIMIT["least_rise"]:
        return None
    x = np.linspace(-0.5, 0.5, k)
    rise = float(x @ after / (x @ x))
    rest = after - after.mean() - rise * x
    # Around the line, but at least what the points before jump by.
    square = float(rest @ rest) / max(k - 2, 1)
    lag = min(max(float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300) + 2 / k, 0), 0.8)
    error = math.sqrt(
        max(square, 1e-18 * float(v[low]) ** 2) / float(x @ x) * (1 + lag) / (1 - lag)
    )
    z = normal_score(min(rise / error, 1e6), k - 2)
    gone = float(after[-max(k // 4, 2) :].mean() - smooth[low])
    fell = float(v[0] - smooth[low])
    line = LIMIT["overfit_z"]
    if z < line or gone < LIMIT["overfit_share"] * max(fell, abs(float(smooth[low]))):
        return None
    at = int(seen[low]) * curve.width
    values = {"at": at, "minimum": float(smooth[low]), "now": float(after[-1])}
    return Found("overfitting", at, curve.steps, "val_rise_z", z, 0.0, line, 0.97, values)


# --------------------------------------------------------------------------------- all


def all_of(curve: Curve) -> tuple[str, float, list[Found], dict[str, float]]:
    """Return verdict, confidence, findings and the chances of the rate."""
    at = levels(curve)
    burst = diverged(curve, at)
    if too_short := _too_short(curve):
        if burst is not None:
            chances = DIVERGED if curve["n"].any() else {}  # without a loss nothing is known
            return "diverged", burst.confidence, [burst], chances
        return "not_enough_data", 1.0, [too_short], {}
    part, jumps = parts(curve)
    half = part.slice(0.5, 1)
    slope = trend(half)
    falling = slope.z < LIMIT["falling_z"]
    sure = [burst, spiking(part, at.start)]
    swing, over = oscillating(part, falling), overfitting(curve, falling)
    found = [one for one in (*sure, swing, over) if one is not None]
    if burst is None and (bad := nonfinite(curve)):
        found.append(bad)
    up = risen(curve, at) if burst is None else None
    if jumps and part.steps < LIMIT["judged_share"] * curve.steps:
        found.append(_jumps(part, jumps))
    values = rate.inputs(curve, part, begun(at), at.last)
    measured = rate.kind_of(values) not in ("", "l")
    shares = rate.chances(values)
    chances = shares if measured else {}
    if burst is not None:
        return "diverged", burst.confidence, found, DIVERGED
    found += [one for one in (_of_the_rate(part, values, chances), up) if one is not None]
    for code in ("spiking", "lr_too_high", "oscillating", "lr_too_low", "overfitting"):
        for one in found:
            if one.code == code:
                return code, one.confidence, _first(one, found), chances
    verdict, confidence, rests_on = _quiet(half, slope, at, shares, measured)
    return verdict, confidence, [rests_on, *found], chances


def _first(one: Found, found: list[Found]) -> list[Found]:
    return [one, *(other for other in found if other is not one)]


def _too_short(curve: Curve) -> Found | None:
    """Too few losses; a log of epochs, with a validation loss at each, needs fewer."""
    by_epoch = 2 * curve["count:val_loss"].sum() >= curve.steps > 0
    least = LIMIT["least_epochs" if by_epoch else "least_steps"]
    if curve["n"].sum() >= least:
        return None
    values = {"steps": curve.steps, "least": int(least)}
    steps = curve.steps
    return Found("not_enough_data", 0, steps, "steps", steps, least, least, 1.0, values)


def _jumps(part: Part, count: int) -> Found:
    values = {"count": count}
    return Found("rate_jumps", part.start, part.stop, "count", count, 0.0, 0.0, 1.0, values)


def _of_the_rate(part: Part, values: dict[str, float], chances: dict[str, float]) -> Found | None:
    """What the steps say of the rate, or that they do not say it clearly."""
    if not chances:
        return None
    best = max(chances, key=chances.__getitem__)
    if best == "good" and chances[best] >= LIMIT["clear_chance"]:
        return None
    side = best if best != "good" else max(("too_low", "too_high"), key=chances.__getitem__)
    sure = chances[best] >= LIMIT["assert_chance"] and rate.agree(values, best)
    said: dict[str, Any] = {key: round(100 * share) for key, share in chances.items()}
    said["evidence"] = rate.evidence(values, side)
    line, usual = LIMIT["assert_chance"], LIMIT[f"usual_{side}"]
    return Found(
        f"lr_{best}" if sure else "rate_unclear",
        part.start,
        part.stop,
        f"chance_{side}",
        chances[side],
        usual,
        line,
        chances[best],
        said,
    )


def _quiet(
    half: Part, slope: Trend, at: Levels, shares: dict[str, float], measured: bool
) -> tuple[str, float, Found]:
    """What the trend says where nothing is wrong: verdict, confidence, what it rests on.

    `shares` are the chances of the rate, `measured` whether by the steps; by the loss alone they
    only decide whether to abstain.
    """
    values = {"change": abs(slope.change), "last": at.last, "first": begun(at)}
    span, line = (half.start, half.stop), LIMIT["falling_z"]
    good = shares.get("good", 0.0)
    clear = good >= LIMIT["clear_chance"]

    def found(code: str, name: str, value: float, null: float, threshold: float) -> Found:
        return Found(code, *span, name, value, null, threshold, 0.9, values)

    if slope.z > -line:
        return "inconclusive", 0.5, found("rising", "trend_z", slope.z, 0.0, -line)
    if slope.z < line:
        fell = begun(at) - at.last
        late = min(abs(slope.change) / fell, 1.0) if fell > 0 else 1.0
        slow = shares.get("too_low", 0.0)
        if late > LIMIT["late_share"] and not (measured and clear):
            one = found("still_falling", "late_share", late, 0.2, LIMIT["late_share"])
            return "inconclusive", 0.5, one
        if not measured and slow > LIMIT["slow_chance"]:
            usual = LIMIT["usual_too_low"]
            one = found("still_falling", "chance_too_low", slow, usual, LIMIT["slow_chance"])
            return "inconclusive", 0.5, one
        one = found("falling", "trend_z", slope.z, 0.0, line)
        if measured and not clear:
            return "inconclusive", 0.5, one
        return "healthy", good if measured and good else 0.5, one
    return _flat(half, slope, at, found, good if clear else 0.0, measured)


def begun(at: Levels) -> float:
    """The loss at the start; where it exploded at once and only came back, that before."""
    burst = at.start > LIMIT["exploded_ratio"] * at.first > 0
    return at.first if burst and at.last > LIMIT["burst_ratio"] * at.first else at.start


def _flat(
    half: Part,
    slope: Trend,
    at: Levels,
    found: Callable[[str, str, float, float, float], Found],
    good: float,
    measured: bool,
) -> tuple[str, float, Found]:
    """What a flat loss says: all learnt, nothing learnt, or neither."""
    first = begun(at)
    ratio = at.last / first if at.last >= 0 < first else NAN
    rates = half.curve.lr[half.curve["count:lr"] > 0]
    annealed = len(rates) > 0 and rates[-1] < LIMIT["annealed_ratio"] * rates.max()
    if ratio < LIMIT["solved_ratio"]:
        return "converged", 0.9, found("converged", "ratio", ratio, 1.0, LIMIT["solved_ratio"])
    if (still := rest(half.curve)) < LIMIT["rest_ratio"] and ratio < LIMIT["fell_ratio"]:
        return "converged", 0.9, found("converged", "rest", still, 1.0, LIMIT["rest_ratio"])
    if annealed and good and ratio < LIMIT["fell_ratio"]:
        return "converged", good, found("converged", "ratio", ratio, 1.0, LIMIT["fell_ratio"])
    if ratio > LIMIT["fell_ratio"]:
        return "inconclusive", 0.5, found("never_fell", "ratio", ratio, 0.5, LIMIT["fell_ratio"])
    z = ("trend_z", slope.z, 0.0, LIMIT["falling_z"])
    if measured and good:
        return "plateau", good, found("plateau", *z)
    return "inconclusive", 0.5, found("settled" if annealed else "flat", *z)
