"""What a rate learns from its hypergradient (Baydin et al. 2018)."""

from __future__ import annotations

from math import isfinite, sqrt

from ._forms import Array, Names, Pairs, Seen

__all__ = ["learn", "learned", "to_learn"]


def learn(h: Names, seen: Seen, k: Names) -> None:
    """Move the rate's factor by <g, d>, where d is the direction of the step before."""
    dot, gg, dd = seen.sums
    norms, least = sqrt(gg) * sqrt(dd), h.floor / h.lr if h.lr > 0 else 0.0
    k.factor = factor = k.factor if k.begun else 1.0
    k.begun = 1.0
    if h.multiplicative and norms > 0:
        factor = factor * (1.0 + h.hyper_lr * (dot / norms))
    elif not h.multiplicative and h.lr > 0:
        factor = factor + (h.hyper_lr * dot) / h.lr
    if isfinite(factor):
        k.factor = factor
    k.factor = k.factor if k.factor >= least else least
    k.eta = learned(h, k)


def learned(h: Names, k: Names) -> float:
    """The rate, of a group or of a tensor with a rate of its own."""
    eta: float = k.factor * h.lr
    return eta if eta >= h.floor else float(h.floor)


def to_learn(g: Array, d: Array, h: Names) -> Pairs:
    """<g, d> and, where they are needed, |g|^2 and |d|^2."""
    return [(g, d), (g, g), (d, d)] if h.multiplicative else [(g, d), None, None]
