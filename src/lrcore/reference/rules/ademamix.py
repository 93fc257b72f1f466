"""AdEMAMix (Pagliardini, Ablin & Grangier 2024)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import exp, log, pow
from ._forms import Array, Names


def _memory(beta: float) -> float:
    """-1 / log(beta), to which the half-life is proportional."""
    return -1.0 / log(beta) if beta > 0 else 0.0


def _warm_beta(start: float, end: float, part: float) -> float:
    length = (1.0 - part) * _memory(start) + part * _memory(end)
    return exp(-1.0 / length) if length > 0 else 0.0


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real, now, beta3, alpha = p.dtype.type, float(t), h.beta3, h.alpha
    if now < h.beta3_warmup:
        beta3 = _warm_beta(h.beta1, beta3, now / h.beta3_warmup)
    if now < h.alpha_warmup:
        alpha = alpha * (now / h.alpha_warmup)
    unbias = real(1.0 / (1.0 - pow(h.beta1, now)))
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, now)))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * g
    s.m_slow[...] = real(beta3) * s.m_slow + real(1.0 - beta3) * g
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    u = unbias * s.m + real(alpha) * s.m_slow
    p[...] = p - (real(h.lr) * u) / (np.sqrt(s.v) * root + real(h.eps))
