"""NovoGrad (Ginsburg et al. 2019)."""

from __future__ import annotations

from math import sqrt

from ._forms import Array, Names, Pairs, Seen


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """|g|^2."""
    return [(g, g)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The running mean of |g|^2, which begins at the first that is not 0, and the largest."""
    gg = seen.sums[0]
    k.v = gg if k.v == 0 else h.beta2 * k.v + (1.0 - h.beta2) * gg
    k.vmax = k.vmax if k.vmax >= k.v else k.v


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    norm = sqrt(k.vmax if h.amsgrad else k.v) + h.eps
    scale = real(0.0 if norm == 0 else 1.0 / norm)
    fresh = real(1.0 - h.beta1 if h.grad_averaging else 1.0)
    s.m[...] = real(h.beta1) * s.m + fresh * (scale * g + real(h.weight_decay) * p)
    p[...] = p - real(h.lr) * s.m
