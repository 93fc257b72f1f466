"""NAdam (Dozat 2016)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names, Seen


def _momentum(h: Names, t: int) -> float:
    """The momentum of update t, which rises from beta1 / 2 towards beta1."""
    return float(h.beta1 * (1.0 - 0.5 * pow(0.96, float(t) * h.momentum_decay)))


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The product of the momenta so far."""
    before = 1.0 if seen.t == 1 else k.mu_product
    k.mu_product = before * _momentum(h, seen.t)


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    mu, ahead = _momentum(h, t), _momentum(h, t + 1)
    now = real((h.lr * (1.0 - mu)) / (1.0 - k.mu_product))
    step = real((h.lr * ahead) / (1.0 - k.mu_product * ahead))
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, float(t))))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    p[...] = p - (now * g + step * s.m) / (np.sqrt(s.v) * root + real(h.eps))
