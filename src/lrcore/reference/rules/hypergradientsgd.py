"""SGD-HD (Baydin et al. 2018)."""

from __future__ import annotations

from ._forms import Array, Names, Pairs
from ._hypergradient import learn, learned

estimate = learn


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """<g, d>, |g|^2 and |d|^2."""
    return [(g, s.d), (g, g), (s.d, s.d)]


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    momentum = real(h.momentum)
    if s.buf is None:
        s.d[...] = momentum * s.d + g
    else:
        s.buf[...] = momentum * s.buf + g
        s.d[...] = g + momentum * s.buf
    p[...] = p - real(learned(h, k)) * s.d
