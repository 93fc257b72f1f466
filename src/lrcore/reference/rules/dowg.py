"""DoWG (Khaled, Mishchenko & Jin 2023)."""

from __future__ import annotations

from math import isnan, sqrt

from ._forms import Array, Names, Pairs, Seen
from .dog import update as update


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """|p - x0|^2 and |g|^2."""
    way = p - s.x0
    return [(way, way), (g, g)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The largest squared distance so far over the root of the weighted squares."""
    pp, gg = seen.sums
    first = h.eps if isnan(h.init_estim_sq_dist) else h.init_estim_sq_dist
    far = pp if pp > first else first
    k.distance = far if far > k.distance else k.distance
    k.squares += k.distance * gg
    root = sqrt(k.squares) + h.eps
    k.ratio = k.distance / root if root > 0 else 0.0
