"""Muon: the direction made orthogonal by Newton and Schulz's iteration.

The iteration ``x = a x + b (x x') x + c (x x')^2 x`` is made on the Gram matrix ``g = x x'`` of the
smaller side, ``g = p g p`` with ``p = a + b g + c g^2``, while ``q``, the product of all ``p``,
waits to be applied once: symmetric products of small matrices in place of two large ones a step.
Rounding may give ``g`` eigenvalues a little below zero, which grow by ``a^2`` a step: before they
matter ``q`` is applied and ``g`` is made anew.
"""

from __future__ import annotations

from math import isfinite, log, sqrt

import numpy as np

from ._forms import Array, Matrix, Room

__all__ = ["enter", "leave", "orthogonalize"]

GROWTH = 1e5  # of eigenvalues that rounding has left below zero
STRIPE = 128  # rows of a symmetric product that are computed as if it were none
WIDTH = 1024  # columns that q is applied to at once


def enter(x: Matrix) -> None:
    """Take the memory."""
    _arrays(x.room, x.d)


def leave(x: Matrix) -> None:
    """The orthogonal direction, longer for tall or large matrices."""
    rows, columns = x.d.shape
    ratio = sqrt(max(1.0, rows / columns))
    if x.h.adjust_lr_fn:
        ratio = 0.2 * sqrt(max(rows, columns))
    coefficients = (x.h.ns_coefficient1, x.h.ns_coefficient2, x.h.ns_coefficient3)
    orthogonalize(x.d, coefficients, int(x.h.ns_steps), x.h.eps, ratio, x.room)


def _arrays(room: Room, d: Array) -> tuple[list[Array], Array]:
    n, width = min(d.shape), min(WIDTH, max(d.shape))
    shape = (n, width) if len(d) == n else (width, n)
    return [room(name, (n, n), d.dtype) for name in "gpqw"], room("part", shape, d.dtype)


def orthogonalize(
    d: Array,
    coefficients: tuple[float, float, float],
    steps: int,
    eps: float,
    ratio: float,
    room: Room,
) -> None:
    """Replace `d` by `ratio` times what the iteration makes of ``d / max(|d|, eps)``."""
    (g, p, q, w), part = _arrays(room, d)
    x = d if len(d) == len(g) else d.T
    at_once = _at_once(coefficients[0])
    for start in range(0, steps, at_once):
        count = min(at_once, steps - start)
        _symmetric(x, x.T, g)
        factor = ratio if start + count == steps else 1.0
        if start == 0:
            norm = _norm(x, g, eps)
            g /= norm * norm
            factor /= norm
        q, w = _composed(g, p, q, w, coefficients, count)
        q *= factor
        _apply(q, d, part)


def _at_once(a: float) -> int:
    """Steps until what rounding leaves below zero has grown by `GROWTH`."""
    return 1 + int(log(GROWTH) / (2 * log(max(abs(a), 1.5))))


def _norm(x: Array, g: Array, eps: float) -> float:
    """The norm by the Gram matrix, at least eps; where that overflows x is made smaller."""
    square = float(g.diagonal().sum(dtype=np.float64))
    if not isfinite(square):
        most = np.abs(x).max()
        if isfinite(most):
            x /= most
            _symmetric(x, x.T, g)
            square = float(g.diagonal().sum(dtype=np.float64))
    return max(sqrt(square), eps)


def _composed(
    g: Array,
    p: Array,
    q: Array,
    w: Array,
    coefficients: tuple[float, float, float],
    steps: int,
) -> tuple[Array, Array]:
    """The product of all p of some steps, and an array that is free; all four are overwritten."""
    a, b, c = coefficients
    for k in range(steps):
        _symmetric(g, g, w)
        w *= c
        out = p if k else q
        np.multiply(g, b, out=out)
        out += w
        out.reshape(-1)[:: len(out) + 1] += a
        if k < steps - 1:
            _symmetric(out, g, w)
            _symmetric(w, out, g)
        if k:
            _symmetric(q, p, w)
            q, w = w, q
    return q, w


def _symmetric(x: Array, y: Array, out: Array) -> None:
    """A product that is symmetric: what lies above the diagonal, mirrored."""
    half = len(out) // 2
    if half < STRIPE:
        np.matmul(x, y, out=out)
        return
    _symmetric(x[:half], y[:, :half], out[:half, :half])
    _symmetric(x[half:], y[:, half:], out[half:, half:])
    np.matmul(x[:half], y[:, half:], out=out[:half, half:])
    out[half:, :half] = out[:half, half:].T


def _apply(q: Array, d: Array, part: Array) -> None:
    """The product of q with the smaller side of d, in place."""
    for i in range(0, max(d.shape), WIDTH):
        if d.shape[0] == len(q):
            piece = d[:, i : i + WIDTH]
            piece[...] = np.matmul(q, piece, out=part[:, : piece.shape[1]])
        else:
            piece = d[i : i + WIDTH]
            piece[...] = np.matmul(piece, q, out=part[: len(piece)])
