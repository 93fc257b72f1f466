"""The formats numbers are kept in, and the random bits that round to them.

The specification of ``csrc/storage.c``. A step computes in float32 or float64; `encode` rounds to
what an array holds, `decode` reads it. Everything goes through float32, whose bits are ``u``:

- *bfloat16*: the upper half of a float32, rounded.
- *float16*: IEEE's; below 2^-14 its numbers are the multiples of 2^-24.
- *split*: both halves of a float32, in two arrays of 16 bits; nothing is rounded.
- *8 bits*: blocks of 128 consecutive elements share a scale, the power of two that brings the
  largest of them below 1.94. With y = abs(x) / scale, a code counts the sixteenths of a binade from
  C to y + C: relative steps well above C, even ones below it, and 0 for y = 0. A number that may be
  negative has a sign and C = 2^-7; one that never is has C = 2^-15 and is never rounded to zero,
  since the root of a second moment is divided by.

Rounded to nearest, ties to even (8 bits: away from zero), or stochastically: what is below the last
place is rounded up with the probability that it is a fraction of, so that the mean is right.

Random bits are a function of (seed, update, tensor, array, element) alone.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["decode", "encode", "join", "random16", "split"]

Array: TypeAlias = NDArray[Any]
Bits: TypeAlias = NDArray[np.uint32]

u32, f32 = np.uint32, np.float32

BLOCK = 128  # elements that share a scale
CUT = u32(19)  # bits of a float32 below a sixteenth of a binade
LEAST = {True: f32(float.fromhex("0x1p-7")), False: f32(float.fromhex("0x1p-15"))}  # C if signed
LEAST_BITS = {True: 0x3C000000, False: 0x38000000}
#: What lifts every y above the last that has a code, 1.9375 - C, to the next power of two.
LIFT = {True: 0x8FFFF, False: 0x800FF}


def encode(
    x: Array, stored: Array, scale: Array | None, *, signed: bool, bits: NDArray[np.uint16] | None
) -> None:
    """Write a row of reals into an array of any format, in place.

    `scale` and `signed` are looked at for 8 bits only. `bits` are the 16 random bits of each
    element; None rounds to nearest. float32 and float64 are rounded to nearest in any case.
    """
    with np.errstate(all="ignore"):
        kind = stored.dtype.name
        if kind in ("float32", "float64"):
            stored[...] = x.astype(stored.dtype)
            return
        u = x.astype(f32).view(u32)
        random = None if bits is None else bits.astype(u32)
        if kind == "uint8":
            assert scale is not None
            stored[...], scale[...] = _to_int8(u, random, signed)
        elif kind == "bfloat16":
            stored.view(np.uint16)[...] = _to_bfloat16(u, random)
        else:
            stored.view(np.uint16)[...] = _to_float16(u, random)


def decode(stored: Array, scale: Array | None, *, signed: bool, real: DTypeLike) -> Array:
    """Return a new array of dtype `real` with the values of one of any format."""
    with np.errstate(all="ignore"):
        kind = stored.dtype.name
        if kind == "uint8":
            assert scale is not None
            return _from_int8(stored, scale, signed).astype(real)
        if kind == "bfloat16":
            upper = stored.view(np.uint16).astype(u32)
            return (upper << u32(16)).view(f32).astype(real)
        return stored.astype(real)


# ------------------------------------------------------------------------- 16 bits


def _to_bfloat16(u: Bits, random: Bits | None) -> Bits:
    add = u32(0x7FFF) + ((u >> u32(16)) & u32(1)) if random is None else random
    is_nan = (u & u32(0x7FFFFFFF)) > u32(0x7F800000)
    return np.where(is_nan, u32(0x7FC0), (u + add) >> u32(16))


def _to_float16(u: Bits, random: Bits | None) -> Bits:
    sign = (u >> u32(16)) & u32(0x8000)
    a = u & u32(0x7FFFFFFF)
    is_tiny = a < u32(0x38800000)  # 2^-14, the smallest normal number
    size = np.where(is_tiny, a, u32(0)).view(f32)
    if random is None:
        add = u32(0xFFF) + ((a >> u32(13)) & u32(1))
        tiny = (size + f32(0.5)).view(u32) - u32(0x3F000000)  # floats from 0.5 on are 2^-24 apart
    else:
        add = random >> u32(3)
        units = size * f32(float.fromhex("0x1p24")) + add.astype(f32) * f32(1 / 8192)
        tiny = np.floor(units).astype(u32)
    h = (a - u32(0x38000000) + add) >> u32(13)
    h = np.where(is_tiny, tiny, h)
    h = np.where(a >= u32(0x47800000), u32(0x7C00), h)  # 65536
    h = np.where(a > u32(0x7F800000), u32(0x7E00), h)
    return h | sign


def split(x: Array) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Upper and lower halves of float32 numbers; the upper ones are a bfloat16."""
    u = x.astype(f32).view(u32)
    return (u >> u32(16)).astype(np.uint16), (u & u32(0xFFFF)).astype(np.uint16)


def join(upper: Array, lower: Array) -> NDArray[np.float32]:
    """The float32 numbers that `split` took apart."""
    return ((upper.astype(u32) << u32(16)) | lower.astype(u32)).view(f32)


# -------------------------------------------------------------------------- 8 bits


def _to_int8(u: Bits, random: Bits | None, signed: bool) -> tuple[NDArray[np.uint8], Array]:
    """Codes, and the scale of each block."""
    a = u & u32(0x7FFFFFFF)
    padded = np.zeros(-(-u.size // BLOCK) * BLOCK, u32)
    padded[: u.size] = a
    top = padded.reshape(-1, BLOCK).max(axis=1)
    scale = np.minimum((top + u32(LIFT[signed])) >> u32(23), u32(255))
    below = u32(254) - np.minimum(scale, u32(254))
    inverse = np.maximum(below << u32(23), u32(0x400000)).view(f32)  # the last is 2^-127

    y = a.view(f32) * _each(inverse, u.size)
    z = y + LEAST[signed]
    add = u32(0x40000) if random is None else random << u32(3)
    code = (z.view(u32) - u32(LEAST_BITS[signed]) + add) >> CUT
    if signed:
        code = code | ((u >> u32(24)) & u32(0x80))
    else:
        code = np.where((code == 0) & (a >= u32(1 << 19)), u32(1), code)  # from 2^-130 on
    code = np.where(_each(scale, u.size) == 255, u32(0xFF), code)
    return code.astype(np.uint8), scale.astype(np.uint8)


def _from_int8(codes: Array, scale: Array, signed: bool) -> NDArray[np.float32]:
    code = codes.astype(u32)
    number = code & u32(0x7F) if signed else code
    z = ((number << CUT) + u32(LEAST_BITS[signed])).view(f32)
    y = z - LEAST[signed]
    x = y * _each((scale.astype(u32) << u32(23)).view(f32), codes.size)
    return np.where(code & u32(0x80), -x, x) if signed else x


def _each(of_block: Array, n: int) -> Array:
    """What belongs to a block, for each of n elements."""
    return np.repeat(of_block, BLOCK)[:n]


# --------------------------------------------------------------------- random bits

MASK = 0xFFFFFFFFFFFFFFFF


def random16(
    seed: int, age: int, tensor: int, n: int, draw: int, start: int = 0
) -> NDArray[np.uint16]:
    """16 random bits for each of the elements start .. start + n - 1 of a tensor's `draw`-th array.

    `age` counts the updates that the tensor has had. Two arrays share the words of 32 bits.
    """
    word, odd = divmod(draw, 2)
    out = np.empty(n, np.uint16)
    at = 0
    while at < n:
        high, low = divmod(start + at, 1 << 32)
        part = min(n - at, (1 << 32) - low)
        x = _words(_key(seed, age, tensor, word, high), low, part)
        out[at : at + part] = x >> u32(16) if odd else x & u32(0xFFFF)
        at += part
    return out


def _mix(x: int) -> int:
    """splitmix64 (Steele, Lea & Flood 2014): one step and its finalizer, modulo 2^64."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def _key(seed: int, age: int, tensor: int, word: int, high: int) -> int:
    """`high` is the upper half of the element's number."""
    k = _mix(seed)
    k = _mix(k ^ age)
    k = _mix(k ^ tensor)
    return _mix(k ^ (word + (high << 8)))


def _words(key: int, low: int, n: int) -> Bits:
    """Wellons' lowbias32 (2018) of a Weyl sequence, with halves of the key before and within."""
    k0, k1 = u32(key & 0xFFFFFFFF), u32(key >> 32)
    i = np.arange(low, low + n, dtype=np.uint64).astype(u32)
    x = i * u32(0x9E3779B1) + k0
    x = (x ^ (x >> u32(16))) * u32(0x7FEB352D)
    x = (x ^ (x >> u32(15)) ^ k1) * u32(0x846CA68B)
    return x ^ (x >> u32(16))
