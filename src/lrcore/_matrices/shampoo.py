"""Shampoo: the direction between the inverse roots of the gradients' sums of squares."""

from __future__ import annotations

import numpy as np

from ._forms import Array, Matrix, eigen, squared

__all__ = ["enter", "leave"]


def enter(x: Matrix) -> None:
    """Add the gradient's squares to the sums, and find their inverse roots every so often."""
    sides = [side for side in x.kept if side in ("left", "right")]
    sums = {side: squared(x.d, side) for side in sides}
    found: dict[str, Array] = {}
    for side, total in sums.items():
        total += x.kept[side]
        if x.t == 1:
            total.reshape(-1)[:: len(total) + 1] += x.h.eps
        found[side] = total
        if (x.t - 1) % int(x.h.update_freq) == 0:
            found[f"{side}_root"] = _inverse_root(total, 2 * len(sums), x.h.eps)
    x.room("product", x.d.shape, x.d.dtype)
    x.found = found


def leave(x: Matrix) -> None:
    """Multiply the direction by the roots."""
    for name, value in x.found.items():
        x.kept[name][...] = value
    w = x.room("product", x.d.shape, x.d.dtype)
    if "left_root" in x.kept:
        x.d[...] = np.matmul(x.kept["left_root"], x.d, out=w)
    if "right_root" in x.kept:
        x.d[...] = np.matmul(x.d, x.kept["right_root"], out=w)


def _inverse_root(a: Array, order: int, least: float) -> Array:
    """``a^(-1 / order)``, eigenvalues taken to be at least `least`; where they are 0, 0."""
    values, vectors = eigen(a)
    values = np.maximum(values, least)
    with np.errstate(divide="ignore"):
        roots = np.where(values == 0, 0.0, values ** (-1.0 / order))
    out: Array = (vectors * roots) @ vectors.T
    return out
