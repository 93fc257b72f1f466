"""RAdam (Liu et al. 2020)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names


def _rectification(h: Names, t: int) -> float:
    """By how much the adaptive step is shortened; 0 where v is too young for one."""
    power = pow(h.beta2, float(t))
    longest = 2.0 / (1.0 - h.beta2) - 1.0
    length = longest - ((2.0 * float(t)) * power) / (1.0 - power)
    if not length > 5.0:
        return 0.0
    above = ((length - 4.0) * (length - 2.0)) * longest
    below = ((longest - 4.0) * (longest - 2.0)) * length
    return sqrt(above / below) * sqrt(1.0 - power)


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    step, rectification = h.lr / (1.0 - pow(h.beta1, float(t))), _rectification(h, t)
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    if rectification == 0.0:
        p[...] = p - real(step) * s.m
    else:
        p[...] = p - (real(step * rectification) * s.m) / (np.sqrt(s.v) + real(h.eps))
