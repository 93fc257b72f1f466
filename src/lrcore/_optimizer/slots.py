"""The arrays that a step keeps beside each parameter: one table for all that is done with them.

A slot has a name, a dtype, a size and what it starts at. The list of slots of a parameter drives
where memory is taken, ``Optimizer.state``, ``nbytes``, ``state_dict`` and what a plan is given.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from .._hyper import RULES, STATES, is_matrix, kept_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .options import Whole
    from .tree import Leaf

__all__ = [
    "AVERAGES",
    "FORMATS",
    "Slot",
    "bfloat16",
    "check_order",
    "following",
    "is_unsigned",
    "real",
    "rows_of",
    "slots_of",
    "state_slots",
    "trace_every",
]

BLOCK_8BIT = _core.Q8_BLOCK  # consecutive elements that share a scale
CHUNK = _core.CHUNK  # what a tensor is cut into, and what a trace keeps or leaves out
TRACED_WHOLE = 2**20  # elements of all parameters up to which a trace leaves nothing out
SPARSE = 16  # beyond: every sixteenth chunk

#: The formats of states besides the arithmetic's own.
FORMATS = ("float32", "float64", "bfloat16", "int8")
#: The averages in the order of a step: slot -> the option that switches it on.
AVERAGES = {"slow": "lookahead", "ema": "ema", "swa": "swa"}
#: Slots that begin at the parameter, besides states; "low", the bits that it lacks, at zero.
FOLLOWING = ("master", "low", *AVERAGES, "trained")


def following(rule: str) -> tuple[str, ...]:
    """The slots of a rule's parameters that begin at the parameter."""
    return (*FOLLOWING, *(state.name for state in STATES[rule] if state.follows))


class Slot(NamedTuple):
    """One array beside a parameter."""

    name: str
    dtype: np.dtype[Any]
    #: Elements of a flat array; None: of the parameter's shape and memory order.
    size: int | None = None
    #: What it begins at; None: as the parameter is.
    start: float | None = 0.0
    #: Of a square matrix: its rows.
    side: int | None = None
    #: Of one number for all elements along an axis of the parameter: which.
    over: int | None = None

    def shape(self, leaf: Leaf) -> tuple[int, ...]:
        """The shape beside a parameter."""
        if self.side is not None:
            return (self.side, self.side)
        shape: tuple[int, ...] = leaf.array.shape
        if self.over is not None:
            return tuple(1 if i == self.over else n for i, n in enumerate(shape, -len(shape)))
        return shape if self.size is None else (self.size,)

    def fits(self, array: Any, leaf: Leaf) -> bool:
        """Whether an array there is could be this slot."""
        if array is None or array.dtype != self.dtype:
            return False
        return bool(array.shape == self.shape(leaf))


def real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the arithmetic on a parameter."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def bfloat16(who: str, what: str) -> np.dtype[Any]:
    """The dtype that ml_dtypes defines; it is imported only here."""
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError(
            f"{who}: {what} needs the package ml_dtypes, which is not installed; "
            'pip install ml_dtypes, or "lrcore[bfloat16]"'
        ) from None
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def rows_of(p: NDArray[Any]) -> int:
    """How many rows a parameter has, one below the other along its first axis."""
    return int(p.shape[0]) if p.ndim else 1


def check_order(who: str, rule: str, p: NDArray[Any], label: str) -> None:
    """Refuse a parameter whose rows do not lie in one piece where a rule goes by rows."""
    by_rows = any(state.of_rows or state.over for state in STATES[rule])
    if by_rows and not p.flags.c_contiguous:
        raise ValueError(
            f"{who}: params{label} must be in C order, since this rule goes by rows, got an array "
            "in Fortran's order"
        )


def state_slots(rule: str, p: NDArray[Any], starts: Mapping[str, float]) -> list[Slot]:
    """The slots of a rule's states in the arithmetic's format; `starts` says what there is."""
    dtype, of_rows = real(p.dtype), {state.name for state in STATES[rule] if state.of_rows}
    over = {state.name: state.over for state in STATES[rule]}
    return [
        Slot(
            name,
            dtype,
            size=rows_of(p) if name in of_rows else None,
            start=None if isnan(start) else start,
            over=over[name],
        )
        for name, start in starts.items()
    ]


def is_unsigned(rule: str, state: str) -> bool:
    """Whether a state is never negative, so that its 8-bit form has no sign."""
    return any(x.unsigned for x in STATES[rule] if x.name == state)


def trace_every(elements: int) -> int:
    """Which chunks of a tensor a trace keeps: those whose number this divides."""
    return 1 if elements <= TRACED_WHOLE else SPARSE


def _traced(n: int, every: int) -> int:
    """The elements of a tensor of `n` that a trace keeps."""
    return sum(min(CHUNK, n - at) for at in range(0, n, CHUNK * every))


def slots_of(
    rule: str,
    leaf: Leaf,
    values: Mapping[str, Any],
    starts: Mapping[str, float],
    whole: Whole,
    *,
    summing: bool,
    evaluating: bool,
    every: int,
    traced: bool,
) -> list[Slot]:
    """The slots of one parameter: `values` are its group's, `starts` its rule's states."""
    dtype, n = real(leaf.array.dtype), leaf.array.size
    stored = _stored(values["state_dtype"], dtype)
    out = []
    for slot in state_slots(rule, leaf.array, starts):
        out.append(slot._replace(dtype=stored))
        if stored == np.uint8:
            out.append(Slot(f"{slot.name}_scale", stored, size=-(-n // BLOCK_8BIT)))
    if RULES[rule].scope == "matrix" and is_matrix(rule, leaf.array.shape, values):
        kept = kept_of(rule, leaf.array.shape, values)
        out += [Slot(name, dtype, side=side) for name, side in kept.items()]
        out.append(Slot("work", dtype))
    if values["master"] == "float32":
        out.append(Slot("master", np.dtype(np.float32), start=None))
    elif values["master"] == "split":
        out.append(Slot("low", np.dtype(np.uint16)))
    for name, option in AVERAGES.items():
        if getattr(whole, option) is not None:
            out.append(Slot(name, dtype, start=None))
    if summing:
        out.append(Slot("sum", dtype))
    if evaluating:
        out.append(Slot("trained", leaf.array.dtype, start=None))
    if traced:
        out.append(Slot("trace", dtype, size=_traced(n, every)))
    return out


def _stored(name: str | None, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if name is None:
        return dtype
    if name == "int8":
        return np.dtype(np.uint8)
    return bfloat16("", "bfloat16") if name == "bfloat16" else np.dtype(name)
