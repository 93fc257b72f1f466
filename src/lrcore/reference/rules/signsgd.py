"""signSGD (Bernstein et al. 2018)."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    p[...] = p - real(h.lr) * np.where(g > 0, real(1), np.where(g < 0, real(-1), g))
