"""Rules that know matrices: products around the kernels, and AdamW for what is no matrix."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrcore
from lrcore import functional, schedules
from lrcore._matrices import _forms, muon

RULES = [lrcore.Muon, lrcore.Shampoo, lrcore.SOAP]
AS_ADAMW = {
    lrcore.Muon: {"betas": (0.9, 0.95), "eps": 1e-10, "weight_decay": 0.0},
    lrcore.Shampoo: {"weight_decay": 0.0},
    lrcore.SOAP: {"betas": (0.95, 0.95)},
}
FREQUENCY = {lrcore.Muon: {}, lrcore.Shampoo: {"update_freq": 2},
             lrcore.SOAP: {"precondition_frequency": 2}}  # fmt: skip
SHAPES = {"w": (6, 9), "tall": (12, 5), "filters": (4, 3, 2, 2), "b": (7,), "one": (1, 1)}


def draw(seed, dtype="float64", order="C", shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return {k: np.array(rng.standard_normal(s), dtype, order=order) for k, s in shapes.items()}


def stepped(opt, steps=range(5), dtype="float64", **how):
    for k in steps:
        opt.step(draw(k + 1, dtype, **how))
    return opt


def arrays(opt):
    return {(k, n): a.copy() for k, own in opt.state.items() for n, a in own.items() if n != "work"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_no_matrix_has_the_bits_of_adamw(rule, dtype):
    ours, theirs = (np.linspace(-1, 1, 5000, dtype=dtype) for _ in range(2))
    a, b = rule(ours, lr=0.01), lrcore.AdamW(theirs, lr=0.01, **AS_ADAMW[rule])
    for k in range(4):
        g = np.random.default_rng(k).standard_normal(5000).astype(dtype)
        a.step(g)
        b.step(g)
    assert_array_equal(ours, theirs)
    assert set(a.state[""]) == {"m", "v"}


@pytest.mark.parametrize("rule", RULES)
def test_a_group_may_leave_its_matrices_to_adamw(rule):
    ours, theirs = draw(0), draw(0)
    a = rule([{"params": ours, "adamw": True}], lr=0.01)
    b = lrcore.AdamW([{"params": theirs}], lr=0.01, **AS_ADAMW[rule])
    for k in range(3):
        a.step([draw(k + 1)])
        b.step([draw(k + 1)])
    for name, p in ours.items():
        assert_array_equal(p, theirs[name])
    assert all(set(own) == {"m", "v"} for own in a.state.values())
    a.param_groups[0]["adamw"] = False
    assert "work" in a.state["0.w"]
    assert "work" not in a.state["0.b"]
    a.step([draw(9)])
    assert np.isfinite(ours["w"]).all()


def test_the_rate_of_what_is_no_matrix_is_that_of_matrices_unless_given():
    for more, lr, decay in [
        ({}, 0.25, 0.0),
        ({"adamw_lr": 0.5, "adamw_weight_decay": 0.1}, 0.5, 0.1),
    ]:
        b, same = np.ones(5), np.ones(5)
        opt = lrcore.Muon({"b": b}, lr=0.25, lr_scale={"b": 0.5}, **more)
        other = lrcore.AdamW({"b": same}, lr=lr, lr_scale={"b": 0.5},
                             **{**AS_ADAMW[lrcore.Muon], "weight_decay": decay})  # fmt: skip
        for o in (opt, other):
            o.step({"b": np.arange(5.0)})
        assert_array_equal(b, same)


OPTIONS = {
    "plain": {},
    "clipped": {"clip_norm": 0.5, "clip_value": 0.1, "maximize": True},
    "chosen": {"cautious": True, "lr": schedules.Cosine(0.1, steps=4, warmup=2)},
    "averaged": {"grams": True, "ema": 0.9, "lookahead": 2, "stats": True, "agc": 0.1},
    "narrow": {"state_dtype": "bfloat16", "rounding": "stochastic", "decay_mask": "w"},
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("rule", RULES)
def test_both_backends_agree_in_every_bit(rule, options, dtype, order):
    found = []
    for backend in ("c", "numpy"):
        params = draw(0, dtype, order)
        given = {**FREQUENCY[rule], **OPTIONS[options]}
        if dtype == "float16":
            given["master"] = "float32"
        opt = rule(params, weight_decay=0.1, backend=backend, **given)
        for k in range(5):
            grads = draw(k + 1, dtype, order)
            if k == 3:
                grads["w"] = None
            opt.step(grads)
        found.append({**params, **arrays(opt)})
    for name, a in found[0].items():
        assert_array_equal(a, found[1][name], err_msg=str(name))


@pytest.mark.parametrize("rule", RULES)
def test_filters_are_a_matrix_with_a_row_for_each_whatever_their_order_in_memory(rule):
    shapes = {"w": (4, 3, 2, 2)}
    c, f, flat = draw(0, shapes=shapes), draw(0, order="F", shapes=shapes), draw(0, shapes=shapes)
    flat["w"] = flat["w"].reshape(4, 12)
    opts = [rule(p, lr=0.1, **FREQUENCY[rule]) for p in (c, f, flat)]
    for k in range(5):
        g = draw(k + 1, shapes=shapes)["w"]
        for opt, x in zip(opts, (g, g, g.reshape(4, 12)), strict=True):
            opt.step({"w": x})
    assert_allclose(f["w"], c["w"], rtol=1e-9)
    assert_array_equal(flat["w"].reshape(4, 3, 2, 2), c["w"])
    for name in set(opts[0].state["w"]) - {"work", "buf", "m", "v"}:
        assert_allclose(opts[1].state["w"][name], opts[0].state["w"][name], rtol=1e-7, atol=1e-12)


# ------------------------------------------------------------------------- what is kept


def test_state_has_square_matrices_for_rows_and_columns():
    params = draw(0)
    state = lrcore.Shampoo(params, momentum=0.9).state
    assert {k: a.shape for k, a in state["tall"].items()} == {
        "buf": (12, 5), "left": (12, 12), "right": (5, 5), "left_root": (12, 12),
        "right_root": (5, 5), "work": (12, 5)}  # fmt: skip
    assert state["filters"]["right"].shape == (12, 12)
    assert set(state["b"]) == {"m", "v"}
    assert set(lrcore.Muon(params).state["w"]) == {"buf", "work"}
    opt = lrcore.SOAP({"w": params["w"]})
    assert opt.nbytes == 8 * (3 * 54 + 2 * (36 + 81))


@pytest.mark.parametrize("rule", [lrcore.Shampoo, lrcore.SOAP])
def test_a_side_that_is_too_long_is_left_alone(rule):
    params = draw(0)
    opt = rule(params, max_precond_dim=8, lr=0.1)
    assert "left" in opt.state["w"]
    assert "right" not in opt.state["w"]
    assert "right" in opt.state["tall"]
    assert "left" not in opt.state["tall"]
    stepped(opt)
    assert set(rule(params, max_precond_dim=4).state["w"]) == {"m", "v"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy"])
def test_a_run_that_is_interrupted_goes_on_bit_for_bit(rule, way):
    whole, part = draw(0), draw(0)
    a = stepped(rule(whole, lr=0.1, **FREQUENCY[rule]), range(7))
    b = stepped(rule(part, lr=0.1, **FREQUENCY[rule]), range(4))
    if way == "state_dict":
        saved = pickle.loads(pickle.dumps(b.state_dict()))
        assert "work" not in saved["param_groups"][0]["params"]["w"]
        part = {k: p.copy() for k, p in part.items()}
        b = rule(part)
        b.load_state_dict(saved)
    else:
        b = pickle.loads(pickle.dumps(b)) if way == "pickle" else copy.deepcopy(b)
        part = b.param_groups[0]["params"]
    stepped(b, range(4, 7))
    for name, p in whole.items():
        assert_array_equal(part[name], p)
    assert arrays(a).keys() == arrays(b).keys()
    for name, array in arrays(a).items():
        assert_array_equal(arrays(b)[name], array, err_msg=str(name))


def test_a_state_that_does_not_fit_is_refused_by_name():
    a = lrcore.Shampoo(draw(0))
    saved = a.state_dict()
    saved["param_groups"][0]["max_precond_dim"] = 8
    with pytest.raises(ValueError, match=r"\['w'\] must be a dict with the keys"):
        a.load_state_dict(saved)
    saved = a.state_dict()
    saved["param_groups"][0]["params"]["w"]["left"] = np.eye(5)
    with pytest.raises(ValueError, match=r"\['left'\] must be a float64 array of shape \(6, 6\)"):
        a.load_state_dict(saved)


def test_a_state_of_another_precision_is_converted():
    a, b = stepped(lrcore.SOAP(draw(0))), lrcore.SOAP(draw(0, "float32"))
    b.load_state_dict(a.state_dict(), convert=True)
    assert_allclose(b.state["w"]["left"], a.state["w"]["left"], rtol=1e-6)


# --------------------------------------------------------------------- all or nothing


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize("rule", [lrcore.Shampoo, lrcore.SOAP])
def test_a_product_that_fails_has_changed_nothing(rule, backend, monkeypatch):
    params = draw(0)
    opt = stepped(rule(params, backend=backend, momentum=0.9) if rule is lrcore.Shampoo
                  else rule(params, backend=backend, precondition_frequency=1))  # fmt: skip
    before, state, t = copy.deepcopy(params), arrays(opt), opt.t
    calls = []

    def fail(a):
        calls.append(a)
        if len(calls) > 3:
            raise np.linalg.LinAlgError("Eigenvalues did not converge")
        return real(a)

    name = "eigh" if rule is lrcore.Shampoo else "qr"
    real = getattr(np.linalg, name)
    monkeypatch.setattr(np.linalg, name, fail)
    with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
        opt.step(draw(9))
    assert len(calls) == 4
    monkeypatch.undo()
    assert opt.t == t
    for name, p in params.items():
        assert_array_equal(p, before[name])
    for name, array in arrays(opt).items():
        assert_array_equal(array, state[name], err_msg=str(name))
    assert opt.step(draw(9))
    assert (params["w"] != before["w"]).all()


def test_what_was_accumulated_outlives_a_product_that_fails(monkeypatch):
    params, same = draw(0), draw(0)
    opts = [lrcore.Shampoo(p, lr=0.1) for p in (params, same)]
    for opt in opts:
        for k in range(2):
            opt.accumulate(draw(k + 1))
    monkeypatch.setattr(np.linalg, "eigh", lambda a: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        opts[0].step()
    monkeypatch.undo()
    for opt in opts:
        opt.step()
    assert_array_equal(params["w"], same["w"])


def test_an_interrupted_product_leaves_the_parameters(monkeypatch):
    def interrupt(x):
        raise KeyboardInterrupt

    params = draw(0)
    opt = stepped(lrcore.Muon(params))
    before = copy.deepcopy(params)
    monkeypatch.setattr(muon, "leave", interrupt)
    with pytest.raises(KeyboardInterrupt):
        opt.step(draw(9))
    assert_array_equal(params["w"], before["w"])
    assert_array_equal(params["b"], before["b"])
    assert opt.t == 5


@pytest.mark.parametrize("rule", RULES)
def test_gradients_that_are_not_finite_are_refused(rule):
    params = draw(0)
    opt = stepped(rule(params))
    before, state = copy.deepcopy(params), arrays(opt)
    bad = draw(9)
    bad["filters"][0, 0, 0, 0] = np.nan
    with pytest.raises(lrcore.NonFiniteError, match="filters"):
        opt.step(bad)
    assert_array_equal(params["w"], before["w"])
    for name, array in arrays(opt).items():
        assert_array_equal(array, state[name])


@pytest.mark.parametrize("rule", RULES)
def test_a_gradient_of_zeros_moves_nothing(rule):
    params = {"w": draw(0)["w"]}
    before = params["w"].copy()
    opt = rule(params, weight_decay=0.0)
    for _ in range(3):
        opt.step({"w": np.zeros((6, 9))})
    assert_array_equal(params["w"], before)


# ---------------------------------------------------------------------------- meaning


def plain(x, steps, abc=(3.4445, -4.775, 2.0315)):
    a, b, c = abc
    x = x.astype("float64") / np.linalg.norm(x)
    for _ in range(steps):
        g = x @ x.T
        x = a * x + (b * g + c * g @ g) @ x
    return x


@pytest.mark.parametrize("steps", [1, 2, 5, 6, 12])
@pytest.mark.parametrize(("dtype", "within"), [("float32", 3e-3), ("float64", 1e-11)])
@pytest.mark.parametrize("condition", [1.0, 1e2, 1e6])
@pytest.mark.parametrize("tall", [False, True])
def test_the_iteration_on_the_gram_matrix_is_the_plain_one(steps, dtype, within, condition, tall):
    u, _, v = np.linalg.svd(
        np.random.default_rng(3).standard_normal((300, 700)), full_matrices=False
    )
    x = (u * np.geomspace(1, 1 / condition, 300)) @ v
    if steps > 5:
        within *= 30  # what is small is made large, and with it its rounding
    expected = plain(x.astype(dtype), steps)
    d = np.array(x.T if tall else x, dtype)
    muon.orthogonalize(d, (3.4445, -4.775, 2.0315), steps, 1e-7, 1.0, _forms.Room())
    found = d.T if tall else d
    assert np.abs(found - expected).max() <= within * np.abs(expected).max()


def test_muon_moves_singular_values_towards_one():
    for shape, ratio in [((20, 30), 1.0), ((30, 20), np.sqrt(1.5))]:
        w = np.zeros(shape)
        lrcore.Muon(w, lr=1.0, weight_decay=0.0).step(
            np.random.default_rng(0).standard_normal(shape)
        )
        values = np.linalg.svd(w / ratio, compute_uv=False)
        assert 0.6 < values.min() < values.max() < 1.3
    w = np.zeros((20, 30))
    lrcore.Muon(w, lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw").step(
        np.random.default_rng(0).standard_normal((20, 30))
    )
    values = np.linalg.svd(w / (0.2 * np.sqrt(30)), compute_uv=False)
    assert 0.6 < values.min() < values.max() < 1.3


def test_muon_divides_by_a_norm_that_no_float32_holds():
    w = np.zeros((4, 4), "float32")
    g = np.diag([4e30, 2e30, 1e30, 1e30]).astype("float32")
    opt = lrcore.Muon(w, lr=1.0, weight_decay=0.0)
    opt.step(g)
    assert 0.6 < -np.diag(w).min() < 1.3
    assert np.isfinite(w).all()


def test_shampoo_takes_the_root_of_the_side_that_is_left():
    g = draw(1)["w"]
    for most, exponent in [(8, -0.5), (9, -0.25)]:
        w = np.zeros((6, 9))
        lrcore.Shampoo(w, lr=1.0, max_precond_dim=most).step(g)
        left, right = (np.linalg.eigh(1e-4 * np.eye(len(a)) + a @ a.T) for a in (g, g.T))
        expected = (left[1] * left[0] ** exponent) @ left[1].T @ g
        if most == 9:
            expected = expected @ (right[1] * right[0] ** exponent) @ right[1].T
        assert_allclose(w, -expected, rtol=1e-8)


RATES = {lrcore.Muon: 0.1, lrcore.Shampoo: 1.0, lrcore.SOAP: 0.05}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_least_squares_of_a_matrix(rule, dtype):
    rng = np.random.default_rng(5)
    a = (rng.standard_normal((30, 40)) * np.geomspace(1, 0.1, 30)[:, None]).astype(dtype)
    b = (rng.standard_normal((20, 30)) @ a).astype(dtype)
    x = np.zeros((20, 30), dtype)
    rate = schedules.Cosine(RATES[rule], steps=500)
    opt = rule(x, lr=rate, weight_decay=0.0)
    for _ in range(500):
        opt.step((x @ a - b) @ a.T)
    assert np.square(x @ a - b).sum() < 1e-3 * np.square(b).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_the_functions_make_the_same_steps(rule, dtype):
    name = rule.__name__.lower()
    for key in ("w", "filters", "b"):
        p, q = draw(0, dtype)[key], draw(0, dtype)[key]
        opt, state = rule(p, **FREQUENCY[rule]), functional.init(name, q)
        for t in range(1, 5):
            g = draw(t, dtype)[key]
            opt.step(g)
            getattr(functional, name)(q, g, state, t=t, **FREQUENCY[rule])
        assert_array_equal(p, q)


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: lrcore.Muon(p, ns_steps=0), ValueError, "Muon: ns_steps must be an integer in [1, 99], got 0"),
        (lambda p: lrcore.Muon(p, ns_steps=2.5), ValueError, "Muon: ns_steps must be an integer in [1, 99], got 2.5"),
        (lambda p: lrcore.Muon(p, ns_coefficients=(1, 2)), ValueError, "Muon: ns_coefficients must be a tuple of 3 numbers, got (1, 2)"),
        (lambda p: lrcore.Muon(p, ns_coefficients=(1, 2, np.nan)), ValueError, "Muon: ns_coefficients[2] must be in (-inf, inf), got nan"),
        (lambda p: lrcore.Muon(p, adjust_lr_fn="rms"), ValueError, 'Muon: adjust_lr_fn must be "original", "match_rms_adamw" or None, got \'rms\''),
        (lambda p: lrcore.Muon(p, adjust_lr_fn=1), TypeError, 'Muon: adjust_lr_fn must be "original", "match_rms_adamw" or None, got 1'),
        (lambda p: lrcore.Muon(p, adamw=1), TypeError, "Muon: adamw must be True or False, got 1"),
        (lambda p: lrcore.Muon(p, adamw_betas=(0.9, 1.0)), ValueError, "Muon: adamw_betas[1] must be in [0, 1), got 1.0"),
        (lambda p: lrcore.Muon(p, ns_steps=schedules.Linear(5, steps=3)), TypeError, "Muon: ns_steps must be an integer in [1, 99], got Linear("),
        (lambda p: lrcore.Shampoo(p, update_freq=0), ValueError, "Shampoo: update_freq must be an integer in [1, 2**53], got 0"),
        (lambda p: lrcore.Shampoo(p, max_precond_dim=-1), ValueError, "Shampoo: max_precond_dim must be an integer in [0, 2**53], got -1"),
        (lambda p: lrcore.SOAP(p, shampoo_beta=1.0), ValueError, "SOAP: shampoo_beta must be in [-1, 1), got 1.0"),
        (lambda p: lrcore.SOAP(p, state_dtype="int8"), ValueError, 'SOAP: state_dtype "int8" cannot hold the state \'m\' of soap'),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error) as raised:
        call(draw(0))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "options", "name"),
    [
        (lrcore.Muon, {"ns_steps": 7}, "ns_steps"),
        (lrcore.Muon, {"momentum": 0.5, "adamw": True}, "momentum"),
        (lrcore.Shampoo, {"update_freq": 5}, "update_freq"),
        (lrcore.SOAP, {"correct_bias": False}, "correct_bias"),
    ],
)
def test_options_of_matrices_are_refused_for_a_group_without_one(rule, options, name):
    shape = (3, 3) if "adamw" in options else (3,)
    groups = [{"params": np.ones((2, 2))}, {"params": [np.ones(shape)], **options}]
    with pytest.raises(ValueError, match=rf"params\[1\]: {name} must go with a matrix"):
        rule(groups)
    rule([{"params": [np.ones(3), np.ones((2, 2))], name: options[name]}])
