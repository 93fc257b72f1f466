"""Gradients of some rows: the bits of the reference, the laws they keep, and what refuses them."""

import doctest

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import BACKENDS, ROOT, message_of

import lrcore
from lrcore import RowGrad, _core, _verify, functional
from lrcore._cases import rules
from lrcore._hyper import RULES
from lrcore.reference.rows import named

TAKERS = [rule for rule in rules() if "rows" in RULES[rule.rule].notes]
BY_RULE = pytest.mark.parametrize("rule", TAKERS, ids=lambda rule: rule.rule)


@pytest.fixture
def threads():
    """Three threads, however small a step is."""
    before = _core.get_num_threads(), _core.get_parallel_from()
    _core.set_num_threads(3)
    _core.set_parallel_from(0)
    yield
    _core.set_num_threads(before[0])
    _core.set_parallel_from(before[1])


def test_rules_for_tables_take_them():
    assert {rule.__name__ for rule in TAKERS} >= {"SGD", "Adagrad", "RowwiseAdagrad", "Adam"}


# -------------------------------------------------------------------------------- all bits


@pytest.mark.parametrize("seed", range(100))
def test_drawn_combinations_have_the_bits_of_the_reference(seed):
    case = _verify.drawn_rows(seed)
    expected = _verify.reference(case)
    for isa in lrcore.isas():
        for count in (1, 2, 3):
            assert not _verify.compare(case, expected, isa, count), case


def test_what_has_been_drawn():
    cases = [_verify.drawn_rows(seed) for seed in range(100)]
    groups = [group for case in cases for group in case.groups]
    floats = {"float32", "float64", "float16", *["bfloat16"] * _verify.has_bfloat16()}
    assert {case.rule for case in cases} == set(TAKERS)
    assert floats <= {group.dtype for group in groups}
    assert floats <= {group.gradients for group in groups}
    assert {"row", "wide", "tall"} == {group.form for group in groups}
    for name in ("clip_norm", "loss_scale", "decay_mask", "lr_scale"):
        assert any(name in case.options for case in cases), name
    for name in ("maximize", "clip_value", "clip_norm", "cautious", "grams", "weight_decay"):
        assert any(name in group.options for group in groups), name
    assert any(case.poisoned >= 0 for case in cases)


#: Around lanes, blocks and chunks, which rows may end in.
SHAPES = [
    (50,),
    (40, 1),
    (60, 3, 5),
    (300, 31),
    (100, 64),
    (40, 300),
    (30, 1024),
    (12, 1025),
    (5, 9000),
    (6, 0),
    (0, 4),
]


def run(rule, shape, grads, dtype="float32", **options):
    """A table and a bias after some steps, with all that is kept beside them."""
    rng = np.random.default_rng(9)
    table, bias = rng.standard_normal(shape).astype(dtype), np.ones(7)
    opt = rule({"table": table, "bias": bias}, lr=0.1, **options)
    for g in grads:
        opt.step({"table": g, "bias": rng.standard_normal(7)})
    kept = [a for arrays in opt.state.values() for a in arrays.values()]
    return [table, bias, *kept, np.array(opt.grad_norm)]


def some_rows(rng, shape, count, dtype="float32"):
    count = count if shape[0] else 0
    values = rng.standard_normal((count, *shape[1:])).astype(dtype)
    return RowGrad(rng.integers(0, max(shape[0], 1), count), values, shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@BY_RULE
def test_rows_of_any_length(rule, shape, threads):
    rng = np.random.default_rng(1)
    grads = [some_rows(rng, shape, count) for count in (1, 0, 7, 3 * shape[0])]
    grads.insert(2, rng.standard_normal(shape).astype(np.float16))
    for options in ({}, {"weight_decay": 0.1, "clip_norm": 1.0, "cautious": True}):
        expected = run(rule, shape, grads, backend="numpy", **options)
        for isa in lrcore.isas():
            lrcore.set_isa(isa)
            for a, b in zip(run(rule, shape, grads, **options), expected, strict=True):
                assert _verify.same_bits(a, b).all()


# ------------------------------------------------------------------------------------ laws


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(700, 31), (9000,), (90, 300), (129, 64)], ids=str)
@BY_RULE
def test_all_rows_named_is_a_dense_step(rule, shape, dtype, threads):
    rng = np.random.default_rng(2)
    dense = [rng.standard_normal(shape).astype(dtype) for _ in range(3)]
    order = rng.permutation(shape[0])
    everything = np.arange(shape[0])
    options = {"weight_decay": 0.1, "clip_norm": 1.0, "clip_value": 0.3, "maximize": True}
    expected = run(rule, shape, dense, dtype, **options)
    for rows in (everything, order):
        named_all = [RowGrad(rows, g[rows], shape) for g in dense]
        for a, b in zip(run(rule, shape, named_all, dtype, **options), expected, strict=True):
            assert_array_equal(a, b)


@BACKENDS
@BY_RULE
def test_rows_that_are_not_named_stay_as_they_are(rule, backend):
    rng = np.random.default_rng(3)
    table = rng.standard_normal((500, 20))
    opt = rule(table, lr=0.1, weight_decay=0.1, backend=backend)
    opt.step(rng.standard_normal(table.shape))
    before = [a.copy() for a in (table, *opt.state[""].values())]
    grad = some_rows(rng, table.shape, 40, "float64")
    opt.step(grad)
    others = np.setdiff1d(np.arange(500), grad.indices)
    for a, b in zip((table, *opt.state[""].values()), before, strict=True):
        assert_array_equal(a[others], b[others])
        assert (a[grad.indices] != b[grad.indices]).any()


@BY_RULE
def test_a_table_of_the_named_rows_alone_gets_the_same_step(rule):
    rng = np.random.default_rng(4)
    table = rng.standard_normal((50, 8))
    rows = np.array([3, 11, 40])
    small = table[rows].copy()
    a, b = (rule(x, lr=0.1, clip_norm=0.5) for x in (table, small))
    for _ in range(3):
        g = rng.standard_normal((3, 8))
        a.step(RowGrad(rows[::-1], g[::-1], table.shape))
        b.step(g)
    assert_array_equal(table[rows], small)
    for big, own in zip(a.state[""].values(), b.state[""].values(), strict=True):
        assert_array_equal(big[rows], own)
    assert a.grad_norm == b.grad_norm


@BACKENDS
def test_what_a_row_gets_is_added_in_the_order_of_appearance(backend):
    table = np.zeros((2, 1), np.float32)
    parts = np.array([1e8, 1.0, -1e8, 1.0], np.float32)[:, None]
    opt = lrcore.SGD(table, lr=1.0, backend=backend)
    opt.step(RowGrad([1, 1, 1, 1], parts, (2, 1)))
    assert_array_equal(table, [[0], [-1]])
    opt.step(RowGrad([1, 1, 0, 1, 1], np.insert(parts[[0, 2, 1, 3]], 2, 5, axis=0), (2, 1)))
    assert_array_equal(table, [[-5], [-3]])


def test_sums_of_narrow_values_are_in_the_arithmetic():
    table = np.zeros((3, 2), np.float32)
    values = np.array([[2048, 1], [1, 1], [1, 1]], np.float16)
    lrcore.SGD(table, lr=1.0).step(RowGrad([2, 2, 2], values, (3, 2)))
    assert_array_equal(table[2], [-2050, -3])


def test_the_reference_sums_as_a_loop_does():
    rng = np.random.default_rng(5)
    indices, values = rng.integers(0, 6, 30), rng.standard_normal((30, 2)).astype(np.float32)
    rows, total = named(np.zeros((6, 2), np.float32), indices, values)
    assert_array_equal(rows, np.unique(indices))
    for row, got in zip(rows, total, strict=True):
        want = np.zeros(2, np.float32)
        for value in values[indices == row]:
            want = want + value
        assert_array_equal(got, want)


@pytest.mark.parametrize("height", [1, 2, 2047, 2048, 2049, 2**22 - 1, 2**22, 2**22 + 1])
def test_indices_of_any_size_are_sorted(height):
    rng = np.random.default_rng(height)
    for count in (1, 2, 3, 1000):
        indices = rng.integers(max(0, height - 5000), height, count)
        indices[-1] = height - 1
        table, expected = np.zeros(height), np.zeros(height)
        values = rng.integers(1, 9, count).astype(float)
        lrcore.SGD(table, lr=1.0).step(RowGrad(indices, values, (height,)))
        np.subtract.at(expected, indices, values)
        assert_array_equal(table, expected)


@BACKENDS
def test_no_row_is_an_update_all_the_same(backend):
    table, other = np.ones((4, 2)), np.ones(2)
    opt = lrcore.Adam([table, other], lr=0.1, weight_decay=1.0, clip_norm=1.0, backend=backend)
    opt.step([RowGrad([], np.zeros((0, 2)), (4, 2)), None])
    assert (opt.t, opt.grad_norm) == (1, 0.0)
    assert_array_equal(table, np.ones((4, 2)))
    ages = [e["t"] for e in opt.state_dict()["param_groups"][0]["params"].values()]
    assert ages == [1, 0]


@BACKENDS
@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_a_step_that_is_refused_changes_nothing(nonfinite, backend):
    table, bias = np.ones((4, 2)), np.ones(3)
    opt = lrcore.Adagrad({"emb": table, "b": bias}, lr=0.1, nonfinite=nonfinite, backend=backend)
    grads = {"emb": RowGrad([2, 2], np.array([[1e308, 1], [1e308, 1]]), (4, 2)), "b": np.ones(3)}
    if nonfinite == "raise":
        with pytest.raises(lrcore.NonFiniteError, match=r'grads\["emb"\]: must be finite'):
            opt.step(grads)
    else:
        assert opt.step(grads) is False
    assert (table == 1).all()
    assert (bias == 1).all()
    assert opt.t == 0


def test_dense_and_row_steps_may_take_turns(threads):
    """The cut of one step must not be left to the next."""
    rng = np.random.default_rng(6)
    params = [rng.standard_normal((3000, 10)), rng.standard_normal(20000)]
    twins = [p.copy() for p in params]
    a, b = (lrcore.Adam(x, lr=0.1, clip_norm=1.0, backend=k) for x, k in
            ((params, "c"), (twins, "numpy")))  # fmt: skip
    for k in range(8):
        first = some_rows(rng, (3000, 10), 50) if k % 3 else rng.standard_normal((3000, 10))
        grads = [first, None if k % 4 == 1 else rng.standard_normal(20000)]
        a.step(grads)
        b.step(grads)
        assert a.grad_norm == b.grad_norm
    for p, q in zip(params, twins, strict=True):
        assert_array_equal(p, q)


def test_a_resumed_run_goes_on(tmp_path):
    rng = np.random.default_rng(7)
    table = rng.standard_normal((30, 4)).astype(np.float32)
    opt = lrcore.RowwiseAdagrad(table, lr=0.1, initial_accumulator_value=0.5)
    grads = [some_rows(rng, table.shape, 9) for _ in range(4)]
    for g in grads[:2]:
        opt.step(g)
    copy = table.copy()
    other = lrcore.RowwiseAdagrad(copy, lr=0.3)
    other.load_state_dict(opt.state_dict())
    assert other.state[""]["s"].shape == (30,)
    for g in grads[2:]:
        opt.step(g)
        other.step(g)
    assert_array_equal(copy, table)
    assert_array_equal(other.state[""]["s"], opt.state[""]["s"])


@BY_RULE
def test_functional_takes_them(rule):
    rng = np.random.default_rng(8)
    table = rng.standard_normal((20, 3))
    twin, g = table.copy(), some_rows(rng, (20, 3), 6, "float64")
    state = functional.init(rule.rule, table)
    rate = RULES[rule.rule].hypers[0]
    getattr(functional, rule.rule)(table, g, state, t=1, **{rate: 0.1})
    rule(twin, lr=0.1).step(g)
    assert_array_equal(table, twin)


def test_values_that_are_part_of_the_table_are_read_first():
    table = np.arange(12000.0).reshape(4000, 3)
    expected = table.copy()
    expected[1000:] -= expected[:3000]
    rows = np.arange(1000, 4000)
    lrcore.SGD(table, lr=1.0).step(RowGrad(rows, table[:3000], table.shape))
    assert_array_equal(table, expected)


@pytest.mark.parametrize("how", ["strided", "reversed", "misaligned", "big endian", "F"])
def test_values_may_lie_anyhow(how):
    values = np.arange(12.0).reshape(4, 3)
    given = {
        "strided": np.repeat(values, 2, axis=1)[:, ::2],
        "reversed": values[::-1].copy()[::-1],
        "misaligned": np.frombuffer(b"x" + values.tobytes(), np.uint8)[1:].view(float),
        "big endian": values.astype(">f8"),
        "F": np.asfortranarray(values),
    }[how].reshape(4, 3)
    table = np.zeros((5, 3))
    lrcore.SGD(table, lr=1.0).step(RowGrad(np.array([4, 0, 1, 4], np.int8), given, (5, 3)))
    assert_array_equal(table, -RowGrad([4, 0, 1, 4], values, (5, 3)).toarray())


# -------------------------------------------------------------------- row-wise Adagrad


@pytest.mark.parametrize("shape", [(40, 6), (9, 3, 5), (30,), (2, 1500)], ids=str)
def test_row_wise_adagrad_by_its_formula(shape):
    rng = np.random.default_rng(10)
    p = rng.standard_normal(shape)
    q, s = p.copy(), np.full(shape[0], 0.5)
    opt = lrcore.RowwiseAdagrad(p, 0.1, 0.2, 0.3, 0.5, 1e-3)
    for t in range(5):
        g = rng.standard_normal(shape)
        opt.step(g)
        g = g + 0.3 * q
        s += (g**2).reshape(shape[0], -1).mean(axis=1)
        q -= 0.1 / (1 + t * 0.2) * g / (np.sqrt(s) + 1e-3).reshape(-1, *[1] * (p.ndim - 1))
    np.testing.assert_allclose(p, q, rtol=1e-12)
    np.testing.assert_allclose(opt.state[""]["s"], s, rtol=1e-13)


def test_row_wise_adagrad_keeps_a_number_a_row():
    table, vector = np.zeros((1000, 64), np.float32), np.zeros(10)
    opt = lrcore.RowwiseAdagrad([table, vector])
    assert opt.nbytes == 1000 * 4 + 10 * 8
    assert [a.shape for a in functional.init("rowwiseadagrad", table)] == [(1000,)]
    with pytest.raises(ValueError, match=r"state s must be a float32 array of shape \(1000,\)"):
        functional.rowwiseadagrad(table, table.copy(), (table.copy(),), t=1)


def test_row_wise_adagrad_refuses_in_sentences():
    with pytest.raises(ValueError, match=r'RowwiseAdagrad: params\["e"\] must be in C order'):
        lrcore.RowwiseAdagrad({"e": np.zeros((3, 4), order="F")})
    with pytest.raises(ValueError, match="rowwiseadagrad: params must be in C order"):
        functional.init("rowwiseadagrad", np.zeros((3, 4), order="F"))
    for dtype in ("float32", "int8"):
        with pytest.raises(ValueError, match="which is one number a row; it must be None"):
            lrcore.RowwiseAdagrad(np.zeros((3, 4)), state_dtype=dtype)


# -------------------------------------------------------------------------------- errors


def refused(opt, grads, error, text):
    before = [p.copy() for p in opt._plan.params]
    with pytest.raises(error) as caught:
        opt.step(grads)
    assert message_of(caught) == text
    for p, q in zip(opt._plan.params, before, strict=True):
        assert_array_equal(p, q)
    assert opt.t == 0


@BACKENDS
def test_an_index_out_of_range_is_named(backend):
    table = np.zeros((50, 2))
    opt = lrcore.SGD({"emb": table, "b": np.zeros(2)}, backend=backend)
    for bad in (50, -1, 2**62):
        g = RowGrad([1, 49, 0, bad], np.ones((4, 2)), (50, 2))
        text = f'grads["emb"]: indices[3] must be in [0, 50), got {bad}'
        refused(opt, {"emb": g, "b": np.ones(2)}, IndexError, text)


@BACKENDS
def test_a_shape_must_be_the_parameters(backend):
    opt = lrcore.SGD({"emb": np.zeros((50, 2)), "b": np.zeros(2)}, backend=backend)
    g = RowGrad([1], np.ones((1, 3)), (50, 3))
    text = 'grads["emb"]: shape must be (50, 2), got (50, 3)'
    refused(opt, {"emb": g, "b": None}, ValueError, text)
    scalar = lrcore.SGD(np.zeros(()), backend=backend)
    refused(scalar, RowGrad([0], np.ones(1), (1,)), ValueError, "grads: shape must be (), got (1,)")


REFUSING = [
    ({"ema": 0.9}, "ema, swa and lookahead average whole parameters"),
    ({"swa": True}, "ema, swa and lookahead average whole parameters"),
    ({"lookahead": True}, "ema, swa and lookahead average whole parameters"),
    ({"zero_grads": True}, "zero_grads sets it to zero"),
    ({"stats": True}, "stats measures whole parameters"),
    ({"agc": 0.1}, "agc looks at whole parameters"),
    ({"state_dtype": "int8"}, 'state_dtype "int8" keeps states in blocks, not in rows'),
]


@BACKENDS
@pytest.mark.parametrize(("options", "why"), REFUSING, ids=str)
def test_options_that_are_about_whole_parameters_refuse(options, why, backend):
    opt = lrcore.Adagrad({"emb": np.ones((5, 2))}, backend=backend, **options)
    text = f'Adagrad: grads["emb"]: must be a dense array, since {why}'
    refused(opt, {"emb": RowGrad([1], np.ones((1, 2)), (5, 2))}, TypeError, text)


@BACKENDS
def test_accumulation_refuses(backend):
    opt = lrcore.SGD([np.ones((5, 2)), np.ones(2)], backend=backend)
    g = RowGrad([1], np.ones((1, 2)), (5, 2))
    text = r"SGD: grads\[0\]: must be a dense array, since accumulate adds up whole gradients"
    with pytest.raises(TypeError, match=text):
        opt.accumulate([g, np.ones(2)])
    assert opt.nbytes == 0
    opt.accumulate([None, np.ones(2)])
    with pytest.raises(TypeError, match=text):
        opt.accumulate([g, np.ones(2)])
    opt.step()
    assert opt.step([g, None])


@BACKENDS
def test_fortran_order_refuses(backend):
    opt = lrcore.SGD(np.ones((5, 2), order="F"), backend=backend)
    text = (
        "SGD: grads: must be a dense array, since the rows of a parameter in Fortran's order do not "
        "lie in one piece"
    )
    refused(opt, RowGrad([1], np.ones((1, 2)), (5, 2)), TypeError, text)


OTHERS = [rule for rule in rules() if rule not in TAKERS]


@pytest.mark.parametrize("rule", OTHERS, ids=lambda rule: rule.rule)
def test_a_rule_without_such_a_form_says_who_has_one(rule):
    have = ", ".join(sorted(taker.__name__ for taker in TAKERS))
    name = rule.__name__
    opt = rule({"emb": np.ones((5, 2))})
    with pytest.raises(TypeError) as caught:
        opt.step({"emb": RowGrad([1], np.ones((1, 2)), (5, 2))}, loss=1.0)
    assert message_of(caught) == (
        f'{name}: grads["emb"]: must be a dense array, since {name} has no row-sparse form; '
        f"{have} have"
    )


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (([0.5], np.ones((1, 2)), (5, 2)), TypeError, "indices must be integers, got dtype float64"),
        (([True], np.ones((1, 2)), (5, 2)), TypeError, "indices must be integers, got dtype bool"),
        (([[1]], np.ones((1, 2)), (5, 2)), ValueError, "indices must have one axis, got shape (1, 1)"),
        ((np.array([2**63], np.uint64), np.ones((1, 2)), (5, 2)), ValueError,
         "indices must be below 2**63, got 9223372036854775808"),
        (([1], [[1.0, 2.0]], (5, 2)), TypeError, "values must be a NumPy array, got list"),
        (([1], np.ones((1, 2), int), (5, 2)), TypeError,
         "values must be of dtype float32, float64, float16 or bfloat16, got int64"),
        (([1], np.ma.ones((1, 2)), (5, 2)), TypeError,
         "values must have no mask; fill the array first"),
        (([1, 2], np.ones((1, 2)), (5, 2)), ValueError,
         "values must have the shape (len(indices), *shape[1:]) = (2, 2), got (1, 2)"),
        (([1], np.ones(1), ()), ValueError, "shape must have at least one axis, got ()"),
        (([1], np.ones(1), 5), TypeError, "shape must be a tuple of integers >= 0, got 5"),
        (([1], np.ones(1), (-5,)), TypeError, "shape must be a tuple of integers >= 0, got (-5,)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_row_grad_that_does_not_fit_together(given, error, text):
    with pytest.raises(error) as caught:
        RowGrad(*given)
    assert message_of(caught) == f"RowGrad: {text}"


def test_arrays_that_were_changed_afterwards_are_seen():
    g = RowGrad(np.array([1, 2]), np.ones((2, 2)), (5, 2))
    g.values.shape = (4, 1)
    text = (
        "grads: indices and values must stay of the shapes and dtypes that their RowGrad was made"
    )
    with pytest.raises(ValueError, match=text):
        lrcore.SGD(np.ones((5, 2))).step(g)


def test_what_a_row_grad_shows():
    g = RowGrad(np.array([1, 2, 1], np.uint8), np.ones((3, 2), np.float16), (5, 2))
    assert repr(g) == "<RowGrad of 3 rows in (5, 2), float16>"
    assert repr(RowGrad([0], np.ones(1), (5,))) == "<RowGrad of 1 row in (5,), float64>"
    assert (g.shape, g.indices.dtype, g.values.shape) == ((5, 2), np.int64, (3, 2))
    assert_array_equal(g.toarray(), [[0, 0], [2, 2], [1, 1], [0, 0], [0, 0]])


def test_the_examples_of_the_page():
    result = doctest.testfile(str(ROOT / "docs" / "sparse.md"), module_relative=False)
    assert result.attempted > 5
    assert result.failed == 0
