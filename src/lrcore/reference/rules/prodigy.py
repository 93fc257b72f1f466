"""Prodigy (Mishchenko & Defazio 2024)."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np

from ._forms import Array, Names, Pairs, Seen
from .dadaptadam import decayed, unbiased


def _beta3(h: Names) -> float:
    return sqrt(h.beta2) if isnan(h.beta3) else float(h.beta3)


def _gain(h: Names, d: float, t: int) -> float:
    """What s takes of the gradient."""
    return float((d / h.d0) * (d * (1.0 if h.safeguard_warmup else unbiased(h, t))))


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """<g, p0 - p> and the new |s|_1."""
    real = p.dtype.type
    u = decayed(p, g, h)
    s1 = real(_beta3(h)) * s.s + real(_gain(h, k.d, t)) * u
    return [(u, s.p0 - p), (np.where(s1 < 0, -s1, s1), None)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The distance d to the solution; `used` is what it was."""
    d, (product, norm) = k.d, seen.sums
    k.used = d
    if not norm > 0:
        return
    rate = d * unbiased(h, seen.t)
    k.numerator = _beta3(h) * k.numerator + ((d / h.d0) * rate) * product
    guess = h.d_coef * k.numerator / norm
    if d == h.d0 and guess > d:
        d = guess
    if guess > k.d_max:
        k.d_max = guess
    d = d * h.growth_rate
    k.d = d if d < k.d_max else k.d_max


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    d, rate = k.used, k.used * unbiased(h, t)
    keep = real(1.0 - rate * h.weight_decay if h.decouple else 1.0)
    u = decayed(p, g, h)
    s.m[...] = real(h.beta1) * s.m + real((1.0 - h.beta1) * d) * u
    s.v[...] = real(h.beta2) * s.v + real((1.0 - h.beta2) * (d * d)) * (u * u)
    s.s[...] = real(_beta3(h)) * s.s + real(_gain(h, d, t)) * u
    p[...] = keep * p - (real(rate) * s.m) / (np.sqrt(s.v) + real(k.d * h.eps))
