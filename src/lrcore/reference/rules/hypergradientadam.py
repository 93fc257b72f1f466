"""Adam-HD (Baydin et al. 2018)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names, Pairs
from ._hypergradient import learn, to_learn

estimate = learn


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """How far gradient and step before agree."""
    real, before = p.dtype.type, float(t - 1)
    unbias = 0.0 if t == 1 else 1.0 / (1.0 - pow(h.beta1, before))
    root = 0.0 if t == 1 else 1.0 / sqrt(1.0 - pow(h.beta2, before))
    size = np.sqrt(s.v) * real(root) + real(h.eps)
    d = np.where(size > 0, (real(unbias) * s.m) / size, real(0))
    return to_learn(g, d, h)


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    step = real((h.lr * k.ratio) / (1.0 - pow(h.beta1, float(t))))
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, float(t))))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    p[...] = p - (step * s.m) / (np.sqrt(s.v) * root + real(h.eps))
