"""What a step writes to: which parameters are accepted, and where their state lies."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._tree import Leaf

__all__ = ["allocate", "check_params"]

Array: TypeAlias = NDArray[Any]

LINE = 64  # bytes of a cache line
STAGGER = 9 * LINE  # slabs that start at one offset in their pages fight for the same cache sets


def check_params(who: str, leaves: list[Leaf], labels: list[str]) -> None:
    """Refuse arrays that cannot be updated in place, by name."""
    for leaf, label in zip(leaves, labels, strict=True):
        problem = _problem(leaf.array)
        if problem:
            kind, text = problem
            raise kind(f"{who}: params{label} must be {text}")
        if leaf.form != leaf.now():
            raise ValueError(
                f"{who}: params{label} must keep the shape, dtype and order it was given with, "
                f"{leaf.form}, got {leaf.now()}"
            )
    _check_distinct(who, leaves, labels)


def _problem(a: Any) -> tuple[type[Exception], str] | None:
    if not isinstance(a, np.ndarray):
        return TypeError, f"a NumPy array, got {type(a).__name__}"
    if a.dtype.newbyteorder("=") not in (np.float32, np.float64):
        return TypeError, f"of dtype float32 or float64, got {a.dtype}"
    if not a.dtype.isnative:
        return TypeError, f"in native byte order, got {a.dtype!r}"
    if not a.flags.writeable:
        return ValueError, "writable, got a read-only array"
    if not (a.flags.c_contiguous or a.flags.f_contiguous):
        return ValueError, f"contiguous, got strides {a.strides} for shape {a.shape}"
    if not a.flags.aligned:
        return ValueError, f"aligned to {a.itemsize} bytes, got an address that is not"
    return None


def _check_distinct(who: str, leaves: list[Leaf], labels: list[str]) -> None:
    paths: dict[tuple[int, str], str] = {}
    for leaf, label in zip(leaves, labels, strict=True):
        other = paths.setdefault((leaf.group, leaf.path), label)
        if other is not label:
            raise ValueError(
                f"{who}: params{label} and params{other} must have different paths, "
                f"got {leaf.path!r} for both"
            )
    spans = sorted(
        (leaf.array.__array_interface__["data"][0], leaf.array.nbytes, i)
        for i, leaf in enumerate(leaves)
        if leaf.array.nbytes
    )
    for (low, size, i), (next_low, next_size, k) in pairwise(spans):
        if low + size > next_low:
            a, b = labels[min(i, k)], labels[max(i, k)]
            how = "is the same memory as" if (low, size) == (next_low, next_size) else "overlaps"
            raise ValueError(
                f"{who}: params{b} must have memory of its own, got one that {how} params{a}"
            )


def allocate(
    leaves: list[Leaf], have: list[list[Array | None]], starts: list[list[float | None]]
) -> list[list[Array | None]]:
    """The state arrays of each parameter: those it has and still needs, and new ones for the rest.

    `starts` says of each array what it begins at, None where there is to be none. New arrays of one
    name and dtype lie in one slab.
    """
    out = [
        [None if start is None else a for a, start in zip(arrays, row, strict=True)]
        for arrays, row in zip(have, starts, strict=True)
    ]
    wanted: dict[tuple[int, np.dtype[Any]], list[int]] = {}
    for i, leaf in enumerate(leaves):
        for j, start in enumerate(starts[i]):
            if start is not None and out[i][j] is None:
                wanted.setdefault((j, leaf.array.dtype), []).append(i)
    for number, ((j, dtype), members) in enumerate(wanted.items()):
        sizes = [-(-leaves[i].array.nbytes // LINE) * LINE for i in members]
        slab = _slab(sum(sizes), number)
        at = 0
        for i, size in zip(members, sizes, strict=True):
            p = leaves[i].array
            row = slab[at : at + p.nbytes].view(dtype)
            row[...] = starts[i][j]
            out[i][j] = (
                row.reshape(p.shape) if p.flags.c_contiguous else row.reshape(p.shape[::-1]).T
            )
            at += size
    return out


def _slab(size: int, number: int) -> NDArray[np.uint8]:
    """Uninitialised bytes on a cache line. np.empty, since it asks for huge pages where it pays."""
    raw = np.empty(size + LINE + number * STAGGER, np.uint8)
    start = -raw.__array_interface__["data"][0] % LINE + number * STAGGER
    return raw[start : start + size]
