"""Rules for a loss curve that others published, as we read them, with their own thresholds.

Each takes the losses and returns "too_low", "good" or "too_high"; these words are ours, for most of
them only ask for attention. A loss that is inf or NaN is too high in all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sagemaker(loss: Array, num_steps: int = 10, diff_percent: float = 0.1, rise: float = 5) -> str:
    """Amazon SageMaker Debugger, LossNotDecreasing (and ExplodingTensor): its documentation.

    Every `num_steps` the loss must be `diff_percent` lower than before; a rise of more than `rise`
    percent is told apart.
    """
    seen = loss[::num_steps]
    change = 100 * (seen[:-1] - seen[1:]) / np.maximum(abs(seen[:-1]), 1e-12)
    if (change < -rise).any():
        return "too_high"
    return "too_low" if (change < diff_percent).any() else "good"


def deep_checker(loss: Array, window: int = 50) -> str:
    """TheDeepChecker (Braiek & Khomh 2023), its three checks of the loss.

    Diverging: twice the lowest so far. Fluctuating: more than half of the moves in a window turn.
    Slow: less than 5 % down over a window.
    """
    if (loss > 2 * np.minimum.accumulate(loss)).any():
        return "too_high"
    move = np.diff(loss)
    turns = (move[1:] * move[:-1] < 0).astype(float)
    if len(turns) >= window and np.convolve(turns, np.ones(window) / window, "valid").max() > 0.5:
        return "too_high"
    ends = loss[window - 1 :: window]
    return "too_low" if (ends[1:] > 0.95 * ends[:-1]).any() else "good"


def spikes(loss: Array, window: int = 100, sigmas: float = 3.0) -> str:
    """Loss above the mean of the last `window` by three standard deviations: common in scripts."""
    if len(loss) <= window:
        return "good"
    windows = np.lib.stride_tricks.sliding_window_view(loss, window)[:-1]
    line = windows.mean(axis=1) + sigmas * windows.std(axis=1)
    return "too_high" if (loss[window:] > line).any() else "good"


def early_stopping(loss: Array, patience: int = 10, epochs: int = 40) -> str:
    """Keras' EarlyStopping and ReduceLROnPlateau: no epoch better for `patience` of them."""
    means = np.array([part.mean() for part in np.array_split(loss, min(epochs, len(loss)))])
    best = np.minimum.accumulate(means)
    since = 0
    for i in range(1, len(means)):
        since = 0 if means[i] < best[i - 1] else since + 1
        if since >= patience:
            return "too_high"
    return "good"


def swings(loss: Array) -> str:
    """Differences of opposite signs as a sign of oscillation: a rule of many guides."""
    move = np.diff(loss)
    lag = float(move[1:] @ move[:-1] / max(float(move @ move), 1e-300))
    return "too_high" if lag < -0.2 else "good"


RULES: dict[str, Callable[[Array], str]] = {
    "SageMaker Debugger": sagemaker,
    "TheDeepChecker": deep_checker,
    "loss spike, 3 sigma": spikes,
    "EarlyStopping": early_stopping,
    "sign changes": swings,
}


def call(name: str, loss: Array) -> str:
    """What that rule says of these losses."""
    return "too_high" if not np.isfinite(loss).all() else RULES[name](loss)
