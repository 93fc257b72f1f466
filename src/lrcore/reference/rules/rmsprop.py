"""RMSprop (Tieleman & Hinton 2012; centered: Graves 2013)."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    lr, alpha, fresh = real(h.lr), real(h.alpha), real(1.0 - h.alpha)
    s.v[...] = alpha * s.v + fresh * (g * g)
    square = s.v
    if s.mean is not None:
        s.mean[...] = alpha * s.mean + fresh * g
        spread = s.v - s.mean * s.mean
        square = np.where(spread < 0, real(0), spread)
    inner, outer = (h.eps, 0.0) if h.eps_inside else (0.0, h.eps)
    root = np.sqrt(square + real(inner)) + real(outer)
    if s.buf is None:
        p[...] = p - (lr * g) / root
    else:
        s.buf[...] = real(h.momentum) * s.buf + g / root
        p[...] = p - lr * s.buf
