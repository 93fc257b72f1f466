"""What a rate learns from its hypergradient (Baydin et al. 2018)."""

from __future__ import annotations

from math import isfinite, sqrt

from ._forms import Array, Names, Pairs, Seen

__all__ = ["learn", "to_learn"]


def _held(learned: float, before: float, least: float) -> float:
    """What was learned, no lower than where the rate is at its floor."""
    bound = before if before < least else least
    if not isfinite(learned):
        return before
    return learned if learned >= bound else bound


def learn(h: Names, seen: Seen, k: Names) -> None:
    """Move the rate by <g, d>, where d is the direction of the step before."""
    dot, gg, dd = seen.sums
    norms = sqrt(gg) * sqrt(dd)
    if k.begun == 0:
        k.begun = k.factor = 1.0
    base = h.lr + k.shift
    if not h.multiplicative and k.factor > 0:
        k.shift = _held(k.shift + h.hyper_lr * dot, k.shift, h.floor / k.factor - h.lr)
    elif h.multiplicative and norms > 0 and base > 0:
        k.factor = _held(k.factor * (1.0 + h.hyper_lr * (dot / norms)), k.factor, h.floor / base)
    k.eta = (h.lr + k.shift) * k.factor
    k.eta = k.eta if k.eta >= h.floor else float(h.floor)
    k.ratio = k.eta / h.lr if h.lr > 0 else 0.0
    if not isfinite(k.ratio) or h.lr == 0:
        k.eta = k.ratio = 0.0


def to_learn(g: Array, d: Array, h: Names) -> Pairs:
    """<g, d> and, where they are needed, |g|^2 and |d|^2."""
    return [(g, d), (g, g), (d, d)] if h.multiplicative else [(g, d), None, None]
