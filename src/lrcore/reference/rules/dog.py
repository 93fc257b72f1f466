"""DoG (Ivgi, Hinder & Carmon 2023)."""

from __future__ import annotations

from math import isnan, sqrt

from ._forms import Array, Names, Pairs, Seen


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """|p - x0|^2, before the first gradient |p|^2; and |g|^2."""
    way = p - p.dtype.type(1.0 if k.squares > 0 else 0.0) * s.x0
    return [(way, way), (g, g)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The largest distance so far over the root of the sum of all squares."""
    norm, gg = sqrt(seen.sums[0]), seen.sums[1]
    first, given = not k.squares > 0, not isnan(h.init_eta)
    if first:
        k.distance = 0.0 if given else h.reps_rel * (1.0 + norm)
        k.squares = gg + h.eps
    else:
        k.distance = norm if norm > k.distance else k.distance
        k.squares += gg
    k.ratio = k.distance / sqrt(k.squares) if k.squares > 0 else 0.0
    if first and given:
        k.ratio = h.init_eta


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    p[...] = p - p.dtype.type(h.lr * k.ratio) * g
