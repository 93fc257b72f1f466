"""Averaged stochastic gradient descent (Polyak & Juditsky 1992)."""

from __future__ import annotations

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    past = float(t - 1)
    eta = h.lr / pow(1.0 + (h.lambd * h.lr) * past, h.alpha)
    mu = 1.0 / (past - h.t0) if past - h.t0 > 1.0 else 1.0
    p[...] = real(1.0 - h.lambd * eta) * p - real(eta) * g
    s.ax[...] = real(1.0 - mu) * s.ax + real(mu) * p
