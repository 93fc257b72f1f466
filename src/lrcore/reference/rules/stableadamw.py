"""StableAdamW (Wortsman et al. 2023)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names, Pairs, Seen


def _mean(old: Array, new: Array, beta: float, t: int) -> Array:
    """A running mean that needs no correction for its start."""
    real, share = old.dtype.type, (1.0 - beta) / (1.0 - pow(beta, float(t)))
    mean: Array = real(1.0 - share) * old + real(share) * new
    return mean


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """How much larger g^2 is than its running mean, summed."""
    real = p.dtype.type
    v, least = _mean(s.v, g * g, h.beta2, t), real(h.eps * h.eps)
    most = np.where(v >= least, v, least)
    return [(np.where(most > 0, (g * g) / most, real(0)), None)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """What is left of the rate."""
    rms = sqrt(seen.sums[0] / seen.n) if seen.n > 0 else 0.0
    k.shrink = 1.0 / rms if rms > 1 else 1.0


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real, eta = p.dtype.type, h.lr * k.shrink
    s.m[...] = _mean(s.m, g, h.beta1, t)
    s.v[...] = _mean(s.v, g * g, h.beta2, t)
    keep = real(1.0 - eta * h.weight_decay)
    p[...] = keep * p - (real(eta) * s.m) / (np.sqrt(s.v) + real(h.eps))
