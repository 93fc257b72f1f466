"""What a step writes to: which parameters are accepted, and where their slots lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._hyper import Row
from .masks import Terms
from .slots import AVERAGES, Slot, following, rows_of
from .tree import Leaf

__all__ = [
    "Arrays",
    "Slabs",
    "Store",
    "allocate",
    "blank",
    "check_params",
    "flat",
    "resync",
    "slabs",
    "store",
]

Array: TypeAlias = NDArray[Any]
#: The slots of a parameter by name.
Arrays: TypeAlias = dict[str, Array]
#: Makes room: uninitialised bytes of the sizes asked for, and whether they are zeros; None: nothing
#: is to be written to them.
Slabs: TypeAlias = Callable[[Sequence[int]], "tuple[list[NDArray[np.uint8]], bool | None]"]

LINE = 64  # bytes of a cache line
STAGGER = 9 * LINE  # slabs that start at one offset in their pages fight for the same cache sets


@dataclass
class Store:
    """What a step reads and writes of one parameter, in the form that ``_core.Plan`` takes.

    `states` and `scales` are in the order of the rule's row. All but scales, trace and states of
    one number a row or column have the shape and memory order of p.
    """

    p: Array
    group: int
    states: list[Array | None]
    scales: list[Array | None]  # beside 8-bit states: flat uint8, one for 128 elements
    master: Array | None = None  # float32, or uint16: the lower halves
    averages: list[Array | None] = field(default_factory=lambda: [None] * 3)  # slow, ema, swa
    sum: Array | None = None
    trace: Array | None = None
    work: Array | None = None  # of a matrix
    matrices: Arrays = field(default_factory=dict)  # kept of it, by name
    lr_scale: float = 1.0
    decays: bool = True
    units: int = 1  # that adaptive clipping looks at one by one
    rows: bool = True  # each unit is a run of memory; otherwise unit i is every units-th from i
    row: int = 1  # elements of a row
    matrix: tuple[int, int] = (0, 0)  # lengths of the last two axes where a rule goes by them


def store(
    leaf: Leaf, row: Row, arrays: Mapping[str, Array], axis: int | None, terms: Terms
) -> Store:
    """The Store of a parameter with its slots; `axis` counts the units of adaptive clipping."""
    p = leaf.array.view(np.ndarray)  # what is done to the caller's array object changes nothing
    units, rows, names = 1, True, row.states
    if axis is not None and p.ndim > 1:
        units = max(p.shape[axis], 1)
        rows = units == 1 or p.flags.c_contiguous == (axis == 0)
    return Store(
        p,
        leaf.group,
        [arrays.get(name) for name in names],
        [arrays.get(f"{name}_scale") for name in names],
        arrays.get("master", arrays.get("low")),
        [arrays.get(name) for name in AVERAGES],
        arrays.get("sum"),
        arrays.get("trace"),
        arrays.get("work"),
        {name: arrays[name] for name in row.matrices if name in arrays},
        terms.lr_scale,
        terms.decays,
        units,
        rows,
        p.size // max(rows_of(p), 1),
        (p.shape[-2], p.shape[-1]) if row.scope == "factored" and p.ndim > 1 else (0, 0),
    )


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
    if a.dtype.char not in "efd" and a.dtype.name != "bfloat16":
        return TypeError, f"of dtype float16, bfloat16, float32 or float64, got {a.dtype}"
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
    leaves: list[Leaf], have: list[Arrays], wanted: list[list[Slot]], room: Slabs
) -> list[Arrays]:
    """The slots of each parameter: those it has that fit, and new ones for the rest.

    New arrays of one name and dtype lie in one slab.
    """
    todo: dict[tuple[str, np.dtype[Any]], list[tuple[int, Slot]]] = {}
    for i, slots in enumerate(wanted):
        for slot in slots:
            if not slot.fits(have[i].get(slot.name), leaves[i]):
                todo.setdefault((slot.name, slot.dtype), []).append((i, slot))
    sizes = [[_bytes(leaves[i], slot) for i, slot in members] for members in todo.values()]
    places, zeros = room([sum(-(-size // LINE) * LINE for size in row) for row in sizes])
    made: dict[tuple[int, str], Array] = {}
    for members, row, place in zip(todo.values(), sizes, places, strict=True):
        at = 0
        for (i, slot), size in zip(members, row, strict=True):
            array = _shaped(place[at : at + size].view(slot.dtype), leaves[i], slot)
            if zeros is None:
                pass
            elif slot.start is None:
                with np.errstate(all="ignore"):
                    array[...] = leaves[i].array
            elif not zeros or slot.start:
                array[...] = slot.start if array.dtype != np.uint8 else 0
            made[i, slot.name] = array
            at += -(-size // LINE) * LINE
    return [
        {s.name: made[i, s.name] if (i, s.name) in made else have[i][s.name] for s in slots}
        for i, slots in enumerate(wanted)
    ]


def resync(rule: str, store: Store, arrays: Arrays) -> None:
    """Let the slots of a parameter that begin at it begin again."""
    with np.errstate(all="ignore"):
        for name in following(rule):
            if name in arrays:
                arrays[name][...] = 0 if name == "low" else store.p


def _bytes(leaf: Leaf, slot: Slot) -> int:
    return prod(slot.shape(leaf)) * slot.dtype.itemsize


def _shaped(row: Array, leaf: Leaf, slot: Slot) -> Array:
    """A row of elements as an array of the slot's shape, in the parameter's memory order."""
    p = leaf.array
    if (slot.size, slot.side, slot.over) != (None, None, None):
        return row.reshape(slot.shape(leaf))
    return row.reshape(p.shape) if p.flags.c_contiguous else row.reshape(p.shape[::-1]).T


def flat(a: Array, like: Array) -> Array:
    """A view of an array as one row, in the order in which `like` lies in memory."""
    return a.reshape(-1) if like.flags.c_contiguous else a.T.reshape(-1)


def blank(sizes: Sequence[int]) -> tuple[list[NDArray[np.uint8]], None]:
    """Addresses for a plan that only looks at forms; memory that is never touched is none."""
    return [np.empty(size, np.uint8) for size in sizes], None


def slabs(sizes: Sequence[int]) -> tuple[list[NDArray[np.uint8]], bool]:
    """Room in memory, on cache lines. np.empty, since it asks for huge pages where it pays."""
    out = []
    for number, size in enumerate(sizes):
        raw = np.empty(size + LINE + number * STAGGER, np.uint8)
        start = -raw.__array_interface__["data"][0] % LINE + number * STAGGER
        out.append(raw[start : start + size])
    return out, False
