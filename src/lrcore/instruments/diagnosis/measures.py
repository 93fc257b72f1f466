"""What a curve measures to: levels, trends and counts, each with its error where it has one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .curve import Curve
from .thresholds import LIMIT

__all__ = ["Part", "Trend", "normal_score", "parts", "poisson_tail", "rest", "trend"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Bins [first, last) of a curve: a part of the run that is judged as one."""

    curve: Curve
    first: int
    last: int

    @property
    def start(self) -> int:
        """The first update."""
        return self.first * self.curve.width

    @property
    def stop(self) -> int:
        """One past the last update."""
        return min(self.last * self.curve.width, self.curve.steps)

    @property
    def steps(self) -> int:
        """Updates in it."""
        return self.stop - self.start

    def row(self, name: str) -> Array:
        """A row of its bins."""
        return self.curve[name][self.first : self.last]

    def total(self, name: str) -> float:
        """The sum of a row."""
        return float(self.row(name).sum())

    def loss(self) -> float:
        """The mean of its finite losses."""
        count = self.row("n")
        return float((count * self.row("mean")).sum() / max(count.sum(), 1))

    def mean(self, field: str) -> float:
        """The mean of a field over all its updates at which it was measured; NaN without."""
        count = self.total(f"count:{field}")
        return self.total(f"sum:{field}") / count if count else math.nan

    def slice(self, low: float, high: float) -> Part:
        """The part of it between two shares of its length."""
        bins = self.last - self.first
        first = self.first + round(low * bins)
        return Part(self.curve, first, max(self.first + round(high * bins), first + 1))

    def batches(self, field: str = "loss", most: int | None = None) -> tuple[Array, Array]:
        """Means of a field over equal stretches, and how many values are in each.

        Stretches without a value are left out.
        """
        bins = self.last - self.first
        edges = np.linspace(0, bins, min(most or int(LIMIT["batches"]), bins) + 1).astype(int)[:-1]
        if field == "loss":
            count, total = self.row("n"), self.row("n") * self.row("mean")
        else:
            count, total = self.row(f"count:{field}"), self.row(f"sum:{field}")
        many = np.add.reduceat(count, edges)
        with np.errstate(all="ignore"):
            means = np.add.reduceat(total, edges) / many
        return means[many > 0], many[many > 0]


@dataclass(frozen=True)
class Trend:
    """A straight line through batch means.

    `z` is the slope over its error, as a normal score; `change` the rise of the line from end to
    end; `noise` the error of the mean of the whole part.
    """

    z: float
    change: float
    noise: float


def trend(part: Part, field: str = "loss") -> Trend:
    """The slope of a field; its error from batch means, widened by what correlation they have."""
    y, _ = part.batches(field)
    k = len(y)
    if k < 5:
        return Trend(0.0, 0.0, math.inf)
    x = np.linspace(-0.5, 0.5, k)
    scale = float(abs(y).max()) or 1.0
    y = y / scale  # so that the squares of losses which explode do not overflow
    change = float(x @ y / (x @ x))
    rest = y - y.mean() - change * x
    square = float(rest @ rest)
    floor = 1e-18 * k  # below that it is rounding
    if square <= floor:
        flat = change * change * float(x @ x) <= floor
        z = 0.0 if flat else math.copysign(40.0, change)
        return Trend(z, scale * change, scale * math.sqrt(floor) / k)
    lag = float(rest[1:] @ rest[:-1]) / square + 2 / k  # a fitted line leaves about -2/k
    lag = min(max(lag, 0.0), 0.9)
    wider = (1 + lag) / (1 - lag)
    variance = square / (k - 2) * wider
    t = change / math.sqrt(variance / float(x @ x))
    return Trend(normal_score(t, k - 2), scale * change, scale * math.sqrt(variance / k))


def rest(curve: Curve) -> float:
    """The gradients of the last tenth, divided by those of the first; NaN if not measured."""
    whole = Part(curve, 0, len(curve))
    first, last = (whole.slice(*span).mean("grad_norm") for span in ((0.0, 0.1), (0.9, 1.0)))
    return math.exp(min(last - first, 700.0))  # means of logarithms


def normal_score(t: float, df: float) -> float:
    """The normal score that is as unlikely as Student's t; Wallace 1959, eq. 6.3."""
    size = math.sqrt(df * math.log1p(t * t / df)) * (8 * df + 1) / (8 * df + 3)
    return math.copysign(size, t)


def normal_tail(z: float) -> float:
    """The chance of a normal score of z or more."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def poisson_tail(count: int, mean: float) -> float:
    """The chance of `count` or more events where `mean` are expected."""
    if count <= 0:
        return 1.0
    if mean > 200:
        return normal_tail((count - 0.5 - mean) / math.sqrt(mean))
    term = math.exp(-mean)
    below = term
    for k in range(1, count):
        term *= mean / k
        below += term
    return max(1.0 - below, 0.0)


def parts(curve: Curve) -> tuple[Part, int]:
    """The part of a run that is judged, and the number of jumps of the rate in all of it.

    Without its first 20th, in which everything changes; and of what lies between jumps of the rate
    the last stretch, or the longest one where the last is too short to say anything. All of it
    where the rate jumps so often that no stretch is long enough, as cyclic ones do.
    """
    bins = len(curve)
    ignored = math.ceil(LIMIT["ignored_share"] * bins)
    jumps = np.flatnonzero(curve["jumps"])
    edges = [ignored, *(int(j) for j in jumps if j > ignored), bins]
    # A bin with a jump inside belongs to neither side where it holds several updates.
    inside = 1 if curve.width > 1 else 0
    pieces = [
        Part(curve, a + (inside if i else 0), b)
        for i, (a, b) in enumerate(pairwise(edges))
        if b > a + (inside if i else 0)
    ]
    if not pieces:
        return Part(curve, 0, bins), len(jumps)
    last, longest = pieces[-1], max(pieces, key=lambda p: p.steps)
    enough = max(LIMIT["least_steps"] / 2, 0.1 * curve.steps)
    if longest.steps < enough:
        return Part(curve, min(ignored, bins - 1), bins), len(jumps)
    return (last if last.steps >= enough else longest), len(jumps)
