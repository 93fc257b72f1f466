"""A step by an ordinary optimizer on the host.

For products of matrices, which need NumPy, and where JAX does not take lrcore's functions. Also
what is asked of a state outside of compiled code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._optimizer import Optimizer
from ._programs import Form, Program, Spot

__all__ = ["by_address", "held", "kept", "on_arrays"]

Array: TypeAlias = NDArray[Any]

MOST = np.iinfo(np.int32).max


def by_address(program: Program, operands: Sequence[int], results: Sequence[int]) -> None:
    """Make a step from memory to memory."""
    given = [_array(at, form) for at, form in zip(operands, program.operands(), strict=True)]
    made = on_arrays(program, *given)
    for at, form, array in zip(results, program.results(), made, strict=True):
        _array(at, form)[...] = array


def _array(address: int, form: Form) -> Array:
    """What lies at an address."""
    shape, dtype = form
    n = int(np.prod(shape, dtype=np.int64))
    if n == 0:
        return np.empty(shape, dtype)
    raw: Any = (ctypes.c_ubyte * (n * dtype.itemsize)).from_address(address)
    array: Array = np.frombuffer(raw, np.uint8).view(dtype).reshape(shape)
    return array


def on_arrays(program: Program, *operands: Array) -> list[Array]:
    """Make a step: from operands to results, both in the order that csrc/xla.c names."""
    left = list(reversed(operands))
    count, skipped = int(left.pop()), int(left.pop())
    loss = float(left.pop()) if program.kind.needs_loss else None
    handed = {spot: float(left.pop()) for spot in program.handed()}
    scalars = None if program.scalars is None else left.pop()
    grads = [left.pop() for _ in program.forms]
    with held(program, count, scalars, left[::-1]) as opt, _core.FloatEnvironment():
        _set(opt, handed)
        made = opt.step(opt._layout.structure(grads), loss=loss)
        counts = (count + made, skipped + (not made))
        return [*(np.array(min(x, MOST), np.int32) for x in counts), *kept(program, opt)]


@contextmanager
def held(
    program: Program, count: int, scalars: Array | None, arrays: Sequence[Array]
) -> Iterator[Optimizer]:
    """An optimizer that holds these parameters and this state, for the length of a `with`."""
    with program.lock:
        if program.host is None:
            params = program.layout.structure([np.zeros(*form) for form in program.forms])
            program.host = program.plain(params, **program.arguments)
        opt = program.host
        opt._plan.t, opt._plan.ages = count, [count] * len(program.forms)
        if scalars is not None and program.scalars is not None:
            rows: Any = np.ascontiguousarray(scalars).view(np.float64)
            opt._plan.scalars = rows.reshape(program.scalars.shape).tolist()
        for own, array in zip(_written(program, opt), arrays, strict=True):
            own[...] = array
        yield opt


def kept(program: Program, opt: Optimizer) -> list[Array]:
    """Copies of what a state has of an optimizer: the scalars, the parameters and the arrays."""
    out = [array.copy() for array in _written(program, opt)]
    if program.scalars is None:
        return out
    bits = np.array(opt._plan.scalars).reshape(-1).view(np.uint32)
    return [bits.reshape(*program.scalars.shape, 2), *out]


def _written(program: Program, opt: Optimizer) -> list[Array]:
    layout = opt._layout
    beside = [layout.arrays[x.tensor][x.name] for x in program.kept]
    return [*(leaf.array for leaf in layout.leaves), *beside]


def _set(opt: Optimizer, handed: Mapping[Spot, float]) -> None:
    """Put the numbers that are handed over into the group."""
    group, changes = opt.param_groups[0], dict[str, Any]()
    for spot, value in handed.items():
        if spot.place is None:
            changes[spot.name] = value
        else:
            parts = list(changes.get(spot.name, group[spot.name]))
            parts[spot.place] = value
            changes[spot.name] = tuple(parts)
    if changes:
        group.update(changes)
