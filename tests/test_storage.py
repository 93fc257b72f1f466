"""The reference's formats, random bits and stages, each against something that is not ours.

What C makes of them is compared with the reference in test_bits.py; here is what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcore.reference import stats, step, storage
from lrcore.reference.reduce import chunk_sums, strip_sums, unit_squares

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

F32 = np.finfo(np.float32)
SIGNED = pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
MANY = 1 << 20

#: Two-sided limit of a standard normal number at a significance of 1e-6.
Z = 4.9


@pytest.fixture
def bf16():
    if bfloat16 is None:
        from support import missing

        missing("ml_dtypes")
    return np.dtype(bfloat16)


def of_bits(u):
    return np.asarray(u, np.uint32).view(np.float32)


def bits_of(x):
    return np.asarray(x, np.float32).view(np.uint32)


def any_floats(seed=0, n=MANY):
    """Float32 numbers of all kinds: random bits, and the surroundings of what formats end at."""
    rng = np.random.default_rng(seed)
    ends = [0, 0x33000000, 0x33800000, 0x387FC000, 0x38800000, 0x477FE000, 0x477FF000, 0x47800000]
    ends += [0x7F7F0000, 0x7F7F8000, 0x7F800000, 0x00800000, 0x3F800000, 0x7FC00000, 0x7FFFFFFF]
    near = np.array(ends)[:, None] + np.arange(-3, 4)
    near = near[(near >= 0) & (near < 1 << 31)].astype(np.uint32)
    halves = rng.standard_normal(n).astype(np.float32) * of_bits(0x38800000)  # around 2^-14
    random = rng.integers(0, 1 << 32, n, np.uint32)
    return np.concatenate([of_bits(near), of_bits(near | 0x80000000), of_bits(random), halves])


def encoded(x, dtype, bits=None, signed=True):
    """Stored array and scales (None but for uint8) of a row of numbers."""
    x = np.asarray(x)
    stored = np.full(x.size, 7, np.uint8).astype(dtype)
    scale = np.full(-(-x.size // 128), 7, np.uint8) if stored.dtype == np.uint8 else None
    storage.encode(x, stored, scale, signed=signed, bits=bits)
    return stored, scale


def rounded(x, dtype, bits=None, signed=True):
    """The numbers that remain after encoding and decoding."""
    stored, scale = encoded(x, dtype, bits, signed)
    return storage.decode(stored, scale, signed=signed, real=np.float64)


# ------------------------------------------------------------------------- 16 bits


def test_every_bfloat16_is_read_and_written_as_ml_dtypes_does(bf16):
    h = np.arange(1 << 16, dtype=np.uint16)
    x = storage.decode(h.view(bf16), None, signed=True, real=np.float32)
    assert_array_equal(x.view(np.uint32), h.view(bf16).astype(np.float32).view(np.uint32))
    for bits in (None, np.full(h.size, 0xFFFF, np.uint16)):  # what is exact stays, however rounded
        back = encoded(x, bf16, bits)[0].view(np.uint16)
        nan = np.isnan(x)
        assert_array_equal(back[~nan], h[~nan])
        assert_array_equal(back[nan], 0x7FC0)


def test_bfloat16_to_nearest_is_that_of_ml_dtypes(bf16):
    x = any_floats(n=2 * MANY)
    got = encoded(x, bf16)[0]
    with np.errstate(all="ignore"):
        want = x.astype(bf16)
    number = ~np.isnan(x)
    assert_array_equal(got.view(np.uint16)[number], want.view(np.uint16)[number])
    assert np.isnan(got.astype(np.float32)[~number]).all()


def test_every_float16_is_read_and_written_as_numpy_does():
    h = np.arange(1 << 16, dtype=np.uint16)
    x = storage.decode(h.view(np.float16), None, signed=True, real=np.float32)
    number = ~np.isnan(x)
    assert_array_equal(x[number], h.view(np.float16).astype(np.float32)[number])
    for bits in (None, np.full(h.size, 0xFFFF, np.uint16), np.zeros(h.size, np.uint16)):
        back = encoded(x, np.float16, bits)[0].view(np.uint16)
        assert_array_equal(back[number], h[number])
        assert_array_equal(back[~number], h[~number] & 0x8000 | 0x7E00)


def test_float16_to_nearest_is_that_of_numpy():
    h = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    middles = ((h[1:] + h[:-1]) / 2).astype(np.float32)  # exact
    around = np.concatenate([middles, np.nextafter(middles, 0), np.nextafter(middles, F32.max)])
    x = np.concatenate([any_floats(1, 2 * MANY), around, -around])
    got = encoded(x, np.float16)[0].view(np.uint16)
    with np.errstate(all="ignore"):
        want = x.astype(np.float16).view(np.uint16)
    number = ~np.isnan(x)
    assert_array_equal(got[number], want[number])
    assert_array_equal(got[~number] & 0x7FFF, 0x7E00)


def test_both_halves_of_a_float32_are_all_of_it(bf16):
    x = any_floats(2)
    upper, lower = storage.split(x)
    assert upper.dtype == lower.dtype == np.uint16
    assert_array_equal(storage.join(upper, lower).view(np.uint32), x.view(np.uint32))
    assert_array_equal(upper.view(bf16).astype(np.float32).view(np.uint32), bits_of(x) & 0xFFFF0000)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint8"])
def test_float64_is_rounded_to_float32_first(dtype, bf16):
    kind = bf16 if dtype == "bfloat16" else np.dtype(dtype)
    x = np.random.default_rng(0).standard_normal(1000) * (1 + 2.0**-30)
    for a, b in zip(encoded(x, kind), encoded(x.astype(np.float32), kind), strict=True):
        assert a is b or a.tobytes() == b.tobytes()


def test_wide_formats_are_rounded_to_nearest_whatever_the_bits():
    x = np.random.default_rng(0).standard_normal(100)
    bits = np.full(100, 0xFFFF, np.uint16)
    assert_array_equal(encoded(x, np.float64, bits)[0], x)
    assert_array_equal(encoded(x, np.float32, bits)[0], x.astype(np.float32))
    big = np.array([1e300, -1e300])  # no warning
    assert_array_equal(encoded(big, np.float32)[0], [np.inf, -np.inf])
    out = storage.decode(x, None, signed=True, real=np.float64)
    assert not np.shares_memory(out, x)


# -------------------------------------------------------------------------- 8 bits


def grid(signed):
    """The values of the codes at a scale of 1, in float64: 16 steps a binade from C, less C."""
    code = np.arange(128 if signed else 256)
    c = 2.0 ** (-7 if signed else -15)
    return c * 2.0 ** (code // 16) * (1 + code % 16 / 16) - c


@SIGNED
def test_codes_stand_for_the_numbers_of_the_grid_times_a_power_of_two(signed):
    codes = np.tile(np.arange(256, dtype=np.uint8), 256)
    scales = np.repeat(np.arange(256, dtype=np.uint8), 2)
    got = storage.decode(codes, scales, signed=signed, real=np.float64).reshape(256, 256)
    values = np.concatenate([grid(True), -grid(True)]) if signed else grid(False)
    assert_array_equal(got[1:255], np.ldexp(values, np.arange(1, 255)[:, None] - 127))
    assert_array_equal(np.signbit(got[100]), signed & (np.arange(256) >= 128))
    assert not got[0].any()
    assert not np.isfinite(got[255]).any()
    assert np.isinf(got[255, 255])


def blocks(signed, seed=0, count=300):
    """Blocks of numbers over 12 binades of all sizes, and the least scale (a power of two)."""
    rng = np.random.default_rng(seed)
    size = 2.0 ** rng.uniform(-100, 100, (count, 1))
    x = size * 2.0 ** rng.uniform(-12, 0, (count, 128))
    x[:, 0] = size[:, 0]
    x = (x * (rng.choice([-1, 1], x.shape) if signed else 1)).astype(np.float32)
    most = grid(signed)[-1]
    scale = 2.0 ** np.ceil(np.log2(np.abs(x[:, :1].astype(np.float64)) / most))
    return x, scale


@SIGNED
def test_8_bits_to_nearest_find_the_nearest_of_all_codes(signed):
    x, scale = blocks(signed)
    got = rounded(x.reshape(-1), np.uint8, signed=signed).reshape(x.shape)
    y, found = np.abs(x) / scale, np.abs(got) / scale
    assert (y <= grid(signed)[-1]).all()
    assert (scale / 2 * grid(signed)[-1] < np.abs(x).max(axis=1, keepdims=True)).all()
    least = np.abs(y[..., None] - grid(signed)).min(axis=-1)
    assert (np.abs(found - y) <= least + 2.0**-23).all()
    assert_array_equal(np.signbit(got), np.signbit(x))


@SIGNED
def test_8_bits_halfway_between_two_codes_go_up(signed):
    values = grid(signed)
    middles = (values[1:] + values[:-1]) / 2  # exact
    for start in range(0, len(middles), 127):
        part = middles[start : start + 127]
        codes, _ = encoded(np.append(part, values[-1]), np.uint8, signed=signed)
        assert_array_equal(codes[:-1], start + 1 + np.arange(len(part)))


@SIGNED
def test_8_bits_are_within_a_16th_of_the_number(signed):
    x, scale = blocks(signed, 1)
    bits = np.random.default_rng(0).integers(0, 1 << 16, x.size, np.uint16)
    c = 2.0 ** (-7 if signed else -15)
    y = np.abs(x) / scale
    for random, bound in ((None, 1 / 16), (bits, 1 / 8)):
        got = rounded(x.reshape(-1), np.uint8, random, signed).reshape(x.shape)
        error = np.abs(got - x) / scale
        assert (error[y >= c] <= bound * y[y >= c] * (1 + 1e-6)).all()
        assert (error[y < c] <= bound * c * (1 + 1e-6)).all()
        assert error.max() > bound / 4


@SIGNED
def test_8_bits_are_monotone(signed):
    x, _ = blocks(signed, 2)
    x = np.sort(x, axis=1)
    got = rounded(x.reshape(-1), np.uint8, signed=signed).reshape(x.shape)
    assert (np.diff(got, axis=1) >= 0).all()


@SIGNED
def test_what_is_on_the_grid_stays_whatever_the_bits(signed):
    codes = np.repeat(np.arange(256, dtype=np.uint8), 128).reshape(256, 128)
    codes[:, 5] = 127 if signed else 255  # the scale stays with the largest code
    codes = codes.reshape(-1)
    scales = np.full(256, 130, np.uint8)
    x = storage.decode(codes, scales, signed=signed, real=np.float32)
    for random in (None, np.zeros(x.size, np.uint16), np.full(x.size, 0xFFFF, np.uint16)):
        got, got_scales = encoded(x, np.uint8, random, signed)
        assert_array_equal(got, codes)
        assert_array_equal(got_scales, scales)


@SIGNED
def test_zero_stays_zero_and_without_a_sign_nothing_becomes_it(signed):
    zeros = np.zeros(200, np.float32)
    for random in (None, np.full(200, 0xFFFF, np.uint16)):
        codes, scales = encoded(zeros, np.uint8, random, signed)
        assert not codes.any()
        assert not scales.any()
        assert not rounded(zeros, np.uint8, random, signed).any()
    x = np.float32(10.0) ** np.linspace(-38, 0, 128, dtype=np.float32)
    x[3] = 0
    got = rounded(x, np.uint8, np.zeros(128, np.uint16), signed)
    assert ((got == 0) == (x == 0)).all() != signed
    assert got[3] == 0


@SIGNED
@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan, 3.4e38])
def test_a_block_with_a_number_that_has_no_code_is_not_finite(signed, odd):
    one = grid(signed)[-16]
    x = np.full(300, one, np.float32)
    x[130] = odd
    codes, scales = encoded(x, np.uint8, signed=signed)
    assert_array_equal(scales, [127, 255, 127])
    assert (codes[128:256] == 0xFF).all()
    got = storage.decode(codes, scales, signed=signed, real=np.float32)
    assert not np.isfinite(got[128:256]).any()
    assert (got[:128] == one).all()
    assert (got[256:] == one).all()


@SIGNED
def test_the_largest_and_smallest_scales(signed):
    most = grid(signed)[-1]
    top = np.float32(most * 2.0**127)
    got = rounded([top, 2.0**126, 1e37], np.uint8, signed=signed)
    assert_allclose(got, [top, 2.0**126, 1e37], rtol=1 / 16)
    assert encoded([top], np.uint8, signed=signed)[1] == 254
    assert encoded([np.nextafter(top, F32.max)], np.uint8, signed=signed)[1] == 255

    least = np.float32(F32.tiny)  # of the scale 1, whose multiplier is a normal number
    assert encoded([least], np.uint8, signed=signed)[1] == 1
    assert_allclose(
        rounded([least, least / 2], np.uint8, signed=signed), [least, least / 2], rtol=1 / 16
    )
    below = np.float32(1e-40)  # the scale 0 stands for zeros
    assert encoded([below], np.uint8, signed=signed)[1] == 0
    assert not rounded([below], np.uint8, signed=signed).any()


@SIGNED
def test_blocks_of_128_do_not_see_each_other(signed):
    x = np.abs(np.random.default_rng(0).standard_normal(300)) * 10.0 ** np.arange(-30, 0, 0.1)
    bits = np.random.default_rng(1).integers(0, 1 << 16, 300, np.uint16)
    whole = encoded(x, np.uint8, bits, signed)
    parts = [encoded(x[i : i + 128], np.uint8, bits[i : i + 128], signed) for i in (0, 128, 256)]
    for a, b in zip(whole, zip(*parts, strict=True), strict=True):
        assert_array_equal(a, np.concatenate(b))
    nothing, no_scale = encoded(np.zeros(0), np.uint8, signed=signed)
    assert nothing.size == no_scale.size == 0
    assert storage.decode(nothing, no_scale, signed=signed, real=np.float32).dtype == np.float32


# ------------------------------------------------------------------ stochastic rounding

FORMATS = {
    "bfloat16": ("bfloat16", True, 1.0),
    "float16": (np.float16, True, 1.0),
    "float16 subnormal": (np.float16, True, 2.0**-16),
    "8 bits signed": (np.uint8, True, 1.0),
    "8 bits unsigned": (np.uint8, False, 1.0),
}


def neighbours(x, kind, signed):
    """The stored numbers below and above each x, by truncating and by adding as much as can be."""
    zeros, ones = np.zeros(x.size, np.uint16), np.full(x.size, 0xFFFF, np.uint16)
    a, b = rounded(x, kind, zeros, signed), rounded(x, kind, ones, signed)
    return np.minimum(a, b), np.maximum(a, b)


def numbers_of(name, n, bf16, seed=0):
    kind, signed, size = FORMATS[name]
    kind = bf16 if kind == "bfloat16" else kind
    rng = np.random.default_rng(seed)
    x = (rng.uniform(0.02, 1.93, n) * rng.choice([-1, 1] if signed else [1], n) * size).astype("f4")
    return x, kind, signed


@pytest.mark.parametrize("name", FORMATS)
def test_over_all_random_bits_the_mean_is_the_number(name, bf16):
    """Not a statistic: each of the 65536 values once. The largest of the block is among them."""
    x, kind, signed = numbers_of(name, 16, bf16)
    x[0] = 1.936 * FORMATS[name][2]
    low, high = neighbours(x, kind, signed)
    assert (low <= x).all()
    assert (x <= high).all()
    assert (low < high).all()
    total = np.zeros(x.size)
    for start in range(0, 1 << 16, 1 << 12):
        bits = np.repeat(np.arange(start, start + (1 << 12), dtype=np.uint16), 128)
        rows = np.zeros((1 << 12, 128), np.float32)
        rows[:, : x.size] = x
        got = rounded(rows.reshape(-1), kind, bits, signed).reshape(rows.shape)[:, : x.size]
        assert ((got == low) | (got == high)).all()
        total += got.sum(axis=0)
    bias = np.abs(total / (1 << 16) - x) / (high - low)
    assert bias.max() <= (2.0**-13 if name == "float16 subnormal" else 2.0**-16)
    if name in ("bfloat16", "float16"):
        assert bias.max() == 0


@pytest.mark.parametrize("name", FORMATS)
def test_stochastic_rounding_is_unbiased_with_our_random_bits(name, bf16):
    """Rounding up n times is binomial; together at a significance of 1e-6."""
    n, updates = 2048, 400
    x, kind, signed = numbers_of(name, n, bf16)
    low, high = neighbours(x, kind, signed)
    up = np.zeros(n)
    for age in range(updates):
        up += rounded(x, kind, storage.random16(5, age, 3, n, 1), signed) > low
    p = (x - low) / (high - low)
    middle = (p > 0.03) & (p < 0.97)
    z = (up - updates * p)[middle] / np.sqrt(updates * p * (1 - p))[middle]
    count = middle.sum()
    assert count > n / 2
    assert abs(z.sum()) / sqrt(count) < Z  # the means
    assert abs((z**2).sum() - count) / sqrt(2 * count) < Z + 1  # and their spread (chi-square)


def test_steps_too_small_for_the_format_are_lost_to_nearest_and_made_on_average(bf16):
    def trained(rounding):
        store = make(np.ones(4000, bf16))
        group = [step.Group(hypers(lr=1.0), rounding=rounding)]
        for t in range(64):
            go(store, np.full(4000, 2.0**-12), t, groups=group)
        return store.p.astype(np.float64).mean()

    assert trained("nearest") == 1
    assert_allclose(trained("stochastic"), 1 - 64 * 2.0**-12, atol=Z * 2.0**-8 * sqrt(4.0 / 4000))


# --------------------------------------------------------------------- random bits


def scalar16(seed, age, tensor, i, draw):
    """One element's bits in Python integers, from the formulas."""
    full, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15

    def mix(x):
        x ^= x >> 30
        x = x * 0xBF58476D1CE4E5B9 & full
        x ^= x >> 27
        x = x * 0x94D049BB133111EB & full
        return x ^ x >> 31

    k = mix(seed + golden & full)
    k = mix((k ^ age) + golden & full)
    k = mix((k ^ tensor) + golden & full)
    k = mix((k ^ (draw // 2 + ((i >> 32) << 8))) + golden & full)
    x = ((i & 0xFFFFFFFF) * 0x9E3779B1 + (k & 0xFFFFFFFF)) & 0xFFFFFFFF
    x ^= x >> 16
    x = x * 0x7FEB352D & 0xFFFFFFFF
    x ^= (x >> 15) ^ (k >> 32)
    x = x * 0x846CA68B & 0xFFFFFFFF
    x ^= x >> 16
    return x >> 16 if draw % 2 else x & 0xFFFF


@pytest.mark.parametrize("start", [0, 1, 1000, (1 << 32) - 3, (5 << 32) + 7])
def test_random_bits_of_an_element(start):
    for seed in (0, 1, (1 << 64) - 1):
        for age, tensor, draw in ((0, 0, 0), (7, 3, 1), (1 << 40, 1 << 20, 6)):
            got = storage.random16(seed, age, tensor, 6, draw, start)
            assert got.dtype == np.uint16
            want = [scalar16(seed, age, tensor, start + i, draw) for i in range(6)]
            assert got.tolist() == want
    assert storage._mix(0) == 0xE220A8397B1DCDAF  # splitmix64's first number from the seed 0


def test_random_bits_do_not_depend_on_how_many_are_asked_for():
    whole = storage.random16(1, 2, 3, 1000, 4)
    assert_array_equal(storage.random16(1, 2, 3, 10, 4), whole[:10])
    assert_array_equal(storage.random16(1, 2, 3, 990, 4, start=10), whole[10:])
    assert storage.random16(1, 2, 3, 0, 4).size == 0


@pytest.mark.parametrize("draw", range(7))
def test_random_bits_are_uniform(draw):
    """At a significance of 1e-6 each."""
    n = 1 << 18
    r = storage.random16(draw, 1, 2, n, draw)
    for bins in (r >> 8, r & 0xFF):
        count = np.bincount(bins, minlength=256)
        chi2 = ((count - n / 256) ** 2 / (n / 256)).sum()
        assert 161 < chi2 < 378  # 255 degrees of freedom
    ones = (r[:, None] >> np.arange(16)) & 1
    assert (np.abs(ones.sum(axis=0) - n / 2) < Z * sqrt(n) / 2).all()


BASE = (11, 5, 2, 0)  # seed, age, tensor, draw


@pytest.mark.parametrize(
    "other",
    [(12, 5, 2, 0), (11, 6, 2, 0), (11, 5, 3, 0), (11, 5, 2, 1), (11, 5, 2, 2), (11, 5, 2, 6),
     (11, 2, 5, 0), (5, 11, 2, 0), (11 + (1 << 32), 5, 2, 0)],
)  # fmt: skip
def test_seeds_updates_tensors_and_arrays_have_bits_of_their_own(other):
    n = 1 << 17
    a, b = (storage.random16(*key[:3], n, key[3]) for key in (BASE, other))
    _assert_independent(a, b)


@pytest.mark.parametrize("lag", [1, 2, 3, 32, 128, 8192])
def test_elements_have_bits_of_their_own(lag):
    seed, age, tensor, draw = BASE
    r = storage.random16(seed, age, tensor, (1 << 17) + lag, draw)
    _assert_independent(r[lag:], r[:-lag])


def _assert_independent(a, b):
    """No two of the 16 bits of each agree more or less often than chance, at 1e-6 together."""
    x, y = (((r[:, None] >> np.arange(16)) & 1).astype(np.float32) * 2 - 1 for r in (a, b))
    z = np.einsum("ni,nj->ij", x, y) / sqrt(a.size)
    assert np.abs(z).max() < 5.9
    correlation = np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1]
    assert abs(correlation) * sqrt(a.size) < Z


# --------------------------------------------------------------------------- sums


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 1000, 8192, 8193, 20000])
def test_sums_are_sums(n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, n)).astype(np.float32)
    assert len(chunk_sums(a, b)) == len(strip_sums(a, b)) == -(-n // 8192)
    a8, b8 = a.astype("f8"), b.astype("f8")
    for got in (chunk_sums(a, b), strip_sums(a8, b8)):
        assert_allclose(sum(got), np.dot(a8, b8), rtol=1e-11)
    assert_allclose(sum(strip_sums(a, b)), np.dot(a8, b8), rtol=0, atol=1e-6 * n)
    assert_allclose(sum(strip_sums(a, a)), np.dot(a8, a8), rtol=1e-6)
    square = a.reshape(-1, 1).astype("f8") ** 2
    for units in (1, 2, 5, 40):
        if n and n % units == 0:
            rows = square.reshape(units, -1).sum(axis=1)
            assert_allclose(unit_squares(a, units, True), rows, rtol=1e-12)
            columns = square.reshape(-1, units).sum(axis=0)
            assert_allclose(unit_squares(a, units, False), columns, rtol=1e-12)


def test_lanes_of_a_unit_go_on_over_the_whole_run():
    """Added to 1 one after the other, quarters of its last place are lost; together they are not."""
    small = 2.0**-27 * np.ones(4)
    for lane, want in ((0, 1.0), (1, 1 + 2.0**-52)):
        a = np.zeros(2 * 8192)
        a[0] = 1
        a[8192 + lane : 8192 + lane + 128 : 32] = small
        assert unit_squares(a, 1, True).tolist() == [want]


def test_strips_are_of_1024_elements():
    """In float32 an eighth of the last place is lost beside a 1, but not from the next strip on."""
    for at, want in ((0, 1.0), (992, 1.0), (1024, 1 + 2.0**-26), (8160, 1 + 2.0**-26)):
        a = np.zeros(8192, np.float32)
        a[at % 32] = 1
        a[at + (32 if at == 0 else 0)] = 2.0**-13
        assert strip_sums(a, a) == [want]


# ---------------------------------------------------------------------- the step


@dataclass
class Store:
    p: Any
    group: int = 0
    states: list = field(default_factory=lambda: [None])
    scales: list = field(default_factory=lambda: [None, None, None])
    master: Any = None
    averages: list = field(default_factory=lambda: [None, None, None])
    trace: Any = None
    work: Any = None
    lr_scale: float = 1.0
    decays: bool = True
    units: int = 1
    rows: bool = True


def make(p, states=(None,), **fields):
    return Store(p, states=list(states), **fields)


def hypers(**values):
    """Of plain SGD; of AdamW with what is given."""
    start = {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "nesterov": 0.0, "weight_decay": 0.0}
    return SimpleNamespace(**{**start, **values})


def adamw(**values):
    return hypers(**{"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "amsgrad": 0.0, **values})


def go(store, g, t=0, rule="sgd", groups=None, **options):
    """One step of one tensor, or of several in lists."""
    many = isinstance(store, list)
    stores, grads = (store, g) if many else ([store], [g])
    tensors = [step.Tensor(s, x, t) for s, x in zip(stores, grads, strict=True)]
    return step.step(rule, tensors, groups or [step.Group(hypers())], step.Options(**options))


def numbers(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def test_the_gradient_is_divided_clipped_and_limited_in_this_order():
    store = make(np.zeros(2))
    group = step.Group(hypers(lr=1.0), maximize=True, clip_value=0.75, clip_norm=2.5)
    norm, bad = go(store, np.array([6.0, 8.0]), groups=[group], divisor=2.0)
    # norm 10 / 2; clip 2.5 / 5; 6 and 8 become 1.5 and 2, then 0.75; ascending
    assert (norm, bad) == (0.0, -1)
    assert_allclose(store.p, [0.75, 0.75])
    group.clip_value = 1.9
    store.p[:] = 0
    go(store, np.array([6.0, 8.0]), groups=[group], divisor=2.0)
    assert_allclose(store.p, [1.5, 1.9], rtol=1e-6)
    store.p[:] = 0
    go(store, np.array([6.0, 8.0]), groups=[step.Group(hypers(lr=1.0))], divisor=4.0)
    assert_array_equal(store.p, [-1.5, -2])


def test_groups_with_a_norm_of_their_own_are_left_out_of_the_global_one():
    groups = [step.Group(hypers(lr=1.0), clip_norm=k) for k in (0.0, 1.0, 0.0)]
    stores = [make(np.zeros(1), group=k) for k in (0, 1, 2, 1, 0)]
    grads = [np.array([x]) for x in (3.0, 30.0, 4.0, 40.0, 12.0)]
    norm, _ = go(stores, grads, groups=groups, clip_norm=6.5)
    assert norm == 13  # of 3, 4 and 12
    assert_allclose([-s.p[0] for s in stores], [1.5, 0.6, 2, 0.8, 6], rtol=1e-6)
    norm, _ = go(stores, grads, groups=groups, clip_norm=6.5, divisor=2.0)
    assert norm == 6.5
    norm, _ = go(stores, grads, groups=groups)
    assert norm == 0


@pytest.mark.parametrize(("maximize", "eps"), [(False, 1e-3), (True, 1e-3), (False, 1e-8)])
@pytest.mark.parametrize(
    ("shape", "order", "axis", "units", "rows"),
    [
        ((7,), "C", -1, 1, True),
        ((), "C", -1, 1, True),
        ((60, 50), "C", -1, 50, False),
        ((60, 50), "C", 0, 60, True),
        ((60, 50), "F", -1, 50, True),
        ((60, 50), "F", 0, 60, False),
        ((3, 3, 40, 8), "C", -1, 8, False),
        ((8, 40, 3, 3), "C", 0, 8, True),
    ],
)
def test_agc_is_that_of_nfnets(shape, order, axis, units, rows, maximize, eps):
    """deepmind-research/nfnets/agc_optax.py and optim.py, written for one tensor in float64."""

    def unitwise_norm(x):
        axes = None if x.ndim <= 1 else tuple(i for i in range(x.ndim) if i != axis % x.ndim)
        return np.sum(x**2, axis=axes, keepdims=True) ** 0.5

    def adaptive_clip(g, p, clipping, eps):
        p_norm, g_norm = unitwise_norm(p), unitwise_norm(g)
        max_norm = np.maximum(p_norm, eps) * clipping
        clipped = g * (max_norm / np.maximum(g_norm, 1e-6))
        return np.where(g_norm < max_norm, g, clipped)

    start, g = numbers(shape), numbers(shape, 1)
    if g.ndim > 1:  # units of all sizes: clipped, free, zero
        size = 10.0 ** np.linspace(-9, 1, units)
        g *= np.moveaxis(size * np.ones((*np.delete(shape, axis), units)), -1, axis)
        np.moveaxis(g, axis, 0)[3] = 0
        for k in (0, 1, -1):
            np.moveaxis(start, axis, 0)[k] = 0
    p = np.array(start, order=order)
    store = make(p, units=units, rows=rows)
    group = step.Group(hypers(lr=1.0), maximize=maximize, agc=0.05, agc_eps=eps)
    go(store, 4 * g, groups=[group], divisor=4.0)
    want = adaptive_clip(g, start, 0.05, eps)
    assert_allclose(p, start + want if maximize else start - want, rtol=1e-13, atol=1e-15)
    assert 0 < (np.abs(want) < np.abs(g)).mean() <= 1


def adam_direction(m, v, g, t, h):
    """Adam's update of p, per lr, as torch and optax have it; m and v in place."""
    m[...] = h.beta1 * m + (1 - h.beta1) * g
    v[...] = h.beta2 * v + (1 - h.beta2) * g**2
    return (m / (1 - h.beta1**t)) / (np.sqrt(v / (1 - h.beta2**t)) + h.eps)


@pytest.mark.parametrize("select", ["cautious", "grams"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_cautious_and_grams_are_those_of_their_papers(select, weight_decay):
    h = adamw(weight_decay=weight_decay)
    p, m, v = numbers(500), np.zeros(500), np.zeros(500)
    store = make(p.copy(), [np.zeros(500), np.zeros(500), None])
    groups = [step.Group(h, select=select)]
    for t in range(1, 12):
        g = numbers(500, t)
        g[:3] = 0
        go(store, g, t - 1, "adamw", groups)
        u = adam_direction(m, v, g, t, h)
        p = p * (1 - h.lr * h.weight_decay)
        if select == "cautious":  # Liang et al. 2024, algorithm 1, and kyleliang919/C-Optim
            mask = (u * g > 0).astype(np.float64)
            p = p - h.lr * u * mask / max(mask.mean(), 1e-3)
        else:  # Cao et al. 2024, algorithm 1
            p = p - h.lr * np.sign(g) * np.abs(u)
        assert_allclose(store.p, p, rtol=1e-11, atol=1e-13)
    assert_allclose(store.states[0], m, rtol=1e-12)


def test_where_nothing_agrees_cautious_makes_only_the_decay():
    store = make(np.ones(5), [np.full(5, 100.0), np.ones(5), None])
    groups = [step.Group(adamw(weight_decay=0.5), select="cautious")]
    go(store, np.full(5, -1e-3), 5, "adamw", groups)
    assert_array_equal(store.p, np.full(5, 0.95))


def test_averages_are_those_of_simple_loops():
    n, steps = 50, 40
    store = make(numbers(n))
    store.averages = [store.p.copy() for _ in range(3)]
    p, slow, ema, seen = store.p.copy(), store.p.copy(), store.p.copy(), []
    swa = p.copy()
    for k in range(1, steps + 1):
        g = numbers(n, k)
        go(store, g, k - 1, lookahead=(5, 0.3), ema=(0.9, False), swa=(7, 3))
        p = p - 0.1 * g
        if k % 5 == 0:  # Zhang et al. 2019
            slow = slow + 0.3 * (p - slow)
            p = slow.copy()
        ema = 0.9 * ema + 0.1 * p
        if k in range(7, steps + 1, 3):
            seen.append(p)
            swa = np.mean(seen, axis=0)
        assert_allclose(store.p, p, rtol=1e-12)
        for got, want in zip(store.averages, (slow, ema, swa), strict=True):
            assert_allclose(got, want, rtol=1e-12)


def test_a_running_mean_from_the_start_forgets_where_it_started():
    store = make(numbers(9))
    store.averages[2] = store.p.copy()
    seen = []
    for k in range(1, 6):
        go(store, numbers(9, k), k - 1, swa=(0, 1))
        seen.append(store.p.copy())
        assert_allclose(store.averages[2], np.mean(seen, axis=0), rtol=1e-14)


def test_the_warm_up_of_an_exponential_average():
    """TensorFlow's: the decay is at most (1 + k) / (10 + k)."""
    store = make(numbers(9))
    ema = store.averages[1] = store.p.copy()
    want = ema.copy()
    for k in range(1, 60):
        go(store, numbers(9, k), k - 1, ema=(0.8, True))
        d = min(0.8, (1 + k) / (10 + k))
        want = d * want + (1 - d) * store.p
        assert_allclose(ema, want, rtol=1e-13)
    ema[:] = 1e20
    go(store, numbers(9), 60, ema=(0.0, False))
    assert_array_equal(ema, store.p)


def test_decay_and_rate_are_the_parameters_own():
    start = numbers(20)
    plain, masked, scaled = (make(start.copy()) for _ in range(3))
    masked.decays, scaled.lr_scale = False, 0.25
    g = numbers(20, 1)
    go([plain, masked, scaled], [g] * 3, groups=[step.Group(hypers(weight_decay=0.5))])
    assert_allclose(plain.p, start - 0.1 * (g + 0.5 * start), rtol=1e-13)
    assert_allclose(masked.p, start - 0.1 * g, rtol=1e-13)
    assert_allclose(scaled.p, start - 0.025 * (g + 0.5 * start), rtol=1e-13)

    stores = [make(start.copy(), [np.zeros(20)]) for _ in range(2)]
    stores[1].decays = False
    h = adamw(weight_decay=0.5)
    go(stores, [g] * 2, rule="lion", groups=[step.Group(h)])
    assert_allclose(stores[0].p, 0.95 * start - 0.1 * np.sign(g), rtol=1e-13)
    assert_allclose(stores[1].p, start - 0.1 * np.sign(g), rtol=1e-13)


def row_of(store, n=1):
    rows = np.full((n, stats.COLUMNS), 99.0)
    store.trace = np.zeros(store.p.size, store.p.dtype)
    return rows


@pytest.mark.parametrize(("real", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-11)])
def test_statistics_are_what_numpy_says_in_float64(real, rtol):
    n = 10000
    store = make(numbers(n, dtype=real))
    rows, before, last = row_of(store), store.p.copy(), np.zeros(n)
    for t in range(3):
        g = numbers(n, t, real)
        group = step.Group(hypers(lr=1e-3), clip_norm=5.0)
        go(store, g, t, groups=[group], stats=rows, divisor=2.0)
        d = (store.p - before).astype(np.float64)
        g8, p8 = g.astype(np.float64), store.p.astype(np.float64)
        gg, tt = np.dot(g8, g8), np.dot(last, last)
        clip = 5.0 / (sqrt(gg) / 2 + 1e-6)
        lost = ((d == 0) & (g != 0)).sum()
        dot = rows[0, stats.DOT]
        assert_allclose(dot, np.dot(g8, last), rtol=0, atol=rtol * sqrt(gg * tt))
        slope = np.dot(g8, d)
        want = [gg, np.dot(p8, p8), np.dot(d, d), dot, gg, tt, slope, 0, lost, clip, 2.0]
        assert_allclose(rows[0], want, rtol=rtol)
        assert_array_equal(store.trace, d)
        before, last = store.p.copy(), d
    assert dot != 0


def test_every_eighth_chunk_of_the_previous_step_is_kept():
    n, c = 8192 * 17 + 100, 8192
    mask = (np.arange(n) // c) % 8 == 0
    store = make(np.zeros(n), trace=np.zeros(mask.sum()))
    assert store.trace.size == 2 * c + c  # chunks 0, 8 and 16
    rows = np.zeros((1, stats.COLUMNS))
    g, h = numbers(n), numbers(n, 1)
    go(store, g, stats=rows, trace_every=8)
    assert_array_equal(store.trace, -0.1 * g[mask])
    go(store, h, 1, stats=rows, trace_every=8)
    assert_allclose(rows[0, stats.DOT], np.dot(h[mask], -0.1 * g[mask]), rtol=1e-9)
    assert_allclose(rows[0, stats.DOT_GRAD2], np.dot(h[mask], h[mask]), rtol=1e-12)
    assert_allclose(rows[0, stats.TRACE2], 0.01 * np.dot(g[mask], g[mask]), rtol=1e-12)
    assert_allclose(rows[0, stats.GRAD2], np.dot(h, h), rtol=1e-12)


def test_updates_lost_to_rounding_are_counted():
    p = np.ones(6, np.float32)
    g = np.array([1.0, 2.0**-30, 0.0, -(2.0**-30), 1e-8, 2.0**-20])
    store = make(p)
    rows = row_of(store)
    go(store, g, groups=[step.Group(hypers(lr=1.0))], stats=rows)
    assert rows[0, stats.LOST] == 3


def test_what_cautious_holds_back_is_not_lost(bf16):
    one = np.ones(4, np.float32)
    store = make(np.ones(4, bf16), [one.copy(), one.copy(), None], trace=np.zeros(4, np.float32))
    rows = np.zeros((1, stats.COLUMNS))
    group = step.Group(adamw(lr=1e-4), select="cautious")
    go(store, np.array([-1e-3, 1e-3, 0, 1e-3]), 9, "adamw", [group], stats=rows)
    assert_array_equal(store.p.astype(np.float32), 1)
    assert rows[0, stats.LOST] == 2


def test_statistics_of_a_narrow_parameter_are_of_what_is_stored(bf16):
    store = make(np.ones(3, bf16))
    rows = row_of(store)
    store.trace = np.zeros(3, np.float32)
    go(store, np.array([2.0**-12, 0.5, 0]), groups=[step.Group(hypers(lr=1.0))], stats=rows)
    assert rows[0, stats.LOST] == 1
    assert rows[0, stats.STEP2] == 0.25
    assert rows[0, stats.PARAM2] == 2.25
    store = make(np.ones(3, bf16), master=np.ones(3, np.float32), trace=np.zeros(3, np.float32))
    go(store, np.array([2.0**-12, 0.5, 0]), groups=[step.Group(hypers(lr=1.0))], stats=rows)
    assert rows[0, stats.LOST] == 0
    assert rows[0, stats.STEP2] == 0.25 + 2.0**-24


def test_statistics_of_what_is_refused_or_left_alone():
    stores = [make(np.ones(2)) for _ in range(3)]
    for s in stores:
        s.trace = np.full(2, 5.0)
    rows = np.full((3, stats.COLUMNS), 99.0)
    grads = [np.array([3.0, 4.0]), None, np.array([np.nan, -np.inf])]
    groups = [step.Group(hypers(), maximize=True)]
    assert go(stores, grads, groups=groups, stats=rows, divisor=4.0, clip_norm=1.0) == (0.0, 2)
    assert_array_equal(rows[0], [25, 0, 0, 0, 0, 0, 0, 0, 0, 0, -4])
    assert_array_equal(rows[1], 0)
    assert np.isnan(rows[2, stats.GRAD2])
    assert_array_equal(rows[2, 1:], [0, 0, 0, 0, 0, 0, 2, 0, 0, -4])
    for s in stores:
        assert_array_equal(s.p, 1)
        assert_array_equal(s.trace, 5)
    norm, bad = go(stores[:2], grads[:2], groups=groups, stats=rows[:2], divisor=4.0, clip_norm=1.0)
    assert (norm, bad) == (1.25, -1)
    assert_allclose(rows[0, stats.CLIP], 1 / 1.25, rtol=1e-6)
    assert_array_equal(rows[1], 0)
    assert go(stores, grads, nonfinite="ignore", groups=groups, stats=rows)[1] == -1
    assert rows[2, stats.NONFINITE] == 2
    assert np.isnan(stores[2].p[0])


# ------------------------------------------------------------------- what is stored


@pytest.mark.parametrize("master", ["float32", "split"])
def test_with_a_master_a_narrow_parameter_is_trained_as_float32(master, bf16):
    start = numbers(300, dtype=np.float32)
    wide = make(start.copy(), [np.zeros(300, "f4"), np.zeros(300, "f4"), None])
    upper, lower = storage.split(start)
    if master == "split":
        narrow = make(upper.view(bf16).copy(), master=lower)
    else:
        narrow = make(start.astype(bf16), master=start.copy())
    narrow.states = [np.zeros(300, "f4"), np.zeros(300, "f4"), None]
    for t in range(5):
        g = numbers(300, t).astype(bf16)
        for store in (wide, narrow):
            go(store, g, t, "adamw", [step.Group(adamw())])
        if master == "split":
            assert_array_equal(storage.join(narrow.p.view(np.uint16), narrow.master), wide.p)
        else:
            assert_array_equal(narrow.master, wide.p)
            assert_array_equal(narrow.p, wide.p.astype(bf16))


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("state", ["bfloat16", "uint8", "float32"])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_a_state_is_decoded_updated_and_rounded(state, rounding, real, bf16):
    """The second tensor of two, at its 7th update; a narrow second moment is never rounded to nearest."""
    n, age, seed = 1000, 6, 99
    kind = bf16 if state == "bfloat16" else np.dtype(state)
    h, g, start = adamw(), numbers(n, 1), numbers(n, dtype=real)
    encodings = [encoded(numbers(n, 2), kind), encoded(numbers(n, 3) ** 2, kind, signed=False)]
    states, scales = (
        [e[i].copy() if e[i] is not None else None for e in encodings] for i in (0, 1)
    )
    stores = [make(np.zeros(1), [np.zeros(1), np.zeros(1), None]),
              make(start.copy(), [*states, None], scales=[*scales, None])]  # fmt: skip
    m, v = (
        storage.decode(*e, signed=s, real=real)
        for e, s in zip(encodings, (True, False), strict=True)
    )
    wide = make(start.copy(), [m, v, None])
    go(wide, g, age, "adamw", [step.Group(h)])
    group = step.Group(h, rounding=rounding)
    go(stores, [np.ones(1), g], age, "adamw", [group], seed=seed)
    assert_array_equal(stores[1].p, wide.p)
    for j, (signed, new) in enumerate(((True, m), (False, v))):
        bits = None
        if rounding == "stochastic" or (state != "float32" and not signed):
            bits = storage.random16(seed, age, 1, n, j)
        want, scale = encoded(new, kind, bits, signed)
        assert_array_equal(states[j], want)
        assert scale is None or (scales[j] == scale).all()


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_narrow_parameter_is_rounded_with_the_seventh_draw(kind, bf16):
    dtype = bf16 if kind == "bfloat16" else np.dtype(kind)
    p = numbers(500).astype(dtype)
    wide = p.astype(np.float32)
    g = numbers(500, 1, np.float32)
    store = make(p)
    go(store, g, 3, groups=[step.Group(hypers(), rounding="stochastic")], seed=7)
    exact = wide - np.float32(0.1) * g
    want, _ = encoded(exact, dtype, storage.random16(7, 3, 0, 500, 6))
    assert_array_equal(store.p, want)
    assert (want != encoded(exact, dtype)[0]).mean() > 0.1


def test_elements_are_counted_in_the_order_of_memory(bf16):
    """Blocks of 8 bits, random bits and the trace follow it."""
    start, g = numbers((30, 40)), numbers((30, 40), 1)

    def run(turn):
        p = turn(start).astype(bf16, order="K")
        like = {"order": "F" if not p.flags.c_contiguous else "C"}
        states = [np.zeros(p.shape, np.uint8, **like), np.zeros(p.shape, np.uint8, **like), None]
        scales = [np.zeros(10, np.uint8), np.zeros(10, np.uint8), None]
        average = np.zeros(p.shape, np.float32, **like)
        store = make(
            p, states, scales=scales, averages=[None, average, None], trace=np.zeros(1200, "f4")
        )
        group = step.Group(adamw(), rounding="stochastic")
        for t in range(3):
            go(store, np.ascontiguousarray(turn(g)), t, "adamw", [group], ema=(0.5, False),
               stats=np.zeros((1, stats.COLUMNS)))  # fmt: skip
        return store

    a, b = run(lambda x: x), run(lambda x: x.T)
    c = run(lambda x: np.ascontiguousarray(x.T))
    assert_array_equal(a.p, b.p.T)
    assert_array_equal(a.averages[1], b.averages[1].T)
    assert_array_equal(a.trace, b.trace)
    for x, y in zip(a.states[:2], b.states[:2], strict=True):
        assert_array_equal(x, y.T)
    for x, y in zip(a.scales[:2], b.scales[:2], strict=True):
        assert_array_equal(x, y)
    assert (a.p != c.p.T).any()


@pytest.mark.parametrize("shape", [(0,), (0, 5), ()])
def test_no_element_and_one_go_through_all_stages(shape, bf16):
    p = np.ones(shape, bf16)
    blocks_of = np.zeros(-(-p.size // 128), np.uint8)
    store = make(
        p,
        [np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), None],
        scales=[blocks_of.copy(), blocks_of.copy(), None],
        master=np.ones(shape, np.float32),
        averages=[np.ones(shape, np.float32) for _ in range(3)],
        trace=np.zeros(p.size, np.float32),
    )
    for select in ("cautious", "grams"):
        group = step.Group(adamw(), True, 0.5, 1.0, 0.01, 1e-3, select, "stochastic")
        norm, bad = go(
            store, np.ones(shape, np.float16), 0, "adamw", [group], divisor=3.0, lookahead=(1, 0.5),
            ema=(0.9, True), swa=(0, 1), stats=np.zeros((1, stats.COLUMNS)),
        )  # fmt: skip
        assert (norm, bad) == (0.0, -1)
    assert store.p.shape == shape
    assert not p.size or store.master > 1


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_gradients_are_summed_in_reals(real, bf16):
    total = np.full((4, 5), np.nan, real)
    want = np.zeros((4, 5), real)
    for i, kind in enumerate([bf16, np.float16, np.float32, np.float64]):
        g = numbers((4, 5), i).astype(kind)
        step.accumulate(total, g if i % 2 else np.asfortranarray(g), first=i == 0)
        want = want + g.astype(real)
        assert_array_equal(total, want)
    zero = np.array([-0.0])
    total = np.ones(1)
    step.accumulate(total, zero, first=True)
    assert np.signbit(total)
