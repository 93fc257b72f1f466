"""From the numbers of a sweep to rates: where the gain fails, where the loss falls and rises.

`x` is the decimal logarithm of the rates throughout, and increases.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .family import Family

__all__ = ["Marks", "bottom", "decreasing", "gains", "marks", "minimum", "steepest", "valley"]

Floats = NDArray[np.float64]

FAILS = 0.5  # the gain ratio of a step to the minimum of a parabola
WINDOW = 2  # neighbours on each side that a loss is averaged with


class Marks(NamedTuple):
    """Where a sweep shows something, as decimal logarithms; NaN where it does not."""

    fails: float  # the gain ratio falls below FAILS
    lowest: float  # the loss is lowest
    rises: float  # the loss is back where it began
    last: float  # the sweep ends


def gains(losses: Floats, afters: Floats, slopes: Floats) -> Floats:
    """Change of the loss by what the gradient promised; NaN where the step was not downhill."""
    with np.errstate(all="ignore"):
        rho = (afters - losses) / slopes
    rho[~(slopes < 0) | np.isnan(afters)] = np.nan
    return np.where(np.isinf(rho), -np.inf, rho)


def decreasing(y: Floats) -> Floats:
    """The decreasing values nearest to `y`: neighbours in the wrong order share their mean."""
    blocks: list[tuple[float, int]] = []
    for value in y:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] < mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def smoothed(y: Floats) -> Floats:
    """Means over neighbours, centred: no shift. What is not finite is infinite."""
    y = np.where(np.isfinite(y), y, np.inf)
    n = len(y)
    return np.array([y[max(0, i - WINDOW) : i + WINDOW + 1].mean() for i in range(n)])


def level(losses: Floats) -> tuple[float, float]:
    """The loss of the start, and how much it varies between batches (a standard deviation)."""
    first = losses[: max(3, len(losses) // 3)]
    first = first[np.isfinite(first)]
    if len(first) == 0:
        return np.nan, np.nan
    middle = float(np.median(first))
    return middle, 1.4826 * float(np.median(abs(first - middle)))


def marks(x: Floats, losses: Floats, rho: Floats) -> Marks:
    """Where a sweep shows something."""
    x = x[: len(losses)]
    if len(x) == 0:
        return Marks(np.nan, np.nan, np.nan, np.nan)
    y, start = smoothed(losses), level(losses)[0]
    low = int(np.argmin(y))
    back = np.flatnonzero(y[low:] > start)
    rises = x[low + back[0]] if len(back) else x[-1]
    return Marks(_fails(x, rho), float(x[low]), float(rises), float(x[-1]))


def _fails(x: Floats, rho: Floats) -> float:
    measured = ~np.isnan(rho)
    if not measured.any():
        return np.nan
    at, fit = x[measured], decreasing(np.clip(rho[measured], -1, 1.5))
    below = np.flatnonzero(fit < FAILS)
    if len(below) == 0:
        return float(at[-1])
    k = int(below[0])
    if k == 0:
        return float(at[0])
    share = (fit[k - 1] - FAILS) / (fit[k - 1] - fit[k])
    return float(at[k - 1] + share * (at[k] - at[k - 1]))


def linear(values: tuple[float, ...], weights: tuple[float, ...], family: Family) -> float:
    """A constant, what follows from the family, and the weighted values."""
    terms = (1.0, *family, *values)
    return float(np.dot(terms, weights))


def bottom(x: Floats, scores: Floats) -> float:
    """The lowest point of a bowl known at a few places: of a parabola through the lowest three.

    Scores are in units in which 1 is much; what is higher by more counts as higher by that.
    """
    i = int(np.argmin(scores))
    if not 0 < i < len(x) - 1:
        return float(x[i])
    left, right = (min(scores[k] - scores[i], 1.0) for k in (i - 1, i + 1))
    a, b = x[i] - x[i - 1], x[i + 1] - x[i]
    # of the parabola through (-a, left), (0, 0), (b, right)
    slope = (right * a * a - left * b * b) / (a * b * (a + b))
    bend = (left * b + right * a) / (a * b * (a + b))
    shift = -slope / (2 * bend) if bend > 0 else 0.0
    return float(x[i] + np.clip(shift, -a / 2, b / 2))


# ------------------------------------------------------------------ what is common elsewhere


def minimum(x: Floats, losses: Floats) -> float:
    """A tenth of the rate with the lowest loss."""
    return float(x[int(np.argmin(smoothed(losses)))] - 1) if len(losses) else np.nan


def steepest(x: Floats, losses: Floats) -> float:
    """Where the loss falls fastest per decade, before its lowest point."""
    y = smoothed(losses)
    low = int(np.argmin(y))
    if low < 2 or not np.isfinite(y[: low + 1]).all():
        return np.nan
    return float(x[int(np.argmin(np.gradient(y[: low + 1], x[: low + 1])))])


def valley(x: Floats, losses: Floats) -> float:
    """Two thirds along the longest stretch of falling losses."""
    y = smoothed(losses)
    best, start = (0, 0), 0
    for i in range(1, len(y) + 1):
        if i == len(y) or not y[i] < y[i - 1]:
            best = max(best, (i - 1 - start, -start))
            start = i
    length, start = best[0], -best[1]
    return float(x[start + 2 * length // 3]) if length >= 2 else np.nan
