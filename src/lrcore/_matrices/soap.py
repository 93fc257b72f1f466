"""SOAP: Adam in the eigenbases of Shampoo's sums, which a step of power iteration follows."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from ..reference.math import pow
from ._forms import Array, Matrix, as_matrix, eigen, put, squared

__all__ = ["enter", "leave"]

SIDES = ("left", "right")


class Found(NamedTuple):
    """The averages of squares after a gradient, and where they turn, new bases and orders."""

    averages: dict[str, Array]
    bases: dict[str, Array]
    #: How the columns of the bases, and with them v, were sorted.
    orders: dict[str, Array]
    #: Room for m in the new bases.
    turned: list[Array]


def enter(x: Matrix) -> None:
    """Average the gradient's squares, find the next bases, turn the gradient into the present."""
    sides = [side for side in SIDES if side in x.kept]
    beta = x.h.shampoo_beta if x.h.shampoo_beta >= 0 else x.h.beta2
    averages = {}
    for side in sides:
        averages[side] = squared(x.d, side)
        averages[side] *= 1.0 - beta
        if x.t > 1:
            averages[side] += beta * x.kept[side]
    bases, orders, turned = {}, {}, []
    if x.t == 1:
        bases = {side: eigen(a)[1][:, ::-1].astype(a.dtype) for side, a in averages.items()}
    elif (x.t - 1) % int(x.h.precondition_frequency) == 0:
        for side in sides:
            bases[side], orders[side] = _power_step(averages[side], x.kept[f"{side}_basis"])
        turned = [np.empty(x.d.shape, x.d.dtype) for _ in range(2)]
    x.room("product", x.d.shape, x.d.dtype)
    x.found = Found(averages, bases, orders, turned)
    if x.t == 1:
        x.d[...] = 0
    else:
        _turn(x.d, x.kept, x.room("product", x.d.shape, x.d.dtype), there=True)


def leave(x: Matrix) -> None:
    """Turn the direction back; what has been found takes the place of what was."""
    found, w = x.found, x.room("product", x.d.shape, x.d.dtype)
    if x.t == 1:
        x.d[...] = 0
    else:
        _turn(x.d, x.kept, w, there=False)
        if x.h.normalize_grads:
            x.d *= _step(x) / (1e-30 + sqrt(float(np.mean(np.square(x.d, out=w), dtype=float))))
    if found.turned:
        _turn_state(x, found, w)
    for side, average in found.averages.items():
        x.kept[side][...] = average
    for side, basis in found.bases.items():
        x.kept[f"{side}_basis"][...] = basis


def _step(x: Matrix) -> float:
    """Adam's correction of a first and second moment that began at zero."""
    if not x.h.correct_bias:
        return 1.0
    made = float(x.t - 1)
    return sqrt(1.0 - pow(x.h.beta2, made)) / (1.0 - pow(x.h.beta1, made))


def _power_step(a: Array, basis: Array) -> tuple[Array, Array]:
    """A step of power iteration from a basis, its columns sorted by their part of `a`, and how."""
    product = a @ basis
    order = np.argsort(-(product * basis).sum(axis=0), kind="stable")
    if not np.isfinite(product).all():
        return np.full_like(basis, np.nan), order
    return np.linalg.qr(product[:, order])[0], order


def _turn(d: Array, bases: dict[str, Array], w: Array, there: bool) -> None:
    """Into the bases, or out of them, in place."""
    left, right = bases.get("left_basis"), bases.get("right_basis")
    if left is not None:
        d[...] = np.matmul(left.T if there else left, d, out=w)
    if right is not None:
        d[...] = np.matmul(d, right if there else right.T, out=w)


def _turn_state(x: Matrix, found: Found, w: Array) -> None:
    """M out of the old bases into the new ones; v is sorted as these are."""
    m, v = found.turned
    m[...], v[...] = as_matrix(x.s.m), as_matrix(x.s.v)
    _turn(m, x.kept, w, there=False)
    _turn(m, {f"{side}_basis": basis for side, basis in found.bases.items()}, w, there=True)
    put(x.s.m, m)
    for axis, side in enumerate(SIDES):
        if side in found.orders:
            v[...] = np.take(v, found.orders[side], axis=axis, out=w, mode="clip")
    put(x.s.v, v)
