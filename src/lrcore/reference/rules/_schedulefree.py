"""Schedule-free averaging (Defazio et al. 2024): y is trained, the average x evaluated.

``x`` is not kept; it follows from ``y = (1 - beta) z + beta x``.
"""

from __future__ import annotations

from ..math import pow
from ._forms import Array, Names, Seen

__all__ = ["average", "move", "weigh"]


def _rate(h: Names, t: int) -> float:
    lr: float = h.lr * (t / h.warmup_steps) if t < h.warmup_steps else h.lr
    return lr


def weigh(h: Names, beta: float, seen: Seen, k: Names) -> None:
    """What share of x the new z is, and how much beta has changed."""
    lr = _rate(h, seen.t)
    k.lr_max = lr if lr > k.lr_max else k.lr_max
    w = pow(float(seen.t), h.r) * pow(k.lr_max, h.weight_lr_power)
    k.weight_sum = k.weight_sum + w
    k.share = w / k.weight_sum if w > 0 else 0.0
    k.change = beta / k.beta if k.beta > 0 else 1.0
    k.beta = beta


def move(y: Array, z: Array, u: Array, h: Names, t: int, k: Names) -> None:
    """One step of y and z along u."""
    real, lr, old = y.dtype.type, _rate(h, t), 1.0 - k.share
    keep, pull = real(k.change * old), real(k.share + old * (1.0 - k.change))
    y[...] = keep * y + pull * z - real(lr * (1.0 - k.beta * old)) * u
    z[...] = z - real(lr) * u


def average(y: Array, z: Array, beta: float) -> Array:
    """x; beta is 0 before the first step."""
    real = y.dtype.type
    x: Array = y + real(1.0 - 1.0 / beta) * (z - y) if beta > 0 else y
    return x
