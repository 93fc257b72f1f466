"""Adam (Kingma & Ba 2015; amsgrad: Reddi, Kale & Kumar 2018)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    unbias1 = 1.0 - pow(h.beta1, float(t))
    unbias2 = 1.0 - pow(h.beta2, float(t))
    step, root = real(h.lr / unbias1), real(1.0 / sqrt(unbias2))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    v = s.v
    if s.vmax is not None:
        s.vmax[...] = np.where(s.vmax >= s.v, s.vmax, s.v)
        v = s.vmax
    p[...] = p - (step * s.m) / (np.sqrt(v) * root + real(h.eps))
