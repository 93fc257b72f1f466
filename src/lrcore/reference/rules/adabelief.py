"""AdaBelief (Zhuang et al. 2020; rectified: Liu et al. 2020)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names


def _rectification(beta2: float, t: float) -> float:
    """r_t sqrt(1 - beta2^t); 0 as long as v is the mean of too few squares."""
    power, most = pow(beta2, t), 2.0 / (1.0 - beta2) - 1.0
    length = most - (2.0 * t) * power / (1.0 - power)
    if not length >= 5.0:
        return 0.0
    ratio = (length - 4.0) / (most - 4.0) * ((length - 2.0) / length)
    return sqrt((1.0 - power) * (ratio * (most / (most - 2.0))))


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    factor = _rectification(h.beta2, float(t)) if h.rectify else 1.0
    step = h.lr / (1.0 - pow(h.beta1, float(t)))
    root = 1.0 if h.rectify else 1.0 / sqrt(1.0 - pow(h.beta2, float(t)))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    off = g - s.m
    s.v[...] = (real(h.beta2) * s.v + real(1.0 - h.beta2) * (off * off)) + real(h.eps)
    v = s.v
    if s.vmax is not None:
        s.vmax[...] = np.where(s.vmax >= s.v, s.vmax, s.v)
        v = s.vmax
    if factor == 0.0:
        p[...] = p - real(step) * s.m
    else:
        p[...] = p - (real(step * factor) * s.m) / (np.sqrt(v) * real(root) + real(h.eps))
