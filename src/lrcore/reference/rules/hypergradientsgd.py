"""SGD-HD (Baydin et al. 2018)."""

from __future__ import annotations

from ._forms import Array, Names, Pairs
from ._hypergradient import learn, to_learn

estimate = learn


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """How far gradient and step before agree."""
    return to_learn(g, s.d, h)


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    momentum = real(h.momentum)
    if s.buf is None:
        s.d[...] = momentum * s.d + g
    else:
        s.buf[...] = momentum * s.buf + g
        s.d[...] = g + momentum * s.buf
    p[...] = p - real(h.lr * k.ratio) * s.d
