"""Adan (Xie et al. 2022)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    decay = h.lr * h.weight_decay
    before, after = (1.0 - decay, 1.0) if h.no_prox else (1.0, 1.0 / (1.0 + decay))
    step_m = real(h.lr / (1.0 - pow(h.beta1, float(t))))
    step_d = real(h.lr * h.beta2 / (1.0 - pow(h.beta2, float(t))))
    root = real(1.0 / sqrt(1.0 - pow(h.beta3, float(t))))
    x = np.zeros_like(g) if t == 1 else g - s.prev
    y = g + real(h.beta2) * x
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.d[...] = real(h.beta2) * s.d + real(1.0 - h.beta2) * x
    s.v[...] = real(h.beta3) * s.v + real(1.0 - h.beta3) * (y * y)
    u = (step_m * s.m + step_d * s.d) / (np.sqrt(s.v) * root + real(h.eps))
    p[...] = real(after) * (real(before) * p - u)
    s.prev[...] = g
