"""Schedule-free SGD (Defazio et al. 2024)."""

from __future__ import annotations

from ._forms import Array, Names, Seen
from ._schedulefree import move, weigh


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The weight of this step in the average."""
    weigh(h, h.momentum, seen, k)


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    move(p, s.z, g, h, t, k)
