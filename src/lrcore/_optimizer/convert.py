"""States from one format to another, outside of a step; imported when that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..reference import storage
from .memory import flat
from .slots import is_unsigned
from .tree import Leaf

__all__ = ["decode", "encode"]

Array: TypeAlias = NDArray[Any]

OUTSIDE = 2**64 - 1  # in place of the number of updates: draws that no step makes


def encode(
    rule: str,
    name: str,
    x: Array,
    arrays: Mapping[str, Array],
    leaf: Leaf,
    seed: int,
    tensor: int,
    draw: int,
) -> None:
    """Put a row of numbers into a state: to nearest; 8 bits without a sign by the seed's draws."""
    stored, unsigned = flat(arrays[name], leaf.array), is_unsigned(rule, name)
    scale = arrays.get(f"{name}_scale")
    with _core.FloatEnvironment(), np.errstate(all="ignore"):
        if stored.dtype in (np.float32, np.float64):
            stored[...] = x
            return
        bits = None
        if scale is not None and unsigned:
            bits = storage.random16(seed, OUTSIDE, tensor, x.size, draw)
        storage.encode(x, stored, scale, signed=not unsigned, bits=bits)


def decode(rule: str, name: str, stored: Array, scale: Array | None, dtype: np.dtype[Any]) -> Array:
    """The numbers that a row of stored elements stands for."""
    with _core.FloatEnvironment(), np.errstate(all="ignore"):
        if stored.dtype in (np.float32, np.float64):
            return stored.astype(dtype)
        return storage.decode(stored, scale, signed=not is_unsigned(rule, name), real=dtype)
