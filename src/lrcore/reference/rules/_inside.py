"""AdamW for the parameters of a rule with matrices that are none."""

from __future__ import annotations

from . import adam
from ._forms import Array, Names

__all__ = ["adamw"]


def adamw(p: Array, g: Array, s: Names, h: Names, t: int) -> None:
    """Adam with the hyper-parameters ``adamw_...``; the rate is in `h.lr` already."""
    own = Names(lr=h.lr, beta1=h.adamw_beta1, beta2=h.adamw_beta2, eps=h.adamw_eps)
    adam.update(p, g, Names(m=s.m, v=s.v, vmax=None), own, t, Names())
