"""SOAP (Vyas et al. 2024); what is no matrix is updated by AdamW."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from . import adam
from ._forms import Array, Names


def prepare(d: Array, s: Names, h: Names, t: int) -> None:
    real, made = d.dtype.type, float(t - 1)
    step = 1.0 if t > 1 else 0.0
    if t > 1 and h.correct_bias and not h.normalize_grads:
        step = sqrt(1.0 - pow(h.beta2, made)) / (1.0 - pow(h.beta1, made))
    s.m[...] = real(h.beta1) * s.m + real(1.0 - h.beta1) * d
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (d * d)
    d[...] = (real(step) * s.m) / (np.sqrt(s.v) + real(h.eps))


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    adam.update(p, g, Names(m=s.m, v=s.v, vmax=None), h, t, k)
