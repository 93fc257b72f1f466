"""QHAdam (Ma & Yarats 2019)."""

from __future__ import annotations

import numpy as np

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    past1 = real(h.nu1 / (1.0 - pow(h.beta1, float(t))))
    past2 = real(h.nu2 / (1.0 - pow(h.beta2, float(t))))
    square = g * g
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * square
    u = real(1.0 - h.nu1) * g + past1 * s.m
    w = real(1.0 - h.nu2) * square + past2 * s.v
    p[...] = p - (real(h.lr) * u) / (np.sqrt(w) + real(h.eps))
