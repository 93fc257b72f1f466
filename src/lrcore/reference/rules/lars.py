"""LARS (You, Gitman & Ginsburg 2017; trust_clip: NVIDIA's LARC)."""

from __future__ import annotations

from math import sqrt

from ._forms import Array, Names, Pairs, Seen


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """|p|^2 and |g|^2."""
    return [(p, p), (g, g)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The ratio of both norms."""
    p, g = (sqrt(total) for total in seen.sums)
    adapts = h.always_adapt or h.weight_decay != 0
    k.ratio = 1.0
    if adapts and p > 0 and g > 0:
        k.ratio = (h.trust_coefficient * p) / (g + h.weight_decay * p + h.eps)
    if adapts and h.trust_clip:
        k.ratio = k.ratio / h.lr if k.ratio < h.lr else 1.0


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    lr = real(h.lr)
    u = real(k.ratio) * (g + real(h.weight_decay) * p)
    if s.buf is None:
        p[...] = p - lr * u
        return
    keep = real(0.0 if t == 1 else h.momentum)
    fresh = real(1.0 if t == 1 else 1.0 - h.dampening)
    s.buf[...] = keep * s.buf + fresh * u
    direction = u + real(h.momentum) * s.buf if h.nesterov else s.buf
    p[...] = p - lr * direction
