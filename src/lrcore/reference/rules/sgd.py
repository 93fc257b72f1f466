"""Stochastic gradient descent with momentum (Sutskever et al. 2013)."""

from __future__ import annotations

from ._forms import Array, Names


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    lr = real(h.lr)
    if s.buf is None:
        p[...] = p - lr * g
        return
    momentum = real(h.momentum)
    keep = real(0.0 if t == 1 else h.momentum)
    fresh = real(1.0 if t == 1 else 1.0 - h.dampening)
    s.buf[...] = keep * s.buf + fresh * g
    direction = g + momentum * s.buf if h.nesterov else s.buf
    p[...] = p - lr * direction
