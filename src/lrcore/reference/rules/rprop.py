"""Rprop (Riedmiller & Braun 1993), in the form iRprop- (Igel & Huesken 2000)."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    lr, low, high = real(h.lr), real(h.step_size1), real(h.step_size2)
    if lr == 0:
        return
    before = np.where(s.step_size == 0, lr, s.step_size)
    agreed = g * s.prev
    factor = np.where(agreed > 0, real(h.eta2), np.where(agreed < 0, real(h.eta1), real(1)))
    step = before * factor
    step = np.where(step < low, low, step)
    s.step_size[...] = np.where(step > high, high, step)
    s.prev[...] = np.where(agreed < 0, real(0), g)
    sign = np.where(s.prev > 0, real(1), np.where(s.prev < 0, real(-1), s.prev))
    p[...] = p - sign * s.step_size
