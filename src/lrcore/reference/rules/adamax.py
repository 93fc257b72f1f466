"""Adamax (Kingma & Ba 2015)."""

from __future__ import annotations

import numpy as np

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    step = real(h.lr / (1.0 - pow(h.beta1, float(t))))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    faded, size = real(h.beta2) * s.u, np.abs(g) + real(h.eps)
    s.u[...] = np.where(faded >= size, faded, size)
    p[...] = p - (step * s.m) / s.u
