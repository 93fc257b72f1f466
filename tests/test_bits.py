"""Promise 1: C and reference agree in every bit of parameters and state."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrcore
from lrcore import _core, _verify

THREADS = (1, 2, 3)


@pytest.mark.parametrize("case", list(_verify.cases()), ids=str)
def test_every_isa_and_thread_count_gives_the_reference_bits(case):
    expected = _verify.reference(case)
    for isa in lrcore.isas():
        for threads in THREADS:
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
    opt = rule(p, lr=0.0)
    opt.step(np.ones(1000))
    assert_array_equal(p, before)
