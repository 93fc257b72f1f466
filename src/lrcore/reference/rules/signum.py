"""Signum (Bernstein et al. 2018)."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    s.m[...] = real(h.momentum) * s.m + real(1.0 - h.momentum) * g
    p[...] = p - real(h.lr) * np.where(s.m > 0, real(1), np.where(s.m < 0, real(-1), s.m))
