"""FTRL-Proximal (McMahan et al. 2013)."""

from __future__ import annotations

import numpy as np

from ..math import pow
from ._forms import Array, Names


def _size(n: Array, power: float) -> Array:
    """n^power."""
    if power == 0.5:
        root: Array = np.sqrt(n)
        return root
    return np.array([pow(x, power) for x in n.astype(np.float64).tolist()]).astype(n.dtype)


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    lr = real(h.lr)
    if lr == 0:
        return
    l1, more = real(h.lr * h.l1), real(h.beta + (2.0 * h.l2) * h.lr)
    power = float(real(-h.lr_power))
    before = _size(s.n, power)
    s.n[...] = s.n + g * g
    size = _size(s.n, power)
    pull = lr * (g + real(2.0 * h.l2_shrinkage) * p)
    s.z[...] = s.z + (pull - (size - before) * p)
    solved = (np.where(s.z > 0, l1, -l1) - s.z) / (size + more)
    p[...] = np.where(np.abs(s.z) <= l1, real(0), solved)
