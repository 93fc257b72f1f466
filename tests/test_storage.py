"""The reference's formats, each against something that is not ours, and what a step stores.

What C makes of them is compared with the reference in test_bits.py; here is what they mean.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_steps import adamw, encoded, go, hypers, make, numbers, rounded

from lrcore.reference import stats, step, storage

F32 = np.finfo(np.float32)
SIGNED = pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
MANY = 1 << 20


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


# -------------------------------------------------------------------------------- 16 bits


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


# --------------------------------------------------------------------------------- 8 bits


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


# ------------------------------------------------------------------------- what is stored


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
