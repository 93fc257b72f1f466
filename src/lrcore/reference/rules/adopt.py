"""ADOPT (Taniguchi et al. 2024)."""

from __future__ import annotations

from math import inf, isnan

import numpy as np

from ..math import pow
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    if t == 1:
        s.v[...] = g * g
        return
    clip = real(inf if isnan(h.clip_exp) else pow(float(t - 1), h.clip_exp))
    root, eps = np.sqrt(s.v), real(h.eps)
    u = g / np.where(root < eps, eps, root)
    u = np.where(u > clip, clip, u)
    u = np.where(u < -clip, -clip, u)
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * u
    p[...] = p - real(h.lr) * s.m
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
