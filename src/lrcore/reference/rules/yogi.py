"""Yogi (Zaheer et al. 2018)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    step = real(h.lr / (1.0 - pow(h.beta1, float(t))))
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, float(t))))
    square = g * g
    above = s.v - square
    sign = np.where(above > 0, real(1), np.where(above < 0, real(-1), above))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = s.v - real(1.0 - h.beta2) * (sign * square)
    p[...] = p - (step * s.m) / (np.sqrt(s.v) * root + real(h.eps))
