"""Adafactor (Shazeer & Stern 2018), as `torch.optim.Adafactor` has it."""

from __future__ import annotations

from math import isnan, sqrt
from typing import Any

import numpy as np

from ..math import pow
from ._forms import Array, Names, Pairs, Seen


def _eps1(h: Names, p: Array) -> float:
    return float(np.finfo(p.dtype).eps) if isnan(h.eps1) else float(h.eps1)


def follow(v: Array, mean: Array, h: Names, t: int) -> None:
    """Move a factor towards mean squares, in place."""
    v[...] = v + v.dtype.type(pow(float(t), h.beta2_decay)) * (mean - v)


def share(factor: Array, mean: Array | None, h: Names) -> Array:
    """What a factor has of 1 / sqrt(variance); `mean` is that of `row_var` of each matrix."""
    real, eps1, most = factor.dtype.type, _eps1(h, factor), factor.dtype.type(1)
    if mean is not None:
        most = np.where(mean < real(eps1), real(eps1), mean)
    none = real(np.inf if _most(h, factor) < np.inf else 0)
    share: Array = np.where(factor == 0, none, real(1) / np.sqrt(factor / most))
    return share


def _most(h: Names, like: Array) -> Any:
    eps1 = _eps1(h, like)
    return like.dtype.type(1.0 / eps1 if eps1 else np.inf)


def _direction(g: Array, s: Names, h: Names, v: Array) -> Array:
    """The update before it is scaled; `v` is the variance, or of a matrix 1 / sqrt of it."""
    if s.row_var is not None:
        most = _most(h, v)
        direction: Array = g * np.where(v > most, most, v)
        return direction
    real, eps1 = v.dtype.type, _eps1(h, v)
    most = np.where(v < real(eps1 * eps1), real(eps1 * eps1), v)
    return np.where(most == 0, real(0), g / np.sqrt(most))


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """The squares of the parameter, and of the update before it is scaled."""
    v = s.variance
    if s.row_var is None:
        v = v.copy()
        follow(v, g * g, h, t)
    u = _direction(g, s, h, v)
    return [(p, p), (u, u)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """What the rate is relative to, and what is left of it."""
    size = length = 0.0
    if seen.n > 0:
        size = sqrt(seen.sums[0]) / sqrt(float(seen.n))
        length = sqrt(seen.sums[1]) / (sqrt(float(seen.n)) * h.d)
    k.scale = size if size > h.eps2 else h.eps2
    k.shrink = 1.0 / length if length > 1 else 1.0


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real, limit = p.dtype.type, 1.0 / sqrt(float(t))
    if s.row_var is None:
        follow(s.variance, g * g, h, t)
    rate = h.lr if h.lr < limit else limit
    p[...] = p - real((rate * k.scale) * k.shrink) * _direction(g, s, h, s.variance)
