"""What the functions of a rule take, and products that several share."""

from __future__ import annotations

from math import prod
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Array", "Matrix", "Names", "Room", "as_matrix", "eigen", "put", "squared"]

Array: TypeAlias = NDArray[Any]
Names: TypeAlias = SimpleNamespace


class Room:
    """Arrays to work in, kept from step to step."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, np.dtype[Any]], Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """An array under a name, the same memory each time, with anything in it."""
        key, size = (name, np.dtype(dtype)), prod(shape)
        if key not in self._rows or self._rows[key].size < size:
            self._rows[key] = np.empty(size, dtype)
        return self._rows[key][:size].reshape(shape)


class Matrix:
    """A parameter as a matrix, in one step: its rows are those of the first axis.

    `d` is the gradient and then the direction, of the dtype of the arithmetic; `kept` are the
    square matrices of the row that there are; `s` the rule's states, of the parameter's shape and
    any format but 8 bits; `h` the hyper-parameters and `t` the number of the update.
    """

    def __init__(self, d: Array, kept: dict[str, Array], s: Names, room: Room) -> None:
        self.d, self.kept, self.s, self.room = d, kept, s, room
        self.h, self.t = Names(), 0
        self.found: Any = None


def as_matrix(a: Array) -> Array:
    """An array as a matrix; a view unless more than two axes lie in Fortran order."""
    return a.reshape(len(a), -1)


def put(a: Array, x: Array) -> None:
    """Let an array hold a matrix, which may be a view of it."""
    if not np.may_share_memory(a, x):
        a[...] = x.reshape(a.shape)


def eigen(a: Array) -> tuple[Array, Array]:
    """Eigenvalues, in increasing order, and eigenvectors, in float64; NaN of what is not finite."""
    if not np.isfinite(a).all():
        return np.full(len(a), np.nan), np.full(a.shape, np.nan)
    values, vectors = np.linalg.eigh(a.astype(np.float64))
    return values, vectors


def squared(d: Array, side: str) -> Array:
    """``d d'`` for the left, ``d' d`` for the right, in new memory."""
    product: Array = d @ d.T if side == "left" else d.T @ d
    return product
