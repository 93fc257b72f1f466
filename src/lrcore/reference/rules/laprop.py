"""LaProp (Ziyin, Wang & Ueda 2020)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    step = real(h.lr / (1.0 - pow(h.beta1, float(t))))
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, float(t))))
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    u = g / (np.sqrt(s.v) * root + real(h.eps))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * u
    p[...] = p - step * s.m
