"""SGD with the stochastic Polyak step size (Loizou et al. 2021)."""

from __future__ import annotations

from ._forms import Array, Names, Pairs, Seen


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """|g|^2."""
    return [(g, g)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The step size, and its share of the largest there may be."""
    gap, size = seen.loss - h.f_star, h.c * seen.all[0] + h.eps
    eta = gap / size if gap > 0 and size > 0 else 0.0
    k.share = eta / h.max_lr if eta < h.max_lr else 1.0
    k.eta = eta if eta < h.max_lr else h.max_lr


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    p[...] = p - p.dtype.type(h.max_lr * k.share) * g
