"""What a step reads and writes of a parameter, as rows in the order of memory."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import storage

Array: TypeAlias = NDArray[Any]


class Store(Protocol):
    """The arrays of one parameter and what is settled for it.

    All but `scales`, `trace` and states of one number a row have the shape and memory order of `p`.
    `states` are in the order of the rule's row, None where there is no such array; beside an 8-bit
    one lie its `scales`. `master` is float32, or uint16 for the lower halves of a bfloat16 `p`.
    `averages` are Lookahead's, the exponential and the running mean. `work` is where a
    matrix has its direction.
    """

    p: Array
    group: int
    states: list[Array | None]
    scales: list[Array | None]
    master: Array | None
    averages: list[Array | None]
    trace: Array | None
    work: Array | None
    lr_scale: float
    decays: bool
    units: int
    rows: bool
    matrix: tuple[int, int]


def flat(a: Array, like: Array) -> Array:
    """``a`` as one row, in the order in which ``like`` lies in memory."""
    return a.reshape(-1) if like.flags.c_contiguous else a.T.reshape(-1)


def real_of(p: Array) -> type[np.floating[Any]]:
    """What a parameter is computed in."""
    return np.float64 if p.dtype == np.float64 else np.float32


def load(g: Array, p: Array) -> Array:
    """The gradient of `p` as reals."""
    return storage.decode(flat(g, p), None, signed=True, real=real_of(p))


def read_state(store: Store, j: int, signed: bool) -> Array | None:
    """State `j` as reals."""
    stored = store.states[j]
    if stored is None:
        return None
    row = flat(stored, store.p)
    return storage.decode(row, store.scales[j], signed=signed, real=real_of(store.p))


def write_state(
    store: Store, j: int, x: Array, signed: bool, bits: NDArray[np.uint16] | None
) -> None:
    """Round reals to what state `j` holds."""
    stored = store.states[j]
    assert stored is not None
    storage.encode(x, flat(stored, store.p), store.scales[j], signed=signed, bits=bits)


def read_parameter(store: Store) -> Array:
    """What the parameter is taken to be: a master knows it better than `p`."""
    p, real = flat(store.p, store.p), real_of(store.p)
    if store.master is None:
        return storage.decode(p, None, signed=True, real=real)
    master = flat(store.master, store.p)
    if master.dtype == np.uint16:
        return storage.join(p.view(np.uint16), master)
    return storage.decode(master, None, signed=True, real=real)


def write_parameter(store: Store, x: Array, bits: NDArray[np.uint16] | None) -> None:
    """Keep reals in the master, if there is one, and rounded in `p`; split, nothing is rounded."""
    p = flat(store.p, store.p)
    if store.master is not None:
        master = flat(store.master, store.p)
        if master.dtype == np.uint16:
            p.view(np.uint16)[...], master[...] = storage.split(x)
            return
        master[...] = x
    storage.encode(x, p, None, signed=True, bits=bits)
