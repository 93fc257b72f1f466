"""Promise 1: C and reference agree in every bit of parameters and state."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import missing

import lrcore
from lrcore import _cases, _core, _verify

THREADS = (1, 2, 3)


MAIN = set(_verify.main_cases())
CASES = [
    pytest.param(case, id=str(case), marks=() if case in MAIN else pytest.mark.slow)
    for case in _verify.cases()
]


@pytest.mark.parametrize("case", CASES)
def test_every_isa_and_thread_count_gives_the_reference_bits(case):
    expected = _verify.reference(case)
    for i, isa in enumerate(lrcore.isas()):
        for threads in THREADS if i == 0 else (2,):
            assert not _verify.compare(case, expected, isa, threads)


def test_the_expected_instruction_sets_are_exercised():
    wanted = os.environ.get("LRCORE_EXPECT_ISAS", "").split()
    assert set(wanted) <= set(lrcore.isas())
    assert lrcore.isas()


def test_a_wrong_bit_is_seen():
    case = next(_verify.cases())
    expected = _verify.reference(case)
    name, array = next((k, a) for k, a in expected.items() if a.size)
    array[0] = np.nextafter(array[0], np.inf, dtype=array.dtype)
    assert name in _verify.compare(case, expected, lrcore.isas()[0], 1)


def make(backend, params, rule=lrcore.Adam, **options):
    return rule(params, lr=0.1, backend=backend, **options)


SHAPES = {
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "every second": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "middle axis": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, 0)), 0, 1),
    "field of a record": lambda a: _field(a),
    "misaligned": lambda a: _misaligned(a),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}


def _field(a):
    record = np.zeros(a.shape, [("x", "i1"), ("g", a.dtype)])
    record["g"] = a
    return record["g"]


def _misaligned(a):
    room = np.zeros(a.nbytes + 1, np.uint8)
    out = room[1:].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_right_element_meets_the_right_element(layout, order, dtype):
    rng = np.random.default_rng(1)
    shape = (37, 41, 13)
    g = rng.standard_normal(shape).astype(dtype)
    odd = SHAPES[layout](g)
    assert_array_equal(odd, g)
    assert layout == "other byte order" or not (odd.flags.c_contiguous and odd.flags.aligned)
    start = rng.standard_normal(shape).astype("float32")
    plain, laid = np.array(start, order="C"), np.array(start, order=order)
    make("c", plain, clip_norm=1.0).step(g)
    make("c", laid, clip_norm=1.0).step(odd)
    in_numpy = np.array(start, order=order)
    make("numpy", in_numpy, clip_norm=1.0).step(odd)
    assert_array_equal(laid, in_numpy)
    if order == "C":
        assert_array_equal(laid, plain)
    else:  # the norm is summed in the order of memory
        np.testing.assert_allclose(laid, plain, rtol=1e-6)


def test_broadcast_and_negative_strides():
    p, q = np.zeros((5, 4)), np.zeros((5, 4))
    g = np.broadcast_to(np.arange(4.0), (5, 4))
    make("c", p).step(g)
    make("numpy", q).step(g.copy())
    assert_array_equal(p, q)


def test_gradients_that_are_the_parameters_are_read_before_they_are_written():
    p, q = np.linspace(-1, 1, 5000), np.linspace(-1, 1, 5000)
    a, b = make("c", p), make("c", q)
    for _ in range(3):
        a.step(p[::-1])
        b.step(q[::-1].copy())
    assert_array_equal(p, q)
    make("c", p).step(p)
    make("c", q).step(q.copy())
    assert_array_equal(p, q)


def test_a_gradient_made_of_the_state_is_read_before_it_is_written():
    p, q = np.ones(5000), np.ones(5000)
    a, b = make("c", p), make("c", q)
    for opt in (a, b):
        opt.step(np.linspace(-1, 1, 5000))
    a.step(a.state[""]["m"][::-1])
    b.step(b.state[""]["m"][::-1].copy())
    assert_array_equal(p, q)


@pytest.mark.parametrize("rule", [lrcore.AdamW, lrcore.LAMB, lrcore.SGD])
def test_many_tensors_of_two_dtypes_in_groups_and_of_different_ages(rule):
    """Shared constants must not leak between groups, dtypes or tensors of another age."""

    def run(backend):
        rng = np.random.default_rng(0)
        params = [rng.standard_normal(n).astype(d) for n in (5, 9000, 0, 3)
                  for d in ("float32", "float64")]  # fmt: skip
        extra = {"weight_decay": 0.2}
        opt = rule([{"params": params[:5], "lr": 0.3}, {"params": params[5:], **extra}],
                   clip_norm=1.0, backend=backend)  # fmt: skip
        for t in range(6):
            grads = [rng.standard_normal(p.shape) for p in params]
            for i in range(8):
                if (t + i) % 3 == 0:
                    grads[i] = None
            opt.step([grads[:5], grads[5:]])
        return params + [a for s in opt.state.values() for a in s.values()]

    for isa in lrcore.isas():
        _core.set_isa(isa)
        for a, b in zip(run("c"), run("numpy"), strict=True):
            assert _verify.same_bits(a, b).all()


def test_positions_do_not_matter():
    """Splitting an array, or moving an element within it, changes no bit of an element-wise rule."""
    rng = np.random.default_rng(3)
    start = _verify.numbers(rng, 20000, "float32", wild=False)
    grads = [_verify.numbers(rng, 20000, "float32", wild=False) for _ in range(3)]
    whole = start.copy()
    parts = [start[:7].copy(), start[7:9001].copy(), start[9001:].copy()]
    order = rng.permutation(20000)
    moved = start[order]
    a, b, c = (make("c", x) for x in (whole, parts, moved))
    for g in grads:
        a.step(g)
        b.step([g[:7], g[7:9001], g[9001:]])
        c.step(g[order])
    assert_array_equal(np.concatenate(parts), whole)
    assert_array_equal(moved, whole[order])


LARGE = (300, 2_200_001, 9000, 70_001)  # whose tasks are more than a chunk


@pytest.mark.parametrize("rule", [lrcore.AdamW, lrcore.SGD, lrcore.LAMB, lrcore.RowwiseAdagrad])
@pytest.mark.parametrize(
    "options",
    [{}, {"nonfinite": "ignore"}, {"clip_norm": 1.0}, {"ema": 0.9, "zero_grads": True}],
    ids=str,
)
def test_large_tasks_give_the_bits_of_small_ones(rule, options):
    def run(backend):
        rng = np.random.default_rng(5)
        params = [rng.standard_normal(n, np.float32) for n in LARGE]
        opt = rule(params, lr=0.1, backend=backend, **options)
        for _ in range(2):
            opt.step([rng.standard_normal(n, np.float32) for n in LARGE])
        return params + [a for s in opt.state.values() for a in s.values()]

    expected = run("numpy")
    for threads in (1, 3):
        lrcore.set_num_threads(threads)
        for a, b in zip(run("c"), expected, strict=True):
            assert_array_equal(a, b)


def test_statistics_of_large_tasks_are_those_of_each_chunk():
    def run(backend):
        rng = np.random.default_rng(6)
        params = [rng.standard_normal(n, np.float32) for n in LARGE]
        opt = lrcore.AdamW(params, lr=0.1, backend=backend, stats=True)
        for _ in range(2):
            opt.step([rng.standard_normal(n, np.float32) for n in LARGE])
        return params, opt.stats

    (p, seen), (q, expected) = run("c"), run("numpy")
    for a, b in zip(p, q, strict=True):
        assert_array_equal(a, b)
    assert seen.grad_norm == expected.grad_norm
    assert seen.step_norm == expected.step_norm


@pytest.mark.parametrize("at", [0, 8192 * 3 - 1, 2_200_000])
def test_a_number_that_is_not_finite_is_found_in_a_large_task(at):
    params = [np.ones(n, np.float32) for n in LARGE]
    grads = [np.ones(n, np.float32) for n in LARGE]
    grads[1][at] = np.inf
    opt = lrcore.AdamW(params)
    with pytest.raises(lrcore.NonFiniteError, match=r"\[1\]"):
        opt.step(grads)
    assert all((p == 1).all() for p in params)


def test_nothing_is_written_outside_the_arrays():
    room = np.full(3000, 7.0, np.float32)
    p = room[500:2501]
    make("c", p, rule=lrcore.LAMB).step(np.ones(2001, np.float32))
    assert (room[:500] == 7).all()
    assert (room[2501:] == 7).all()
    assert (p != 7).all()


@pytest.mark.parametrize("rule", [getattr(lrcore.optimizers, n) for n in lrcore.optimizers.__all__])
def test_a_rate_of_zero_changes_no_parameter(rule):
    p = np.random.default_rng(0).standard_normal(1000)
    before = p.copy()
    opt = rule(p, **_cases.named(rule, {"lr": 0.0}))
    opt.step(np.ones(1000), loss=1.0)
    assert_array_equal(p, before)


# ------------------------------------- formats: every code, and numbers that formats end at


def named(dtype):
    if dtype == "bfloat16" and not _verify.has_bfloat16():
        missing("ml_dtypes")
    return _cases.dtype_of(dtype)


def on_all(train):
    """What `train(backend)` returns, the same bits from the reference and on every ISA."""
    expected = train("numpy")
    for isa in lrcore.isas():
        lrcore.set_isa(isa)
        for a, b in zip(train("c"), expected, strict=True):
            assert _verify.same_bits(a, b).all(), isa
    return expected


def floats_of_all_kinds():
    """Runs of 128 float32 numbers, each of another size and with smaller ones in it."""
    rng = np.random.default_rng(0)
    largest = np.repeat(np.arange(256), 4)[:, None]
    exponents = np.maximum(largest - rng.geometric(0.2, (largest.size, 128)), 0)
    bits = exponents << 23 | rng.integers(0, 1 << 23, exponents.shape)
    # The largest of a run: anything, or close to where a block of 8 bits needs another scale.
    edges = np.array([0x770000, 0x77FF00, 0x7FFFFF, 0])[:, None] + np.arange(-2, 3)
    tops = (largest[:, 0] << 23) + rng.choice(edges.ravel(), largest.size)
    tops[::3] = (largest[::3, 0] << 23) + rng.integers(0, 1 << 23, tops[::3].size)
    bits[:, 5] = np.clip(tops, 0, 0x7FFFFFFF)
    bits[:, 9:11] = 0
    # Halfway and just below and above it, for 16 bits.
    for cut in (13, 16):
        column = bits[:, 20 + cut]
        column &= -1 << cut
        column += (1 << (cut - 1)) + rng.integers(-1, 2, column.size)
    bits[-1] = 0x7F800000 + rng.choice([0, 1, 0x7FFF, 0x8000, 0x400000, 0x7F8000, 0x7FFFFF], 128)
    bits |= rng.integers(0, 2, bits.shape) << 31
    return bits.astype(np.uint32).view(np.float32).ravel()


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_narrow_number_is_read_alike(dtype, real):
    codes = np.arange(1 << 16, dtype=np.uint16).view(named(dtype))
    backwards = codes[::-1].copy()[::-1]

    def train(backend):
        params = [np.zeros(codes.size, real), np.zeros(codes.size, real)]
        opt = lrcore.SGD(params, lr=1.0, nonfinite="ignore", backend=backend)
        opt.step([codes, backwards])
        return params

    for p in on_all(train):
        with np.errstate(invalid="ignore"):
            assert_array_equal(-p, codes.astype(real))


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_narrow_number_stays_what_it_is(dtype, rounding):
    codes = np.arange(1 << 16, dtype=np.uint16).view(named(dtype))

    def train(backend):
        p = codes.copy()
        lrcore.SGD(p, lr=1.0, rounding=rounding, backend=backend).step(np.zeros(p.size))
        return [p]

    assert _verify.same_bits(*on_all(train), codes).all()


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_floats_of_all_kinds_are_rounded_alike(dtype, rounding):
    x = floats_of_all_kinds()

    def train(backend):
        p = np.zeros(x.size, named(dtype))
        opt = lrcore.SGD(p, lr=0.0, master="float32", rounding=rounding, backend=backend)
        opt.state[""]["master"][...] = x
        opt.step(np.zeros(x.size, np.float32))
        return [p, opt.state[""]["master"]]

    p, master = on_all(train)
    assert _verify.same_bits(master, x).all()
    with np.errstate(all="ignore"):
        near, low, high = (a.astype(np.float32) for a in (p, *neighbours(x, named(dtype))))
    assert ((near == low) | (near == high) | np.isnan(x)).all()
    if rounding == "nearest":
        with np.errstate(all="ignore"):
            assert_array_equal(near, x.astype(named(dtype)).astype(np.float32))


def neighbours(x, dtype):
    """The narrow numbers on both sides of a float32, or it itself twice."""
    near = x.astype(dtype)
    codes, back = near.view(np.uint16), near.astype(np.float32)
    size = codes & 0x7FFF
    sign = codes & 0x8000
    low = np.where(np.abs(back) > np.abs(x), size - 1, size)
    high = np.where(np.abs(back) < np.abs(x), size + 1, size)
    return (low | sign).astype(np.uint16).view(dtype), (high | sign).astype(np.uint16).view(dtype)


def test_floats_are_split_and_joined_alike():
    x = floats_of_all_kinds()

    def train(backend):
        p = np.zeros(x.size, named("bfloat16"))
        opt = lrcore.SGD(p, lr=1.0, master="split", rounding="stochastic", backend=backend)
        low = opt.state[""]["low"]
        p.view(np.uint16)[...] = x.view(np.uint32) >> 16
        low[...] = x.view(np.uint32) & 0xFFFF
        opt.step(np.zeros(x.size, np.float32))
        joined = (p.view(np.uint16).astype(np.uint32) << 16 | low).view(np.float32)
        return [p, joined]

    assert _verify.same_bits(on_all(train)[1], x).all()


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_every_8_bit_code_under_every_scale_is_read_alike(real):
    codes = np.tile(np.arange(256, dtype=np.uint8), 256)
    scales = np.repeat(np.arange(256, dtype=np.uint8), 2)

    def train(backend):
        params = [np.zeros(codes.size, real) for _ in range(2)]
        opt = lrcore.Adam(params, lr=0.5, eps=1.0, state_dtype="int8", backend=backend)
        ms, vs = opt.state["0"], opt.state["1"]
        ms["m"][...], ms["m_scale"][...] = codes, scales
        vs["v"][...], vs["v_scale"][...] = codes, scales
        vs["m"][...], vs["m_scale"][...] = 0x55, 127
        opt.step([np.zeros(codes.size, real)] * 2)
        return [*params, *ms.values(), *vs.values()]

    signed, unsigned = on_all(train)[:2]
    assert len(np.unique(signed)) > 30_000
    assert len(np.unique(unsigned)) > 1000


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_floats_of_all_kinds_are_encoded_alike(real, rounding):
    """In 8 bits, with a sign (the first buffer is the gradient) and without (a sum of squares)."""
    x = floats_of_all_kinds()
    x[np.isnan(x)] = np.inf
    x = x.astype(real)
    x *= 1 + np.random.default_rng(1).random(x.size) * np.finfo(np.float32).eps / 2
    options = {"state_dtype": "int8", "rounding": rounding, "nonfinite": "ignore"}

    def train(backend):
        p, q = np.zeros(x.size, real), np.zeros(x.size, real)
        with_sign = lrcore.SGD(p, lr=0.1, momentum=0.9, backend=backend, **options)
        without = lrcore.Adagrad(q, lr=0.1, backend=backend, **options)
        with_sign.step(x)
        without.step(np.sqrt(np.abs(x)))
        slots = [opt.state[""] for opt in (with_sign, without)]
        return [a for own in slots for a in own.values()]

    buf, buf_scale, s, s_scale = on_all(train)
    for scale in (buf_scale, s_scale):
        assert len(np.unique(scale)) > 250
    assert len(np.unique(buf)) == len(np.unique(s)) == 256


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_doubles_are_rounded_by_way_of_float32(rounding):
    """Numbers next to the halves between two bfloat16, which float32 has rounded already."""
    with np.errstate(invalid="ignore"):
        x = floats_of_all_kinds().astype(np.float64)
        x *= 1 + np.random.default_rng(1).integers(-2, 3, x.size) * 2.0**-30
    options = {"state_dtype": named("bfloat16").name, "rounding": rounding}

    def train(backend):
        p = np.zeros(x.size)
        opt = lrcore.SGD(p, lr=0.1, momentum=0.9, nonfinite="ignore", backend=backend, **options)
        opt.step(x)
        return [opt.state[""]["buf"]]

    on_all(train)
