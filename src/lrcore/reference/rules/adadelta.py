"""Adadelta (Zeiler 2012)."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    rho, fresh, eps = real(h.rho), real(1.0 - h.rho), real(h.eps)
    s.v[...] = rho * s.v + fresh * (g * g)
    step = np.sqrt((s.u + eps) / (s.v + eps)) * g
    s.u[...] = rho * s.u + fresh * (step * step)
    p[...] = p - real(h.lr) * step
