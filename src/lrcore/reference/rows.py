"""The gradient of some rows: what it adds up to, and the tensor of these rows alone.

A step with such a gradient is the step of a tensor that is made of the named rows, in increasing
order, and of their states. So everything else (norms, chunks, random bits) is as it is there.
"""

from __future__ import annotations

from copy import copy
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import storage
from .memory import Store, real_of

__all__ = ["named", "put_back", "taken"]

Array: TypeAlias = NDArray[Any]
S = TypeVar("S", bound=Store)


def named(p: Array, indices: NDArray[np.int64], values: Array) -> tuple[NDArray[np.int64], Array]:
    """The rows of `p` that are named, each once and in order, and their gradient as reals.

    Where a row is named several times, what belongs to it is added up in the order of appearance.
    """
    values = storage.decode(values, None, signed=True, real=real_of(p))
    rows, which = np.unique(indices, return_inverse=True)
    total = np.zeros((rows.size, *p.shape[1:]), values.dtype)
    seen = np.zeros(rows.size, np.bool_)
    for i, row in enumerate(which.reshape(-1)):
        total[row] = total[row] + values[i] if seen[row] else values[i]
        seen[row] = True
    return rows, total


def taken(store: S, rows: NDArray[np.int64]) -> S:
    """The arrays of some rows, copied."""
    part = copy(store)
    part.p = store.p[rows]
    part.states = [None if a is None else a[rows] for a in store.states]
    part.master = None if store.master is None else store.master[rows]
    return part


def put_back(part: Store, store: Store, rows: NDArray[np.int64]) -> None:
    """Write them back to where they were taken from."""
    pairs = [(part.p, store.p), (part.master, store.master)]
    for new, old in [*pairs, *zip(part.states, store.states, strict=True)]:
        if new is not None and old is not None:
            old[rows] = new
