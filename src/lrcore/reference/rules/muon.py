"""Muon (Jordan et al. 2024); what is no matrix is updated by AdamW."""

from __future__ import annotations

from ._forms import Array, Names
from ._inside import adamw


def prepare(d: Array, s: Names, h: Names, t: int) -> None:
    real = d.dtype.type
    s.buf[...] = real(h.momentum) * s.buf + real(1.0 - h.momentum) * d
    share, rest = (h.momentum, 1.0 - h.momentum) if h.nesterov else (1.0, 0.0)
    d[...] = real(rest) * d + real(share) * s.buf


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    adamw(p, g, s, h, t)
