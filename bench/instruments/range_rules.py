"""What other libraries read off a range test, as they publish it, written anew for comparison.

Each takes the decimal logarithms of the rates and the losses as they came, and smooths, cuts and
stops as its library does; returns the logarithm of a rate, NaN where that library raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _fastai(x: Floats, losses: Floats, beta: float = 0.98) -> tuple[Floats, Floats]:
    """fastai 2.8: an exponential mean without its bias, to 4 times its lowest; ends cut off."""
    mean, out = 0.0, []
    for i, loss in enumerate(losses):
        mean = beta * mean + (1 - beta) * float(loss)
        out.append(mean / (1 - beta ** (i + 1)))
        if not out[-1] <= 4 * min(out):
            break
    return x[: len(out)][10:-5], np.array(out)[10:-5]


def fastai_valley(x: Floats, losses: Floats) -> float:
    """The middle of a window as long as the longest falling subsequence, and with its end."""
    x, y = _fastai(x, losses)
    if len(y) < 2:
        return math.nan
    longest = np.ones(len(y), int)
    for i in range(1, len(y)):
        before = longest[:i][y[:i] > y[i]]
        longest[i] = 1 + (before.max() if len(before) else 0)
    end = int(np.argmax(longest))
    third = longest[end] / 3
    return float(x[end - longest[end] + int(third) + int(third / 2)])


def fastai_slide(x: Floats, losses: Floats, over: int = 15, enough: float = 0.005) -> float:
    """From the right, the first interval whose ends differ little in slope; its lower rate."""
    x, y = _fastai(x, losses)
    if len(y) <= over:
        return math.nan
    slope = np.gradient(y)
    right, left = -1, -1 - over
    at = right
    while left >= -len(y) and abs(slope[right] - slope[left]) > enough:
        at, right, left = left, right - 1, left - 1
    return float(x[at])


def fastai_steep(x: Floats, losses: Floats) -> float:
    """Where the smoothed loss falls fastest per decade."""
    x, y = _fastai(x, losses)
    return float(x[np.argmin(np.diff(y) / np.diff(x))]) if len(y) > 1 else math.nan


def fastai_minimum(x: Floats, losses: Floats) -> float:
    """A tenth of the rate with the lowest smoothed loss."""
    x, y = _fastai(x, losses)
    return float(x[np.argmin(y)] - 1) if len(y) else math.nan


def torch_lr_finder(x: Floats, losses: Floats, weight: float = 0.05) -> float:
    """torch-lr-finder 0.2: an exponential mean, to 5 times its lowest; its steepest point."""
    out: list[float] = []
    for loss in losses:
        out.append(weight * float(loss) + (1 - weight) * out[-1] if out else float(loss))
        if out[-1] > 5 * min(out):
            break
    x, y = x[: len(out)][10:-5], np.array(out)[10:-5]
    return float(x[np.argmin(np.gradient(y))]) if len(y) > 1 else math.nan


def lightning(x: Floats, losses: Floats) -> float:
    """Lightning 2.5.3: the slope of the losses by the rate itself, on a logarithmic grid."""
    y = losses[np.isfinite(losses)][10:-1]
    x = x[: len(losses)][np.isfinite(losses)][10:-1]
    return float(x[np.argmin(np.gradient(y, 10.0**x))]) if len(y) > 1 else math.nan


RULES: dict[str, Callable[[Floats, Floats], float]] = {
    "fastai valley": fastai_valley,
    "fastai slide": fastai_slide,
    "fastai steep": fastai_steep,
    "fastai minimum": fastai_minimum,
    "torch-lr-finder": torch_lr_finder,
    "Lightning": lightning,
}
