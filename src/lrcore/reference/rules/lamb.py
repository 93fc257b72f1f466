"""LAMB (You et al. 2020)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names, Pairs, Seen


def _direction(p: Array, m: Array, v: Array, h: Names, t: int) -> Array:
    real = p.dtype.type
    unbias = real(1.0 / (1.0 - pow(h.beta1, float(t))))
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, float(t))))
    direction: Array = (unbias * m) / (np.sqrt(v) * root + real(h.eps)) + real(h.weight_decay) * p
    return direction


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """|p|^2 and |u|^2."""
    real = p.dtype.type
    m = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    v = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    u = _direction(p, m, v, h, t)
    return [(p, p), (u, u)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The ratio of both norms."""
    pp, uu = seen.sums
    k.ratio = sqrt(pp) / sqrt(uu) if pp > 0 and uu > 0 else 1.0


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    p[...] = p - real(h.lr * k.ratio) * _direction(p, s.m, s.v, h, t)
