"""Adafactor: a second moment that is kept as two factors."""

import numpy as np
import pytest

import lrcore
from lrcore import functional
from lrcore.options import AGC

RNG = np.random.default_rng(3)
SHAPES = [(70, 9000), (40, 33), (1, 8193), (500, 1), (6, 5, 3, 3), (2, 40, 7), (300,), (), (0, 3)]


def drawn(dtype="float32", shapes=SHAPES):
    return [np.asarray(RNG.standard_normal(s) * 10.0 ** RNG.integers(-3, 2)).astype(dtype)
            for s in shapes]  # fmt: skip


def both(params, run, **options):
    """What is left behind by both backends."""
    out = []
    for backend in ("c", "numpy"):
        own = [p.copy() for p in params]
        opt = lrcore.Adafactor(own, backend=backend, **options)
        run(opt)
        rows = [a for arrays in opt.state.values() for a in arrays.values()]
        out.append((own + rows, opt.estimates))
    return out


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_many_tiles_in_both_directions_are_those_of_the_reference(dtype, threads):
    grads = [drawn(dtype) for _ in range(3)]
    grads[1][1] = None
    before = lrcore.get_num_threads()
    lrcore.set_num_threads(threads)
    try:
        (a, x), (b, y) = both(
            drawn(dtype), lambda opt: [opt.step(g) for g in grads],
            clip_norm=3.0, agc=AGC(0.5), clip_value=0.3, weight_decay=0.1, cautious=True,
        )  # fmt: skip
    finally:
        lrcore.set_num_threads(before)
    assert x == y
    for p, q in zip(a, b, strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("eps", [(1e-3, 0.5), (0.7, 1e-3), (None, 0.0)])
def test_the_formula_on_a_batch_of_matrices(eps):
    p, grads = RNG.standard_normal((2, 5, 4)), RNG.standard_normal((3, 2, 5, 4))
    want, row, col = p.copy(), np.zeros((2, 5, 1)), np.zeros((2, 1, 4))
    opt = lrcore.Adafactor(p, 0.3, -0.7, eps, 1.1, 0.2)
    least = np.finfo(float).eps if eps[0] is None else eps[0]
    for t, g in enumerate(grads, 1):
        opt.step(g)
        w, scale = t**-0.7, max(eps[1], np.sqrt((want**2).mean()))
        row += w * ((g * g).mean(-1, keepdims=True) - row)
        col += w * ((g * g).mean(-2, keepdims=True) - col)
        v = row * col / np.maximum(row.mean(-2, keepdims=True), least)
        u = g / np.sqrt(np.maximum(v, least**2))
        rate = min(0.3, t**-0.5) * scale / max(1.0, np.sqrt((u * u).mean()) / 1.1)
        want = want * (1 - 0.3 * 0.2) - rate * u
    np.testing.assert_allclose(p, want, rtol=1e-12)
    np.testing.assert_allclose(opt.state[""]["row_var"], row, rtol=1e-12)
    np.testing.assert_allclose(opt.state[""]["col_var"], col, rtol=1e-12)


def test_the_state_of_a_matrix_is_as_small_as_torchs():
    params = drawn()
    opt = lrcore.Adafactor(params)
    for p, own in zip(params, opt.state.values(), strict=True):
        shapes = {"variance": p.shape}
        if p.ndim > 1 and p.size:
            shapes = {"row_var": (*p.shape[:-1], 1), "col_var": (*p.shape[:-2], 1, p.shape[-1])}
        assert {name: a.shape for name, a in own.items()} == shapes
    assert opt.nbytes < 0.03 * sum(p.nbytes for p in params)


def test_rows_and_columns_without_a_gradient_stay_where_eps_is_zero():
    p, g = np.ones((3, 4)), RNG.standard_normal((3, 4))
    g[1], g[:, 2] = 0, 0
    lrcore.Adafactor(p, eps=(0.0, 1e-3)).step(g)
    assert (p[1] == 1).all()
    assert (p[:, 2] == 1).all()
    assert (p[[0, 0, 2], [0, 1, 3]] != 1).all()


def test_squares_that_underflow_count_as_the_least_there_are():
    p, g = np.zeros((2, 3), np.float32), np.full((2, 3), 1e-25, np.float32)
    g[1] = 1
    (a, _), (b, _) = both([p], lambda opt: opt.step([g]), eps=(1e-6, 0.1))
    np.testing.assert_allclose(a[0][0], -0.01 * 0.1 * 1e-25 * 1e6, rtol=1e-5)
    np.testing.assert_array_equal(a[0], b[0])


def test_a_run_that_is_saved_goes_on_as_if_it_were_not():
    start, grads = drawn(), [drawn() for _ in range(4)]
    a, b = ([p.copy() for p in start] for _ in range(2))
    opt = lrcore.Adafactor(a)
    for g in grads[:2]:
        opt.step(g)
    for p, q in zip(b, a, strict=True):
        p[...] = q
    other = lrcore.Adafactor(b)
    other.load_state_dict(opt.state_dict())
    for g in grads[2:]:
        opt.step(g)
        other.step(g)
    for p, q in zip(a, b, strict=True):
        np.testing.assert_array_equal(p, q)
    for own, theirs in zip(opt.state.values(), other.state.values(), strict=True):
        for name, array in own.items():
            np.testing.assert_array_equal(array, theirs[name])


@pytest.mark.parametrize("shape", [(40, 33), (3, 4, 5), (17,)])
def test_functional_makes_the_same_steps(shape):
    p = RNG.standard_normal(shape)
    q, opt = p.copy(), lrcore.Adafactor(p, lr=0.1)
    state = functional.init("adafactor", q)
    for t in (1, 2, 3):
        g = RNG.standard_normal(shape)
        opt.step(g)
        functional.adafactor(q, g, state, t=t, lr=0.1)
    np.testing.assert_array_equal(p, q)


def test_what_cannot_be_is_refused_by_name():
    f = np.asfortranarray(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"params\[.w.\] must be in C order"):
        lrcore.Adafactor({"w": f})
    with pytest.raises(ValueError, match=r"cannot hold the state 'row_var' of adafactor"):
        lrcore.Adafactor(np.ones((3, 2)), state_dtype="int8")
    with pytest.raises(ValueError, match=r"eps\[1\] must be a number in \[0, inf\), got None"):
        lrcore.Adafactor(np.ones((3, 2)), eps=(None, None))
    with pytest.raises(ValueError, match=r"d must be in \[1, inf\), got 0.5"):
        lrcore.Adafactor(np.ones((3, 2)), d=0.5)
    opt = lrcore.Adafactor(np.ones((3, 2)))
    with pytest.raises(TypeError, match="Adafactor has no row-sparse form"):
        opt.step(lrcore.RowGrad(np.array([1]), np.ones((1, 2)), (3, 2)))
    with pytest.raises(ValueError, match=r"row_var.* must be a float64 array of shape \(3, 1\)"):
        opt.load_state_dict(lrcore.Adafactor(np.ones((2, 3))).state_dict())
