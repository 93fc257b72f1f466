"""The options of one-pass steps: what each may be, by group, and masks."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import BACKENDS, COPIES, f32, message_of

import lrcore
from lrcore import schedules
from lrcore._optimizer import keywords, options


def test_the_tables_the_types_and_the_docs_name_the_same_options():
    names = {*options.GROUP, *options.WHOLE, *options.MASKS}
    assert names == set(keywords.Options.__annotations__)
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
    ({"swa": -5}, ValueError, "AdamW: swa must be an integer in [0, 2**53], got -5"),
    ({"lookahead": "5"}, TypeError, "AdamW: lookahead must be None, True, a number or Lookahead(...), got '5'"),
    ({"zero_grads": None}, TypeError, "AdamW: zero_grads must be True or False, got None"),
    ({"loss_scale": 0}, ValueError, "AdamW: loss_scale must be in (0, inf), got 0"),
    ({"loss_scale": -8.0}, ValueError, "AdamW: loss_scale must be in (0, inf), got -8.0"),
    ({"loss_scale": float("nan")}, ValueError, "AdamW: loss_scale must be in (0, inf), got nan"),
    ({"loss_scale": "big"}, TypeError, "AdamW: loss_scale must be None, a number or LossScaler(...), got 'big'"),
    ({"loss_scale": lrcore.LossScaler(), "nonfinite": "raise"}, ValueError, 'loss_scale with a LossScaler must go with nonfinite="skip"'),
    ({"stats": "all"}, TypeError, "AdamW: stats must be True or False, got 'all'"),
    ({"seed": -1}, ValueError, "AdamW: seed must be an integer in [0, 2**64), got -1"),
    ({"seed": 2**64}, ValueError, "AdamW: seed must be an integer in"),
    ({"seed": 1.5}, ValueError, "AdamW: seed must be an integer in"),
    ({"state_file": 3}, TypeError, "AdamW: state_file must be the path of a file, got 3"),
    ({"decay_mask": 3}, TypeError, "AdamW: decay_mask must be True or False, got 3"),
    ({"decay_mask": lambda array: True}, TypeError, "AdamW: decay_mask must be callable with a path and an array, got <function"),
    ({"lr_scale": lambda path, array, more: 1.0}, TypeError, "AdamW: lr_scale must be callable with a path and an array, got <function"),
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
    (lambda: lrcore.AGC(0.1, axis=1), "AGC: axis must be -1 or 0, got 1"),
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
    (lambda: lrcore.layerwise(0.5, 3), "layerwise: order must be a list of patterns, got 3"),
    (
        lambda: lrcore.layerwise(0.5, ["a", "b", "a"]),
        "layerwise: order must hold each pattern once, got 'a' twice",
    ),
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
    short = lrcore.AdamW(f32(1), swa=100, lookahead=6)._layout.whole
    assert (short.swa, short.lookahead) == (lrcore.SWA(start=100), lrcore.Lookahead(k=6))


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


def test_one_unit_is_a_run_of_memory():
    p, f = np.ones((5, 1)), np.asfortranarray(np.ones((1, 5)))
    for array, axis in ((p, -1), (f, 0)):
        opt = lrcore.SGD(array, agc=lrcore.AGC(0.5, axis=axis))
        assert (opt._layout.stores[0].units, opt._layout.stores[0].rows) == (1, True)
    opt = lrcore.SGD(np.ones((5, 2)), agc=0.5)
    assert (opt._layout.stores[0].units, opt._layout.stores[0].rows) == (2, False)


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


def test_a_pattern_that_does_nothing_warns():
    text = r"AdamW: decay_mask 'head\.w' matches no parameter; the paths are 'layers\.0\.w', "
    with pytest.warns(UserWarning, match=text) as seen:
        opt = lrcore.AdamW(nested(), decay_mask=["*.w", "head.w"])
    assert len(seen) == 1
    assert decays(opt) == WEIGHTS
    text = (
        r"AdamW: lr_scale 'layers\.\*\.w' does nothing, since patterns before it match what it "
        r"matches, 'layers\.0\.w', 'layers\.1\.w'; the first match counts"
    )
    with pytest.warns(UserWarning, match=text) as seen:
        opt = lrcore.AdamW(nested(), lr_scale={"*": 0.5, "layers.*.w": 0.1})
    assert len(seen) == 1
    assert scales(opt) == [0.5] * 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lrcore.AdamW(nested(), decay_mask=["*.w", "layers.0.w"])  # says the same twice
        lrcore.AdamW(nested(), lr_scale={"*.w": 0.5, "*": 0.1})


def test_with_groups_a_path_has_both_spellings():
    groups = [{"params": {"w": np.ones(2), "b": np.ones(2)}}, {"params": {"w": np.ones(2)}}]
    seen = []

    def mask(path, array):
        seen.append(path)
        return path == "1.w"

    assert decays(lrcore.SGD(groups, decay_mask="w")) == [True, False, True]
    assert decays(lrcore.SGD(groups, decay_mask="1.w")) == [False, False, True]
    assert scales(lrcore.SGD(groups, lr_scale={"0.*": 0.5, "w": 2.0})) == [0.5, 0.5, 2.0]
    opt = lrcore.SGD(groups, decay_mask=mask)
    assert decays(opt) == [False, False, True]
    assert seen == list(opt.state) == ["0.w", "0.b", "1.w"]
    opt = lrcore.SGD({"w": np.ones(2)}, decay_mask=["w", "1.*"][:1])
    opt.add_param_group({"params": {"w": np.ones(1), "b": np.ones(1)}, "decay_mask": "1.b"})
    assert decays(opt) == [True, False, True]
    with pytest.warns(
        UserWarning, match=r"'x' matches no parameter; the paths are '0.w', '0.b', '1"
    ):
        lrcore.SGD(groups, decay_mask=["w", "x"])


def test_masks_of_groups():
    def groups(**own):
        return [{"params": {"w": np.ones((2, 2))}}, {"params": {"b": np.ones(2)}, **own}]

    assert decays(lrcore.SGD(groups(), decay_mask="w")) == [True, False]
    assert decays(lrcore.SGD(groups(decay_mask=True), decay_mask="w")) == [True, True]
    assert decays(lrcore.SGD(groups(), decay_mask=[{"w": False}, {"b": True}])) == [False, True]
    assert decays(lrcore.SGD(groups(), decay_mask=[False, True])) == [False, True]
    assert scales(lrcore.SGD(groups(lr_scale=3), lr_scale={"w": 2})) == [2.0, 3.0]
    with pytest.warns(
        UserWarning, match=r"decay_mask leaves no parameter that decays; the paths are '1\.b'"
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


# ------------------------------------------------------------------------- a plain step


def test_a_plain_step_is_the_plans_alone():
    for given in ({}, {"ema": 0.5, "stats": True, "zero_grads": True, "loss_scale": 2.0}):
        assert lrcore.AdamW(np.zeros(1), **given)._direct
    scaled = lrcore.AdamW(np.zeros(1), loss_scale=lrcore.LossScaler(), nonfinite="skip")
    assert not scaled._direct
    opt = lrcore.AdamW(np.zeros(1))
    opt.accumulate(np.ones(1))
    assert not opt._direct
    opt.step()
    assert opt._direct
