"""Lion (Chen et al. 2023)."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    u = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    sign = np.where(u > 0, real(1), np.where(u < 0, real(-1), u))
    p[...] = p - real(h.lr) * sign
    s.m[...] = real(h.beta2) * s.m + real(1.0 - h.beta2) * g
