"""The stages around a rule, one function each: the specification of ``csrc/stages.c``.

Arrays are rows of one real dtype in the order of memory; constants are Python floats, rounded once
to it.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


# ---------------------------------------------------------------------- the gradient


def clip_coefficient(clip_norm: float, norm: float) -> float:
    """What brings a gradient of this norm down to `clip_norm`, at most 1; 0 and inf leave it."""
    clip = clip_norm / (norm + 1e-6) if clip_norm and clip_norm < inf else 1.0
    return 1.0 if clip >= 1.0 else clip


def scale(g: Array, factor: float) -> Array:
    """`g` times the factor."""
    real = g.dtype.type
    out: Array = g * real(factor)
    return out


def unit_factors(
    gg: NDArray[np.float64], pp: NDArray[np.float64], factor: float, clip: float, eps: float
) -> list[float]:
    """Adaptive clipping: a unit's gradient is brought down to `clip` times its parameter's norm.

    Brock et al. 2021, "High-Performance Large-Scale Image Recognition Without Normalization",
    equation 3, with the least norms of their code: `eps` of the parameter, 1e-6 of the gradient.
    `gg` and `pp` are the sums of squares of each unit, of the gradient before it was multiplied by
    `factor` and of the parameter.
    """
    out = []
    for g2, p2 in zip(gg.tolist(), pp.tolist(), strict=True):
        g_norm = sqrt(g2) * abs(factor)
        p_norm = sqrt(p2)
        most = clip * (p_norm if p_norm > eps else eps)
        out.append(1.0 if g_norm < most else most / (g_norm if g_norm > 1e-6 else 1e-6))
    return out


def scale_units(g: Array, factors: list[float], rows: bool) -> Array:
    """Each element of `g` times the factor of its unit; `rows` as in `reduce.unit_squares`."""
    f = np.array(factors, np.float64).astype(g.dtype)
    length = g.size // f.size
    out: Array = g * (np.repeat(f, length) if rows else np.tile(f, length))
    return out


def clip_by_value(g: Array, clip_value: float) -> Array:
    """`g`, limited to [-clip_value, clip_value]; NaN stays."""
    most = g.dtype.type(clip_value)
    return np.where(g > most, most, np.where(g < -most, -most, g))


def couple(g: Array, p: Array, weight_decay: float) -> Array:
    """Coupled decay: the gradient of abs(p)^2 weight_decay / 2 is added."""
    real = g.dtype.type
    out: Array = g + real(weight_decay) * p
    return out


# --------------------------------------------------------------- which of the rule's steps
#
# `p` is what the rule made of the parameter, `base` what decoupled decay left of it.


def cautious(p: Array, base: Array, g: Array) -> tuple[Array, Array]:
    """Steps are made where they go downhill, and made longer by what share does.

    Liang et al. 2024, "Cautious Optimizers: Improving Training with One Line of Code", algorithm 1.
    Returns the parameter, and the gradient with zeros where no step is made.
    """
    real = p.dtype.type
    s = p - base
    agree = ((s < 0) & (g > 0)) | ((s > 0) & (g < 0))
    share = float(np.count_nonzero(agree)) / float(p.size) if p.size else 0.0
    f = 1.0 / (share if share > 1e-3 else 1e-3)
    return np.where(agree, base + s * real(f), base), np.where(agree, g, real(0))


def grams(p: Array, base: Array, g: Array) -> Array:
    """Steps as long as the rule's, in the direction of the gradient.

    Cao et al. 2024, "Grams: Gradient Descent with Adaptive Momentum Scaling", algorithm 1.
    """
    real = p.dtype.type
    s = p - base
    sign = np.where(g > 0, real(1), np.where(g < 0, real(-1), g))
    out: Array = base - sign * np.abs(s)
    return out


# ----------------------------------------------------------------------- the averages
#
# k = 1, 2, ... is the number of the update.


def lookahead_weight(k: int, every: int, alpha: float) -> float:
    """`alpha` at every `every`-th update (Zhang et al. 2019)."""
    return alpha if k % every == 0 else 0.0


def ema_weight(k: int, decay: float, warmup: bool) -> float:
    """1 - decay; with `warmup` of the smaller of decay and (1 + k) / (10 + k)."""
    if warmup:
        early = (1.0 + float(k)) / (10.0 + float(k))
        decay = decay if decay < early else early
    return 1.0 - decay


def swa_weight(k: int, start: int, every: int) -> float:
    """What makes the average the mean of the parameters at updates start, start + every, ...."""
    first = max(start, 1)
    if k < first or (k - first) % every != 0:
        return 0.0
    return 1.0 / float((k - first) // every + 1)


def average(mean: Array, p: Array, weight: float) -> None:
    """Move `mean` towards `p`, in place; all the way where the weight is 1."""
    real = p.dtype.type
    mean[...] = p if weight == 1.0 else mean + real(weight) * (p - mean)
