"""Schedule-free AdamW (Defazio et al. 2024)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..math import pow
from ._forms import Array, Names, Seen
from ._schedulefree import move, weigh


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The weight of this step in the average."""
    weigh(h, h.beta1, seen, k)


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    root = real(1.0 / sqrt(1.0 - pow(h.beta2, float(t))))
    s.v[...] = real(h.beta2) * s.v + real(1.0 - h.beta2) * (g * g)
    u = g / (np.sqrt(s.v) * root + real(h.eps)) + real(h.weight_decay) * p
    move(p, s.z, u, h, t, k)
