"""AdaBound (Luo et al. 2019)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names, Seen


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The largest rate so far."""
    k.base = k.base if k.base >= h.lr else h.lr


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    last = h.final_lr * (h.lr / k.base) if k.base > 0 else 0.0
    way = h.gamma * float(t)
    low = real(last * (1.0 - 1.0 / (way + 1.0)))
    high = real(last * (1.0 + 1.0 / way))
    unbias1 = 1.0 - pow(h.beta1, float(t))
    unbias2 = 1.0 - pow(h.beta2, float(t))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    v = s.v
    if s.vmax is not None:
        s.vmax[...] = np.where(s.vmax >= s.v, s.vmax, s.v)
        v = s.vmax
    rate = real(h.lr * sqrt(unbias2) / unbias1) / (np.sqrt(v) + real(h.eps))
    rate = np.where(rate < low, low, rate)
    p[...] = p - np.where(rate > high, high, rate) * s.m
