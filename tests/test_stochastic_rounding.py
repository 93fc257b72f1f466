"""The reference's stochastic rounding is unbiased, and its random bits are random.

What C makes of them is compared with the reference in test_bits.py; here is what they mean.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_steps import go, hypers, make, rounded

from lrcore.reference import step, storage

#: Two-sided limit of a standard normal number at a significance of 1e-6.
Z = 4.9


# -------------------------------------------------------------------- stochastic rounding


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


# ---------------------------------------------------------------------------- random bits


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
