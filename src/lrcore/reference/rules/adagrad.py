"""Adagrad (Duchi, Hazan & Singer 2011)."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    step = real(h.lr / (1.0 + float(t - 1) * h.lr_decay))
    s.s[...] = s.s + g * g
    p[...] = p - (step * g) / (np.sqrt(s.s) + real(h.eps))
