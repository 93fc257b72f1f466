"""The options of one-pass steps: what each means, what it may be, and that it survives copying."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrcore
from lrcore import _keywords, _options, schedules

BACKENDS = pytest.mark.parametrize("backend", ["c", "numpy"])
COPIES = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]


def f32(*values):
    return np.array(values, np.float32)


def message_of(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def test_the_tables_the_types_and_the_docs_name_the_same_options():
    names = {*_options.GROUP, *_options.WHOLE, *_options.MASKS}
    assert names == set(_keywords.Options.__annotations__)
    for name in names:
        assert f"    {name} : " in lrcore.Optimizer.__doc__, name


# ------------------------------------------------------------------------- bad input

OPTIONS = [
    ({"agc": 0}, ValueError, "AdamW: agc must be in (0, inf), got 0"),
    ({"agc": "yes"}, TypeError, "AdamW: agc must be None, a number or AGC(...), got 'yes'"),
    ({"agc": {"clip": -1}}, ValueError, "AdamW: agc: AGC: clip must be in (0, inf), got -1"),
    ({"cautious": 1}, TypeError, "AdamW: cautious must be True or False, got 1"),
    ({"cautious": True, "grams": True}, ValueError, "cautious and grams must not both be True"),
    ({"state_dtype": "int4"}, ValueError, 'AdamW: state_dtype must be one of None, "float32", "float64", "bfloat16", "int8", got \'int4\''),
    ({"state_dtype": np.float32}, ValueError, "AdamW: state_dtype must be one of None"),
    ({"state_dtype": "float64"}, ValueError, 'AdamW: state_dtype "float64" must go with float64 parameters; params is float32'),
    ({"state_dtype": "int8", "amsgrad": True}, ValueError, "AdamW: state_dtype \"int8\" cannot hold the state 'vmax' of adamw, which amsgrad switches on"),
    ({"rounding": "up"}, ValueError, 'AdamW: rounding must be "nearest" or "stochastic", got \'up\''),
    ({"rounding": None}, ValueError, 'AdamW: rounding must be "nearest" or "stochastic", got None'),
    ({"master": "copy"}, ValueError, 'AdamW: master must be one of None, "float32", "split", got \'copy\''),
    ({"master": "float32"}, ValueError, "AdamW: master must be None for params, which is float32 already"),
    ({"ema": 1.0}, ValueError, "AdamW: ema must be in [0, 1), got 1.0"),
    ({"ema": float("nan")}, ValueError, "AdamW: ema must be in [0, 1), got nan"),
    ({"ema": True}, TypeError, "AdamW: ema must be a number in [0, 1), got True"),
    ({"ema": [0.9]}, TypeError, "AdamW: ema must be None, a number or EMA(...), got [0.9]"),
    ({"swa": 5}, TypeError, "AdamW: swa must be None, True or SWA(...), got 5"),
    ({"lookahead": 5}, TypeError, "AdamW: lookahead must be None, True or Lookahead(...), got 5"),
    ({"zero_grads": None}, TypeError, "AdamW: zero_grads must be True or False, got None"),
    ({"loss_scale": 0}, ValueError, "AdamW: loss_scale must be in (0, inf), got 0"),
    ({"loss_scale": -8.0}, ValueError, "AdamW: loss_scale must be in (0, inf), got -8.0"),
    ({"loss_scale": float("nan")}, ValueError, "AdamW: loss_scale must be in (0, inf), got nan"),
    ({"loss_scale": "big"}, TypeError, "AdamW: loss_scale must be None or LossScaler(...), got 'big'"),
    ({"loss_scale": lrcore.LossScaler()}, ValueError, 'loss_scale with a LossScaler must go with nonfinite="skip"'),
    ({"stats": "all"}, TypeError, "AdamW: stats must be True or False, got 'all'"),
    ({"seed": -1}, ValueError, "AdamW: seed must be an integer in [0, 18446744073709551616), got -1"),
    ({"seed": 2**64}, ValueError, "AdamW: seed must be an integer in"),
    ({"seed": 1.5}, ValueError, "AdamW: seed must be an integer in"),
    ({"state_file": 3}, TypeError, "AdamW: state_file must be the path of a file, got 3"),
    ({"decay_mask": 3}, TypeError, "AdamW: decay_mask must be True or False, got 3"),
    ({"decay_mask": lambda path, array: "yes"}, TypeError, "AdamW: decay_mask('', array) must be True or False, got 'yes'"),
    ({"lr_scale": 0}, ValueError, "AdamW: lr_scale must be in (0, inf), got 0"),
    ({"lr_scale": {"*": -1}}, ValueError, "AdamW: lr_scale['*'] must be in (0, inf), got -1"),
    ({"lr_scale": lambda path, array: 0}, ValueError, "AdamW: lr_scale('', array) must be in (0, inf), got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "text"), OPTIONS)
def test_bad_options(options, kind, text):
    with pytest.raises(kind) as error:
        lrcore.AdamW(f32(1, 2, 3), **options)
    assert text in message_of(error)


VALUES = [
    (lambda: lrcore.AGC(0), "AGC: clip must be in (0, inf), got 0"),
    (lambda: lrcore.AGC(0.1, eps=0), "AGC: eps must be in (0, inf), got 0"),
    (lambda: lrcore.AGC(0.1, axis=1), "AGC: axis must be an integer in [-1, 0], got 1"),
    (lambda: lrcore.EMA(1), "EMA: decay must be in [0, 1), got 1"),
    (lambda: lrcore.EMA(0.5, warmup=3), "EMA: warmup must be True or False, got 3"),
    (lambda: lrcore.SWA(-1), "SWA: start must be an integer in [0, 2**53], got -1"),
    (lambda: lrcore.SWA(every=0), "SWA: every must be an integer in [1, 2**53], got 0"),
    (lambda: lrcore.Lookahead(k=2.5), "Lookahead: k must be an integer in [1, 2**53], got 2.5"),
    (lambda: lrcore.Lookahead(alpha=0), "Lookahead: alpha must be in (0, 1], got 0"),
    (lambda: lrcore.LossScaler(backoff=1), "LossScaler: backoff must be in (0, 1), got 1"),
    (lambda: lrcore.LossScaler(growth=0.5), "LossScaler: growth must be in [1, inf), got 0.5"),
    (lambda: lrcore.LossScaler(every=0), "LossScaler: every must be an integer in [1, 2**53]"),
    (lambda: lrcore.LossScaler(init=2.0**30), "LossScaler: init must be in [floor, ceiling]"),
    (lambda: lrcore.LossScaler(floor=float("nan")), "LossScaler: floor must be in (0, inf)"),
    (lambda: lrcore.layerwise(0, ["*"]), "layerwise: decay must be in (0, inf), got 0"),
    (lambda: lrcore.layerwise(0.5, "a"), "layerwise: order must be a list of patterns, got 'a'"),
]


@pytest.mark.parametrize(("make", "text"), VALUES)
def test_values_of_options_are_checked_where_they_are_made(make, text):
    with pytest.raises((ValueError, TypeError)) as error:
        make()
    assert text in message_of(error)


def test_values_of_options_are_frozen_and_equal_by_value():
    for value in (
        lrcore.EMA(0.5),
        lrcore.SWA(),
        lrcore.Lookahead(),
        lrcore.AGC(1),
        lrcore.LossScaler(),
    ):
        name = next(iter(value.to_dict()))
        with pytest.raises(AttributeError):
            setattr(value, name, 1)
        assert pickle.loads(pickle.dumps(value)) == value == type(value)(**value.to_dict())
    assert lrcore.AdamW(f32(1), swa=False)._layout.whole.swa is None


# ------------------------------------------------------------------------- groups


def test_group_options_are_assignable_saved_and_checked():
    params = [{"params": f32(1, 2)}, {"params": f32(3), "agc": 0.5, "maximize": True}]
    opt = lrcore.SGD(params, lr=0.1, cautious=True)
    one, two = opt.param_groups
    assert (one["cautious"], one["agc"], two["agc"]) == (True, None, lrcore.AGC(0.5))
    two.update(agc=lrcore.AGC(0.25, axis=0), cautious=False, grams=True, rounding="stochastic")
    other = lrcore.SGD([{"params": f32(1, 2)}, {"params": f32(3)}])
    other.load_state_dict(opt.state_dict())
    for a, b in zip(opt.param_groups, other.param_groups, strict=True):
        assert {k: v for k, v in a.items() if k != "params"} == {
            k: v for k, v in b.items() if k != "params"
        }
    with pytest.raises(ValueError, match="cautious and grams must not both be True"):
        two["cautious"] = True
    for name, value in (("state_dtype", "float32"), ("master", "split")):
        with pytest.raises(ValueError, match=rf"SGD: {name} cannot be changed; .*convert=True"):
            two[name] = value
        two[name] = None
    with pytest.raises(KeyError, match="'ema' cannot be set"):
        two["ema"] = 0.5
    with pytest.raises(KeyError, match="'decay_mask' cannot be set"):
        two["decay_mask"] = "*"
    assert "grams" in repr(two)
    assert "master" not in repr(two)


@BACKENDS
def test_a_group_with_a_norm_of_its_own_is_left_out_of_the_common_one(backend):
    a, b, c = np.zeros(1), np.zeros(1), np.zeros(1)
    groups = [{"params": a}, {"params": b}, {"params": c, "clip_norm": 1.0}]
    opt = lrcore.SGD(groups, lr=1.0, clip_norm=5.0, backend=backend)
    grads = [np.array([30.0]), np.array([40.0]), np.array([-2.0])]
    opt.step(grads)
    np.testing.assert_allclose([a[0], b[0], c[0]], [-3.0, -4.0, 1.0], rtol=1e-6)
    assert opt.grad_norm == 50.0
    assert [g["clip_norm"] for g in opt.param_groups] == [None, None, 1.0]
    opt.param_groups[0]["clip_norm"] = schedules.Constant(3.0)
    opt.param_groups[2]["clip_norm"] = None
    opt.step(grads)
    assert opt.grad_norm == np.sqrt(40.0**2 + 2.0**2)
    np.testing.assert_allclose(a, -6.0, rtol=1e-6)
    opt.add_param_group({"params": np.zeros(1)})
    assert opt.param_groups[3]["clip_norm"] is None


@BACKENDS
def test_agc_clips_units(backend):
    w = np.array([[3.0, 0.0], [4.0, 1.0]])
    opt = lrcore.SGD(w, lr=1.0, agc=lrcore.AGC(0.5, axis=-1), backend=backend)
    before = w.copy()
    opt.step(np.array([[6.0, 0.25], [8.0, 0.0]]))
    np.testing.assert_allclose(before - w, [[1.5, 0.25], [2.0, 0.0]])
    opt.param_groups[0]["agc"] = lrcore.AGC(0.5, axis=0)
    w[...] = before
    opt.step(np.array([[6.0, 8.0], [0.0, 0.1]]))
    np.testing.assert_allclose(before - w, [[0.9, 1.2], [0.0, 0.1]])
    opt.param_groups[0]["agc"] = None
    w[...] = before
    opt.step(np.array([[6.0, 8.0], [0.0, 0.1]]))
    np.testing.assert_allclose(before - w, [[6.0, 8.0], [0.0, 0.1]])


@pytest.mark.parametrize("axis", [0, -1])
@BACKENDS
def test_agc_does_not_depend_on_memory_order(axis, backend):
    rng = np.random.default_rng(0)
    c, g = rng.standard_normal((3, 4, 5)), 10 * rng.standard_normal((3, 4, 5))
    f = np.asfortranarray(c)
    agc = lrcore.AGC(0.1, axis=axis)
    want = c.copy()
    for i in range(c.shape[axis]):
        at = (i,) if axis == 0 else (..., i)
        most = 0.1 * np.linalg.norm(c[at])
        want[at] -= g[at] * min(1.0, most / np.linalg.norm(g[at]))
    for p in (c, f):
        lrcore.SGD(p, lr=1.0, agc=agc, backend=backend).step(g)
        np.testing.assert_allclose(p, want, rtol=1e-12)


@BACKENDS
def test_cautious_and_grams(backend):
    def moved(**options):
        w = np.zeros(4)
        opt = lrcore.SGD(w, lr=1.0, momentum=0.5, backend=backend, **options)
        opt.step(np.array([1.0, 1.0, 1.0, 1.0]))
        before = w.copy()
        opt.step(np.array([1.0, 1.0, 1.0, -0.25]))  # momentum goes on, against the last gradient
        return w - before

    assert_array_equal(moved(), [-1.5, -1.5, -1.5, -0.25])
    assert_array_equal(moved(cautious=True), [-2.0, -2.0, -2.0, 0.0])
    assert_array_equal(moved(grams=True), [-1.5, -1.5, -1.5, 0.25])


# ------------------------------------------------------------------------- masks

SHAPES = {"layers": [{"w": (2, 2), "b": (2,)}, {"w": (2, 1), "b": (1,)}], "scale": ()}
PATHS = ["layers.0.w", "layers.0.b", "layers.1.w", "layers.1.b", "scale"]


def nested(fill=1.0):
    return {
        "layers": [{k: np.full(s, fill) for k, s in layer.items()} for layer in SHAPES["layers"]],
        "scale": np.full((), fill),
    }


def decays(opt):
    return [terms.decays for terms in opt._layout.terms]


def scales(opt):
    return [terms.lr_scale for terms in opt._layout.terms]


WEIGHTS = [True, False, True, False, False]


@pytest.mark.parametrize(
    "mask",
    [
        "*.w",
        ["layers.0.w", "layers.1.w"],
        lrcore.matrices_only,
        lambda path, array: path.endswith("w"),
        {"layers": [{"w": True, "b": False}, {"w": np.True_, "b": False}], "scale": False},
    ],
)
@BACKENDS
def test_decay_masks(mask, backend):
    params = nested()
    opt = lrcore.AdamW(params, lr=0.5, weight_decay=1.0, decay_mask=mask, backend=backend)
    assert decays(opt) == WEIGHTS
    assert "decay_mask" not in opt.param_groups[0]
    opt.step(nested(0.0))
    assert (params["layers"][0]["w"] == 0.5).all()
    assert (params["layers"][0]["b"] == 1.0).all()


def test_one_value_stands_for_all_below_it():
    mask = {"layers": [True, False], "scale": True}
    assert decays(lrcore.SGD(nested(), decay_mask=mask)) == [True, True, False, False, True]
    assert decays(lrcore.SGD(nested(), decay_mask=True)) == [True] * 5


@pytest.mark.parametrize(
    ("scale", "want"),
    [
        ({"*.b": 0.5, "layers.*": 2.0}, [2.0, 0.5, 2.0, 0.5, 1.0]),
        ({"layers": [0.1, {"w": 0.2, "b": 0.3}], "scale": 0.4}, [0.1, 0.1, 0.2, 0.3, 0.4]),
        ({"layers": 0.5, "scale": 2.0}, [0.5] * 4 + [2.0]),  # the keys of the parameters
        (lambda path, array: 1 + array.ndim, [3.0, 2.0, 3.0, 2.0, 1.0]),
        (lrcore.layerwise(0.5, ["layers.0.*", "layers.1.*"]), [0.5, 0.5, 1.0, 1.0, 1.0]),
    ],
)
@BACKENDS
def test_lr_scales(scale, want, backend):
    params = nested()
    opt = lrcore.SGD(params, lr=schedules.Constant(1.0), lr_scale=scale, backend=backend)
    assert scales(opt) == want
    opt.step(nested(1.0))
    assert params["layers"][0]["b"][0] == 1.0 - want[1]
    assert params["scale"] == 1.0 - want[4]


BAD_MASKS = [
    ({"decay_mask": {"layers": True}}, "AdamW: decay_mask must be a dict with the keys ['layers', 'scale'], got ['layers']"),
    ({"decay_mask": {"layers": [True], "scale": True}}, 'AdamW: decay_mask["layers"] must be a list of 2, got 1'),
    ({"decay_mask": {"layers": [True, {"w": 1, "b": True}], "scale": True}}, 'AdamW: decay_mask["layers"][1]["w"] must be True or False, got 1'),
    ({"decay_mask": [True, False]}, "AdamW: decay_mask must be a dict with the keys ['layers', 'scale'], got list"),
    ({"lr_scale": {"layers": [1, 2]}}, "AdamW: lr_scale must be a dict with the keys ['layers', 'scale'], got ['layers']"),
    ({"lr_scale": "*.w"}, "AdamW: lr_scale must be a number in (0, inf), got '*.w'"),
    ({"lr_scale": {1: 0.5}}, "AdamW: lr_scale must be a dict with the keys"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "text"), BAD_MASKS)
def test_masks_that_do_not_fit(options, text):
    with pytest.raises((ValueError, TypeError)) as error:
        lrcore.AdamW(nested(), **options)
    assert text in message_of(error)


def test_a_mask_that_matches_nothing_warns_with_the_paths():
    for mask in ("*.weight", ["x"], [], lambda path, array: False, False):
        with pytest.warns(UserWarning, match="AdamW: decay_mask leaves no parameter") as seen:
            lrcore.AdamW(nested(), decay_mask=mask)
        (warning,) = seen
        assert all(repr(path) in str(warning.message) for path in PATHS)
        assert warning.filename == __file__
    with pytest.warns(
        UserWarning, match=r"AdamW: lr_scale 'head\*' matches no parameter; the paths"
    ):
        lrcore.AdamW(nested(), lr_scale={"layers.*": 0.5, "head*": 2.0})
    many = [np.ones(1) for _ in range(30)]
    with pytest.warns(UserWarning, match=r"'19', \.\.\.$"):
        lrcore.AdamW(many, decay_mask="x")


def test_masks_of_groups():
    def groups(**own):
        return [{"params": {"w": np.ones((2, 2))}}, {"params": {"b": np.ones(2)}, **own}]

    assert decays(lrcore.SGD(groups(), decay_mask="w")) == [True, False]
    assert decays(lrcore.SGD(groups(decay_mask=True), decay_mask="w")) == [True, True]
    assert decays(lrcore.SGD(groups(), decay_mask=[{"w": False}, {"b": True}])) == [False, True]
    assert decays(lrcore.SGD(groups(), decay_mask=[False, True])) == [False, True]
    assert scales(lrcore.SGD(groups(lr_scale=3), lr_scale={"w": 2})) == [2.0, 3.0]
    with pytest.warns(
        UserWarning, match="decay_mask leaves no parameter that decays; the paths are 'b'"
    ):
        lrcore.SGD(groups(decay_mask="w"))
    for mask, got in (([True], "1"), ({"w": True}, "dict")):
        with pytest.raises(
            ValueError, match=f"SGD: decay_mask must be a list of one entry a group, 2, got {got}"
        ):
            lrcore.SGD(groups(), decay_mask=mask)
    with pytest.raises(
        TypeError, match=r"unknown option 'mask'; there are \['agc', .*'decay_mask'"
    ):
        lrcore.SGD(groups(mask=True))


def test_masks_of_groups_that_come_later():
    opt = lrcore.SGD({"w": np.ones((2, 2))}, decay_mask=lrcore.matrices_only, lr_scale={"*": 0.5})
    opt.add_param_group({"params": np.ones(3)})
    opt.add_param_group({"params": np.ones(3), "decay_mask": True, "lr_scale": 2.0})
    assert decays(opt) == [True, False, True]
    assert scales(opt) == [0.5, 0.5, 2.0]
    opt = lrcore.SGD({"w": np.ones(2)}, decay_mask={"w": True})
    with pytest.raises(
        ValueError,
        match="SGD: group must have a decay_mask of its own, since the optimizer's is a structure",
    ):
        opt.add_param_group({"params": np.ones(3)})
    opt.add_param_group({"params": np.ones(3), "decay_mask": None})
    assert decays(opt) == [True, True]


@pytest.mark.parametrize("how", COPIES)
def test_masks_survive_copying_and_saving(how):
    opt = lrcore.SGD(nested(), decay_mask=lambda path, array: array.ndim > 1, lr_scale={"*b": 0.5})
    other = how(opt)
    assert decays(other) == WEIGHTS
    assert scales(other) == [1.0, 0.5, 1.0, 0.5, 1.0]
    fresh = lrcore.SGD(nested())
    fresh.load_state_dict(opt.state_dict())
    assert (decays(fresh), scales(fresh)) == (decays(opt), scales(opt))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if how is copy.deepcopy:
            other.add_param_group({"params": np.ones(3)})
            assert decays(other)[-1] is False
        else:
            with pytest.raises(ValueError, match="a function that could not be pickled"):
                other.add_param_group({"params": np.ones(3)})
    state = opt.state_dict()
    entry = state["param_groups"][0]["params"]["scale"]
    for name, value in (("decays", 1), ("lr_scale", 0.0)):
        entry[name] = value
        with pytest.raises(ValueError, match=rf"\['scale'\]\['{name}'\] must be"):
            opt.load_state_dict(state)
        del entry[name]


# ------------------------------------------------------------------------- accumulation


@BACKENDS
def test_accumulated_gradients_are_averaged(backend):
    a, b = np.zeros(3, np.float32), np.zeros(2)
    opt = lrcore.SGD([a, b], lr=schedules.Linear(1.0, steps=2, end=0.5), backend=backend)
    assert opt.nbytes == 0
    opt.accumulate([np.full(3, 1, np.float16), None])
    opt.accumulate([f32(3, 3, 3), np.array([1.0, 2.0])])
    assert opt.nbytes == 3 * 4 + 2 * 8
    assert (opt.t, a[0]) == (0, 0.0)
    assert opt.step()
    assert_array_equal(a, f32(-2, -2, -2))
    assert_array_equal(b, [-0.5, -1.0])
    assert opt.t == 1
    opt.step([f32(1, 1, 1), None])
    assert_array_equal(a, f32(-2.75, -2.75, -2.75))
    ages = [e["t"] for e in opt.state_dict()["param_groups"][0]["params"].values()]
    assert ages == [2, 1]
    opt.accumulate([f32(1, 1, 1), np.ones(2)])  # begins anew
    opt.step()
    assert_array_equal(a, f32(-3.25, -3.25, -3.25))
    assert_array_equal(b, [-1.0, -1.5])


@BACKENDS
def test_a_parameter_without_any_gradient_is_left_alone(backend):
    a, b = np.ones(1), np.ones(1)
    opt = lrcore.AdamW([a, b], lr=0.5, weight_decay=1.0, backend=backend)
    opt.accumulate([None, np.zeros(1)])
    opt.step()
    assert (a[0], b[0]) == (1.0, 0.5)


@BACKENDS
def test_accumulation_refuses_in_sentences(backend):
    opt = lrcore.SGD([np.zeros(3)], backend=backend)
    with pytest.raises(ValueError, match=r"SGD\.step: grads must be given; nothing has been accum"):
        opt.step()
    assert opt.step(None)  # no gradient is not the same as none given
    with pytest.raises(ValueError, match=r"grads\[0\]: shape must be \(3,\), got \(2,\)"):
        opt.accumulate([np.zeros(2)])
    assert opt.nbytes == 0
    opt.accumulate([np.ones(3)])
    with pytest.raises(ValueError, match=r"shape must be"):
        opt.accumulate([np.zeros(2)])
    text = r"SGD\.step: grads must be left out, since 1 accumulated micro-batch waits"
    with pytest.raises(ValueError, match=text):
        opt.step([np.ones(3)])
    opt.accumulate([np.ones(3)])
    with pytest.raises(ValueError, match="SGD: loss_scale must stay as it is while accumulated"):
        opt.loss_scale = 2.0
    with pytest.raises(ValueError, match="since 2 accumulated micro-batches wait"):
        opt.step([np.ones(3)])
    assert opt.step()
    assert opt.step([np.ones(3)])


@BACKENDS
@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_what_is_not_finite_is_dropped_with_the_step(nonfinite, backend):
    w = np.zeros(2)
    opt = lrcore.SGD(w, lr=1.0, nonfinite=nonfinite, backend=backend)
    opt.accumulate(np.array([np.inf, 1.0]))
    opt.accumulate(np.array([1.0, 1.0]))
    if nonfinite == "skip":
        assert opt.step() is False
    else:
        with pytest.raises(lrcore.NonFiniteError):
            opt.step()
    assert opt.step(np.ones(2))
    assert_array_equal(w, -1.0)


@BACKENDS
def test_what_waits_is_saved_and_copied(backend):
    def make():
        params = [np.ones((3, 2), np.float32), np.ones(4)]
        return params, lrcore.Adam(params, lr=0.1, backend=backend)

    def grads(t):
        rng = np.random.default_rng(t)
        return [rng.standard_normal((3, 2)), None if t == 1 else rng.standard_normal(4)]

    straight, a = make()
    resumed, b = make()
    for opt in (a, b):
        opt.step(grads(0))
        opt.accumulate(grads(1))
    fresh = lrcore.Adam(resumed, backend=backend)
    fresh.load_state_dict(b.state_dict())
    np.testing.assert_equal(fresh.state_dict(), b.state_dict())
    copied, copied_params = copy.deepcopy((b, resumed))
    for opt in (a, fresh, copied):
        opt.accumulate(grads(2))
        assert opt.step()
    for x, y, z in zip(straight, resumed, copied_params, strict=True):
        assert_array_equal(x, y)
        assert_array_equal(x, z)
    state = a.state_dict()
    assert "sum" not in state["param_groups"][0]["params"]["0"]
    fresh.accumulate(grads(3))
    fresh.load_state_dict(state)  # forgets what waited
    assert fresh.step(grads(4))


def test_zero_grads_goes_with_everything():
    for backend in ("c", "numpy"):
        w, g = np.zeros(3), np.ones(3)
        opt = lrcore.SGD(w, lr=1.0, zero_grads=True, nonfinite="skip", backend=backend)
        opt.step(g)
        assert not g.any()
        g[:] = [1.0, np.nan, 1.0]
        assert opt.step(g) is False
        assert not g.any()
        g[:] = 1.0
        opt.accumulate(g)
        assert not g.any()
        opt.accumulate(g)
        opt.step()
        assert_array_equal(w, -1.5)
        g.flags.writeable = False
        with pytest.raises(ValueError, match="must be writable, since zero_grads"):
            opt.step(g)
        with pytest.raises(ValueError, match="must share no memory with parameters"):
            opt.step(w)


# ------------------------------------------------------------------------- loss scale


@BACKENDS
def test_a_fixed_scale_divides(backend):
    w = np.zeros(2)
    opt = lrcore.SGD(w, lr=1.0, loss_scale=4, clip_norm=100.0, backend=backend)
    assert opt.loss_scale == 4.0
    opt.step(np.array([4.0, 8.0]))
    assert_array_equal(w, [-1.0, -2.0])
    assert opt.grad_norm == np.sqrt(5.0)
    opt.loss_scale = 8
    opt.step(np.array([4.0, 8.0]))
    assert_array_equal(w, [-1.5, -3.0])
    scaler = lrcore.LossScaler(init=4.0, every=2)
    other = lrcore.SGD(w, loss_scale=scaler, nonfinite="skip", backend=backend)
    other.step(np.ones(2))
    other.loss_scale = 2.0  # counts from here
    other.step(np.ones(2))
    assert other.loss_scale == 2.0
    other.step(np.ones(2))
    assert other.loss_scale == 4.0
    for bad in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"SGD: loss_scale must be in \(0, inf\)"):
            opt.loss_scale = bad
    assert lrcore.SGD(np.zeros(1)).loss_scale == 1.0


@BACKENDS
def test_the_scaler_backs_off_and_grows(backend):
    scaler = lrcore.LossScaler(init=8.0, every=2, floor=2.0, ceiling=16.0)
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, loss_scale=scaler, nonfinite="skip", backend=backend)
    seen = []
    for bad in (0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0):
        scale = opt.loss_scale
        seen.append(scale)
        before = w.copy()
        made = opt.step(np.array([np.nan if bad else scale]))
        assert made == (not bad)
        assert_array_equal(before - w, float(made))
    assert seen == [8, 8, 16, 16, 8, 4, 2, 2, 2, 4, 4, 8, 8, 4, 4]
    assert opt.loss_scale == 8.0
    other = lrcore.SGD(np.zeros(1), loss_scale=scaler, nonfinite="skip")
    assert other.loss_scale == 8.0


@pytest.mark.parametrize("how", [*COPIES, None])
def test_the_scale_is_part_of_the_run(how):
    scaler = lrcore.LossScaler(init=8.0, every=3)
    opt = lrcore.SGD(np.zeros(1), loss_scale=scaler, nonfinite="skip")
    for g in (np.inf, 1.0, 1.0):
        opt.step(np.array([g]))
    if how is None:
        other = lrcore.SGD(np.zeros(1))
        other.load_state_dict(opt.state_dict())
    else:
        other = how(opt)
    assert other.loss_scale == 4.0
    for x in (opt, other):
        x.step(np.array([1.0]))
        assert x.loss_scale == 8.0
    np.testing.assert_equal(other.state_dict(), opt.state_dict())
    state = opt.state_dict()
    for name, value in (("scale", 0.0), ("good_steps", -1), ("loss_scale", {"init": 0})):
        with pytest.raises(ValueError, match=name):
            opt.load_state_dict({**state, name: value})


# ------------------------------------------------------------------------- averages


def run(opt, w, steps):
    seen = []
    for t in range(steps):
        opt.step(np.array([-1.0 - t]))
        seen.append(w.copy())
    return np.array(seen)[:, 0]


@BACKENDS
def test_averages_are_what_they_say(backend):
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, ema=0.75, swa=lrcore.SWA(start=2, every=2), backend=backend)
    seen = run(opt, w, 5)
    ema = 0.0
    for x in seen:
        ema += 0.25 * (x - ema)
    assert opt.averages("ema")[0] == ema
    assert opt.averages("swa")[0] == (seen[1] + seen[3]) / 2
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, ema=lrcore.EMA(0.99, warmup=True), backend=backend)
    opt.step(np.array([-1.0]))
    np.testing.assert_allclose(opt.averages(), 1 - 2 / 11)
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, lookahead=lrcore.Lookahead(2, 0.5), backend=backend)
    assert_array_equal(run(opt, w, 4), [1.0, 1.5, 4.5, 5.0])
    assert opt.averages("slow") == w


def test_averages_have_the_structure_of_the_parameters():
    params = {"a": [np.ones(2), (np.zeros(1), np.ones((2, 2), np.float16))]}
    opt = lrcore.SGD(params, swa=True)
    found = opt.averages()
    assert isinstance(found["a"], list)
    assert isinstance(found["a"][1], tuple)
    assert found["a"][1][1].dtype == np.float32
    assert found["a"][0] is opt.averages("swa")["a"][0]  # live
    groups = lrcore.SGD([{"params": np.ones(1)}, {"params": {"b": np.ones(1)}}], ema=0.5)
    assert [type(x) for x in groups.averages()] == [np.ndarray, dict]
    groups.add_param_group({"params": np.full(2, 7.0)})
    assert_array_equal(groups.averages()[2], 7.0)
    assert groups.averages()[2] is groups.state["2."]["ema"]


def test_which_average():
    for call in ("averages", "averaged"):
        for options, which, kind, text in [
            ({}, None, RuntimeError, "SGD: averages must be switched on with ema= or swa= at construction"),
            ({"lookahead": True}, None, RuntimeError, "must be switched on with ema= or swa="),
            ({"ema": 0.5, "swa": True}, None, ValueError, 'SGD: which must be "ema" or "swa", since both are on'),
            ({"ema": 0.5}, "swa", RuntimeError, "SGD: the average 'swa' must be switched on with swa= at construction"),
            ({"ema": 0.5}, "slow", RuntimeError, "must be switched on with lookahead="),
            ({"ema": 0.5}, "mean", ValueError, 'SGD: which must be "ema", "swa" or "slow", got \'mean\''),
        ]:  # fmt: skip
            with pytest.raises(kind) as error:
                getattr(lrcore.SGD(np.zeros(1), **options), call)(which)
            assert text in message_of(error)


@BACKENDS
def test_averages_in_place_of_the_parameters(backend):
    w, h = np.array([0.1, -0.0, np.nan]), np.array([1.0, 2.0], np.float16)
    opt = lrcore.SGD([w, h], lr=1.0, ema=0.5, nonfinite="ignore", backend=backend)
    opt.step([np.array([1.0, 0.0, 1.0]), np.array([1.0, 70000.0])])
    state = opt.state_dict()
    before = w.tobytes(), h.tobytes()
    with opt.averaged():
        assert_array_equal(w, opt.averages()[0])
        assert_array_equal(h, np.array([0.5, -35000.0], np.float16))
        for refused in (
            lambda: opt.step([w, h]),
            lambda: opt.accumulate([w, h]),
            lambda: opt.load_state_dict(state),
            lambda: opt.add_param_group({"params": np.ones(1)}),
            lambda: opt.param_groups[0].update(lr=0.5),
            lambda: setattr(opt, "loss_scale", 2.0),
            lambda: opt.averaged().__enter__(),
            lambda: copy.deepcopy(opt),
            lambda: pickle.dumps(opt),
        ):
            with pytest.raises(
                RuntimeError,
                match=r'SGD: must be left alone inside the `with` of averaged\(\).*"ema"',
            ):
                refused()
    assert (w.tobytes(), h.tobytes()) == before
    with pytest.raises(ZeroDivisionError), opt.averaged("ema"):
        w[0] = 1 / 0
    assert (w.tobytes(), h.tobytes()) == before
    np.testing.assert_equal(opt.state_dict(), state)
    assert opt.step([np.ones(3), np.ones(2)])


def test_averages_must_agree_when_loading():
    plain, ema = lrcore.SGD(np.ones(2)), lrcore.SGD(np.ones(2), ema=0.5)
    ema.step(np.ones(2))
    with pytest.raises(ValueError, match="ema must be on here as it is in the state, got off"):
        plain.load_state_dict(ema.state_dict())
    with pytest.raises(ValueError, match="ema must be off here as it is in the state, got on"):
        ema.load_state_dict(plain.state_dict())
    plain.load_state_dict(ema.state_dict(), convert=True)
    assert plain.state == {"": {}}
    state = plain.state_dict()
    ema.load_state_dict(state, convert=True)
    assert_array_equal(ema.averages(), ema.param_groups[0]["params"])
    other = lrcore.SGD(np.ones(2), ema=lrcore.EMA(0.9, warmup=True))
    other.load_state_dict(ema.state_dict())
    assert other._layout.whole.ema == lrcore.EMA(0.5)


# ------------------------------------------------------------------------- statistics


@BACKENDS
def test_statistics(backend):
    a, b, c = np.array([3.0, 4.0]), np.array([1.0]), np.array([5.0])
    groups = [{"params": {"a": a, "b": b}}, {"params": c, "maximize": True}]
    opt = lrcore.SGD(groups, lr=0.5, clip_norm=6.5, loss_scale=2.0, stats=True, backend=backend)
    before = opt.stats
    assert np.isnan(before.total.grad_norm)
    assert np.isnan(before.tensors["1."].nonfinite)
    opt.step([{"a": np.array([6.0, 8.0]), "b": None}, np.array([24.0])])
    first = opt.stats
    assert np.isnan(before.total.grad_norm)
    assert first.total.grad_norm == 13.0 == opt.grad_norm
    np.testing.assert_allclose(first.total.clip, 0.5, rtol=1e-6)
    assert list(first.tensors) == ["0.a", "0.b", "1."] == list(opt.state)
    assert np.isnan(first.tensors["0.b"].param_norm)
    assert first.tensors["0.a"] == first.groups[0]
    np.testing.assert_allclose(first.groups[0].step_norm, 1.25, rtol=1e-6)
    np.testing.assert_allclose(first.groups[0].param_norm, 3.75, rtol=1e-6)
    np.testing.assert_allclose(first.groups[0].ratio, 1 / 3, rtol=1e-6)
    assert np.isnan(first.total.cos)
    assert (first.total.nonfinite, first.total.lost) == (0, 0.0)
    opt.step([{"a": np.array([6.0, 8.0]), "b": np.zeros(1)}, np.array([-24.0])])
    second = opt.stats
    np.testing.assert_allclose([g.cos for g in second.groups], [-1.0, 1.0])
    assert np.isnan(second.tensors["0.b"].cos)
    assert second.tensors["0.b"].step_norm == 0.0
    later = opt.stats
    opt.step([{"a": np.array([-6.0, -8.0]), "b": None}, None])
    np.testing.assert_allclose(later.groups[0].cos, -1.0)  # looked at only now
    np.testing.assert_allclose(opt.stats.groups[0].cos, 1.0)
    assert first.total.ratio == first.total.step_norm / first.total.param_norm


@BACKENDS
def test_statistics_of_what_goes_wrong(backend):
    w = np.array([1.0, 1e4, 1.0, 1.0], np.float16)
    opt = lrcore.SGD(w, lr=0.1, stats=True, nonfinite="skip", backend=backend)
    opt.step(np.array([1.0, 1.0, 0.0, 1e-5]))
    assert opt.stats.total.lost == 0.5
    assert opt.step(np.array([np.inf, np.nan, 0.0, 1.0])) is False
    assert opt.stats.total.nonfinite == 2
    nothing = lrcore.SGD(np.zeros(2), stats=True, backend=backend)
    nothing.step(None)
    assert np.isnan(nothing.stats.total.ratio)
    nothing.step(np.zeros(2))
    assert np.isnan(nothing.stats.total.ratio)
    assert nothing.stats.total.grad_norm == 0.0


def test_statistics_must_be_switched_on():
    opt = lrcore.AdamW(np.zeros(1))
    text = "AdamW: stats must be switched on with stats=True at construction"
    with pytest.raises(RuntimeError, match=text):
        opt.stats  # noqa: B018
    opt = lrcore.AdamW(np.ones(1), stats=True)
    opt.step(np.ones(1))
    assert "grad_norm=1.0" in repr(opt.stats)
    assert isinstance(opt.stats, lrcore.Stats)
    assert isinstance(opt.stats.total, lrcore.StepStats)


def test_statistics_go_on_with_the_optimizer():
    params = [np.ones(3)]
    opt = lrcore.SGD(params, lr=0.1, stats=True)
    opt.step([np.ones(3)])
    rows = copy.deepcopy(opt).stats._rows
    assert_array_equal(rows, opt.stats._rows)
    opt.param_groups[0]["momentum"] = 0.9  # a new plan
    assert_array_equal(rows, opt.stats._rows)
    opt.step([np.ones(3)])
    assert opt.stats.total.cos == pytest.approx(-1.0)
    other = lrcore.SGD(params, stats=True)
    other.load_state_dict(opt.state_dict())
    assert np.isnan(other.stats.total.cos)
    other.step([np.ones(3)])
    assert other.stats.total.cos == pytest.approx(-1.0)  # the trace is saved
    plain = lrcore.SGD(params)
    plain.load_state_dict(opt.state_dict())  # and left out where nothing is measured
    opt.load_state_dict(plain.state_dict())
    opt.step([np.ones(3)])
    assert np.isnan(opt.stats.total.cos)


def test_the_trace_is_thinned_out_for_many_elements():
    small = lrcore.SGD(np.zeros(2**20, np.float32), stats=True)
    assert small.state[""]["trace"].size == 2**20
    small.add_param_group({"params": np.zeros(3 * 8192 + 5, np.float32)})
    sizes = [own["trace"].size for own in small.state.values()]
    assert sizes == [2**16, 8192]
    small.step([np.ones(2**20, np.float32), np.ones(3 * 8192 + 5, np.float32)])


@BACKENDS
def test_a_part_stands_for_the_whole(backend):
    n = 2**20 + 20_000
    w, small = np.ones(n, np.float32), np.zeros(3, np.float32)
    opt = lrcore.SGD([w, small], lr=0.5, stats=True, backend=backend)
    opt.step([np.ones(n, np.float32), f32(0, 1, 1)])
    opt.step([np.full(n, 1e-9, np.float32), f32(0, 1, 1)])
    one, two = opt.stats.tensors.values()
    assert (one.lost, one.step_norm, one.cos) == (pytest.approx(1.0), 0.0, pytest.approx(-1.0))
    assert (two.lost, two.step_norm) == (0.0, pytest.approx(0.5 * np.sqrt(2)))
    assert opt.stats.total.lost == pytest.approx(n / (n + 3))
    opt.step([np.ones(n, np.float32), None])
    assert opt.stats.total.step_norm == pytest.approx(0.5 * np.sqrt(n))


# ------------------------------------------------------------------------- a plain step


def test_a_plain_step_is_the_plans_alone():
    for options in ({}, {"ema": 0.5, "stats": True, "zero_grads": True, "loss_scale": 2.0}):
        assert lrcore.AdamW(np.zeros(1), **options)._direct
    scaled = lrcore.AdamW(np.zeros(1), loss_scale=lrcore.LossScaler(), nonfinite="skip")
    assert not scaled._direct
    opt = lrcore.AdamW(np.zeros(1))
    opt.accumulate(np.ones(1))
    assert not opt._direct
    opt.step()
    assert opt._direct
