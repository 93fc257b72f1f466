"""Averaged stochastic gradient descent (Polyak & Juditsky 1992)."""

from __future__ import annotations

from ..math import pow
from ._forms import Array, Names, Seen


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The rate and the share of this update, and those of the next."""
    t = float(seen.t)
    k.rate = h.lr if seen.t == 1 else k.eta
    k.share = 1.0 if seen.t == 1 else k.mu
    k.eta = h.lr / pow(1.0 + (h.lambd * h.lr) * t, h.alpha)
    k.mu = 1.0 / (t - h.t0) if t - h.t0 > 1.0 else 1.0


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    p[...] = real(1.0 - h.lambd * k.rate) * p - real(k.rate) * g
    s.ax[...] = real(1.0 - k.share) * s.ax + real(k.share) * p
