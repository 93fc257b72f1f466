"""Sums in their fixed order: the specification of ``csrc/reduce.c``.

In float64, but for statistics, which get by with less: `strip_sums`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNK", "LANES", "chunk_sums", "in_order", "line_squares", "strip_sums", "unit_squares"]

CHUNK = 8192
LANES = 32
STRIP = 1024
BAND = 32


def _lane_sums(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of each row: element i goes to lane i % 32, and the lanes are added up as a tree.

    A row's length is a multiple of 32; zeros at its end change nothing.
    """
    count, length = rows.shape
    if not rows.size:
        return np.zeros(count)
    steps = rows.reshape(count, length // LANES, LANES)
    lanes = 0.0 + np.add.accumulate(steps, axis=1)[:, -1]  # a lane starts at +0
    width = LANES // 2
    while width:
        lanes = lanes[:, :width] + lanes[:, width : 2 * width]
        width //= 2
    return lanes.reshape(-1)


def chunk_sums(a: NDArray[Any], b: NDArray[Any]) -> list[float]:
    """The sums of a[i] b[i] over the chunks of two rows; a chunk is 8192 elements."""
    padded = np.zeros(-(-a.size // CHUNK) * CHUNK)
    padded[: a.size] = a.astype(np.float64) * b.astype(np.float64)
    return [float(total) for total in _lane_sums(padded.reshape(-1, CHUNK))]


def strip_sums(a: NDArray[Any], b: NDArray[Any]) -> list[float]:
    """`chunk_sums` at half the work: lanes add up strips of 1024 elements in the arrays' dtype."""
    real = a.dtype.type
    padded = np.zeros(-(-a.size // CHUNK) * CHUNK, real)
    padded[: a.size] = a * b
    strips = padded.reshape(-1, STRIP // LANES, LANES)
    lanes = real(0) + np.add.accumulate(strips, axis=1)[:, -1]  # a lane starts at +0
    rows = lanes.astype(np.float64).reshape(-1, CHUNK // STRIP * LANES)
    return [float(total) for total in _lane_sums(rows)]


def in_order(parts: Iterable[float]) -> float:
    """The parts, added one after the other."""
    total = 0.0
    for part in parts:
        total = total + part
    return total


def unit_squares(a: NDArray[Any], units: int, rows: bool) -> NDArray[np.float64]:
    """The sum of squares of each unit of a tensor.

    With `rows` a unit is a run of consecutive elements, added in lanes over its whole length;
    otherwise element i is of unit i % units, and a unit's are added one after the other.
    """
    square = a.astype(np.float64) * a.astype(np.float64)
    if rows:
        length = a.size // units
        padded = np.zeros((units, -(-length // LANES) * LANES))
        padded[:, :length] = square.reshape(units, length)
        return _lane_sums(padded)
    one_by_one = np.add.accumulate(square.reshape(-1, units), axis=0)
    last: NDArray[np.float64] = one_by_one[-1]
    return last


def line_squares(a: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sums of squares of each row and of each column of matrices, along a first axis.

    Over tiles of 32 rows and 1024 columns: inside one a lane of a row, or a column, adds up 32
    squares in the arrays' dtype. Lanes are added as a tree, the tiles of a row or column in their
    order, in float64.
    """
    square, (count, height, width) = a * a, a.shape
    rows, columns = np.zeros((count, height)), np.zeros((count, width))
    for at in range(0, width, STRIP):
        panel = square[:, :, at : at + STRIP].reshape(count * height, -1)
        padded = np.zeros((count * height, -(-panel.shape[1] // LANES) * LANES), a.dtype)
        padded[:, : panel.shape[1]] = panel
        lanes = np.add.accumulate(padded.reshape(count * height, -1, LANES), axis=1)[:, -1]
        rows = rows + _lane_sums(lanes.astype(np.float64)).reshape(count, height)
    for at in range(0, height, BAND):
        band = np.add.accumulate(square[:, at : at + BAND], axis=1)[:, -1]
        columns = columns + band.astype(np.float64)
    return rows, columns
