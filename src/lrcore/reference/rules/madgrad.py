"""MADGRAD (Defazio & Jelassi 2022)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ._forms import Array, Names

# The bits of the first guess at x^(-1/3), whose cube is then within 0.103 of 1/x.
MAGIC_32, MAGIC_64 = 0x54A1F600, 0x553EE960


def _cube_root(x: Array) -> Array:
    """The cube root of x >= 0: x r^2, with two of Householder's steps towards r = x^(-1/3).

    The first r is a number whose bits are a constant minus a third of those of x; of float64 the
    upper half does.
    """
    real = x.dtype.type
    narrow = x.dtype == np.float32
    tiny = real(np.finfo(x.dtype).tiny)
    up, down = (real(2.0**24), real(2.0**-8)) if narrow else (real(2.0**54), real(2.0**-18))
    y = np.where(x < tiny, x * up, x)
    if narrow:
        r = (np.uint32(MAGIC_32) - y.view(np.uint32) // np.uint32(3)).view(np.float32)
    else:
        upper = (y.view(np.uint64) >> np.uint64(32)) // np.uint64(3)
        r = ((np.uint64(MAGIC_64) - upper) << np.uint64(32)).view(np.float64)
    for step in range(2):
        e = real(1) - (y * r) * (r * r)
        series = e * real(1 / 3)
        if step == 0 or not narrow:
            series = series + (e * e) * (real(2 / 9) + e * real(14 / 81))
        r = r + r * series
    root = (y * r) * r
    return np.where(x < tiny, root * down, root)


def _ratio(s: Array, v: Array, eps: float) -> Array:
    """The quotient of s and v^(1/3) + eps, 0 where both are."""
    root = _cube_root(v) + v.dtype.type(eps)
    ratio: Array = np.where(root == 0, root.dtype.type(0), s / root)
    return ratio


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    rate = 0.0 if h.lr == 0 else h.lr + h.eps
    step = real(rate * sqrt(float(t)))
    start = s.x0 if s.x0 is not None else p + _ratio(s.s, s.v, h.eps)
    s.v[...] = s.v + step * (g * g)
    s.s[...] = s.s + step * g
    z = start - _ratio(s.s, s.v, h.eps)
    p[...] = z if s.x0 is None else p + real(1.0 - h.momentum) * (z - p)
