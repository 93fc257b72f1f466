"""D-Adaptation for Adam (Defazio & Mishchenko 2023)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names, Pairs, Seen


def unbiased(h: Names, t: int) -> float:
    """The rate, corrected for the start of both moments where that is asked for."""
    if not h.use_bias_correction:
        return float(h.lr)
    t_ = float(t)
    return float(h.lr * (sqrt(1.0 - pow(h.beta2, t_)) / (1.0 - pow(h.beta1, t_))))


def decayed(p: Array, g: Array, h: Names) -> Array:
    """The gradient with coupled decay."""
    u: Array = g + p.dtype.type(0.0 if h.decouple else h.weight_decay) * p
    return u


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """<g, s / (sqrt(v) + eps)> and the new |s|_1."""
    real = p.dtype.type
    beta3 = sqrt(h.beta2)
    u = decayed(p, g, h)
    s1 = real(beta3) * s.s + real((1.0 - beta3) * (k.d * unbiased(h, t))) * u
    return [(u, s.s / (np.sqrt(s.v) + real(h.eps))), (np.where(s1 < 0, -s1, s1), None)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The distance d to the solution; `used` is what it was."""
    beta3, rate = sqrt(h.beta2), k.d * unbiased(h, seen.t)
    product, norm = seen.sums
    k.used = k.d
    if not norm > 0:
        return
    k.numerator = beta3 * k.numerator + (1.0 - beta3) * (rate * product)
    guess, most = k.numerator / ((1.0 - beta3) * norm), k.d * h.growth_rate
    if guess > k.d:
        k.d = guess if guess < most else most


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    rate, beta3 = k.used * unbiased(h, t), sqrt(h.beta2)
    keep = real(1.0 - rate * h.weight_decay if h.decouple else 1.0)
    u = decayed(p, g, h)
    s.m[...] = real(h.beta1) * s.m + real((1.0 - h.beta1) * rate) * u
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (u * u)
    s.s[...] = real(beta3) * s.s + real((1.0 - beta3) * rate) * u
    p[...] = keep * p - s.m / (np.sqrt(s.v) + real(h.eps))
