"""Row-wise Adagrad (Mudigere et al. 2022)."""

from __future__ import annotations

import numpy as np

from ..reduce import unit_squares
from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    step = real(h.lr / (1.0 + float(t - 1) * h.lr_decay))
    length = g.size // s.s.size if g.size else 1
    if g.size:
        mean = unit_squares(g, s.s.size, True) / float(length)
        s.s[...] = s.s + mean.astype(g.dtype)
    factor = step / (np.sqrt(s.s) + real(h.eps))
    p[...] = p - np.repeat(factor, length)[: p.size] * g
