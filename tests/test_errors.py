"""Bad input: a named, one-sentence error before anything has changed."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrcore
from lrcore import functional, schedules


def f32(*shape):
    return np.zeros(shape, np.float32)


def read_only():
    a = f32(3)
    a.flags.writeable = False
    return a


ROOM = f32(10)

PARAMS = [
    ([], ValueError, "AdamW: params must hold at least one array, got none"),
    ([{"params": f32(2)}, {"param": f32(2)}], ValueError, 'params[1] must be a dict with the key "params"'),
    ({}, ValueError, "AdamW: params must hold at least one array, got none"),
    ({"w": [1.0]}, TypeError, 'params["w"][0] must be a NumPy array, got float'),
    ({"w": np.zeros(3, int)}, TypeError, 'params["w"] must be of dtype float16, bfloat16, float32 or float64, got int64'),
    ({"w": np.zeros(3, ">f4")}, TypeError, "must be in native byte order"),
    ({"w": np.zeros(3, np.complex64)}, TypeError, "float32 or float64, got complex64"),
    ([f32(2), read_only()], ValueError, "params[1] must be writable, got a read-only array"),
    ({"w": f32(4, 4)[:, ::2]}, ValueError, 'params["w"] must be contiguous, got strides (16, 8)'),
    ({"a": ROOM, "b": ROOM}, ValueError, 'params["b"] must have memory of its own, got one that is the same'),
    ([ROOM[:6], ROOM[5:]], ValueError, "params[1] must have memory of its own, got one that overlaps params[0]"),
    ({"a.b": f32(1), "a": {"b": f32(1)}}, ValueError, "must have different paths, got 'a.b' for both"),
    ({"w": np.zeros(13, np.uint8)[1:].view(np.float32)}, ValueError, "must be aligned to 4 bytes"),
    ([{"params": f32(2)}, {"params": f32(2), "rate": 1}], TypeError, "params[1] has the unknown option 'rate'"),
    ([{"params": f32(2)}, {"params": f32(2), "lr": -1}], ValueError, "AdamW: params[1]: lr must be in [0, inf), got -1"),
    ([{"params": f32(2)}, {"params": f32(2), "agc": 0}], ValueError, "AdamW: params[1]: agc must be in (0, inf), got 0"),
    ([{"params": f32(2)}, {"params": f32(2), "ema": 0.5}], TypeError, "params[1] has the unknown option 'ema'; it is for the whole optimizer and given when that is made"),
    ([{"params": f32(2), "cautious": True, "grams": True}], ValueError, "AdamW: params[0]: cautious and grams must not"),
]  # fmt: skip

OPTIONS = [
    (lrcore.AdamW, {"lr": -1e-3}, ValueError, "AdamW: lr must be in [0, inf), got -0.001"),
    (lrcore.AdamW, {"lr": float("nan")}, ValueError, "AdamW: lr must be in [0, inf), got nan"),
    (lrcore.AdamW, {"lr": "fast"}, TypeError, "AdamW: lr must be a number in [0, inf), got 'fast'"),
    (lrcore.AdamW, {"betas": (1.0, 0.9)}, ValueError, "AdamW: betas[0] must be in [0, 1), got 1.0"),
    (lrcore.AdamW, {"betas": 0.9}, ValueError, "AdamW: betas must be a tuple of 2 numbers, got 0.9"),
    (lrcore.AdamW, {"betas": (0.9,)}, ValueError, "AdamW: betas must be a tuple of 2 numbers"),
    (lrcore.AdamW, {"eps": -1}, ValueError, "AdamW: eps must be in [0, inf), got -1"),
    (lrcore.AdamW, {"amsgrad": 1}, TypeError, "AdamW: amsgrad must be True or False, got 1"),
    (lrcore.AdamW, {"maximize": "no"}, TypeError, "AdamW: maximize must be True or False, got 'no'"),
    (lrcore.AdamW, {"momentum": 0.9}, TypeError, "AdamW: there is no option 'momentum'; there are ['agc', 'amsgrad'"),
    (lrcore.AdamW, {"clip_norm": 0}, ValueError, "AdamW: clip_norm must be in (0, inf], got 0"),
    (lrcore.AdamW, {"clip_value": -1.0}, ValueError, "AdamW: clip_value must be in (0, inf), got -1.0"),
    (lrcore.AdamW, {"nonfinite": "warn"}, ValueError, "AdamW: nonfinite must be one of"),
    (lrcore.AdamW, {"backend": "cuda"}, ValueError, 'AdamW: backend must be "c" or "numpy", got \'cuda\''),
    (lrcore.AdamW, {"backend": np.ones(2)}, ValueError, 'AdamW: backend must be "c" or "numpy"'),
    (lrcore.AdamW, {"nonfinite": np.ones(2)}, ValueError, "AdamW: nonfinite must be one of"),
    (lrcore.SGD, {"nesterov": True}, ValueError, "SGD: nesterov must go with momentum > 0 and dampening 0"),
    (lrcore.HypergradientSGD, {"nesterov": True}, ValueError, "HypergradientSGD: nesterov must go with momentum > 0, got momentum 0.0"),
    (lrcore.RMSprop, {"alpha": 1.5}, ValueError, "RMSprop: alpha must be in [0, 1), got 1.5"),
    (lrcore.Rprop, {"etas": (1.0, 1.2)}, ValueError, "Rprop: etas[0] must be in (0, 1), got 1.0"),
    (lrcore.Rprop, {"etas": (0.5, 1.0)}, ValueError, "Rprop: etas[1] must be in (1, inf), got 1.0"),
    (lrcore.Rprop, {"step_sizes": (2.0, 1.0)}, ValueError, "Rprop: step_sizes[0] must be at most step_sizes[1], 1.0, got 2.0"),
    (lrcore.Signum, {"momentum": 1.0}, ValueError, "Signum: momentum must be in [0, 1), got 1.0"),
    (lrcore.MADGRAD, {"momentum": 1.0}, ValueError, "MADGRAD: momentum must be in [0, 1), got 1.0"),
    (lrcore.FTRL, {"lr_power": 0.5}, ValueError, "FTRL: lr_power must be in (-inf, 0], got 0.5"),
    (lrcore.Adadelta, {"rho": 1.5}, ValueError, "Adadelta: rho must be in [0, 1], got 1.5"),
]  # fmt: skip

GOOD = {"w": f32(2, 3), "layers": [f32(4), f32()]}

GRADS = [
    ({**GOOD, "w": np.ma.masked_array(f32(2, 3), mask=True)}, TypeError, "must have no mask"),
    (f32(2, 3), TypeError, "grads: must be a dict with the keys of the parameters, got ndarray"),
    ({"w": f32(2, 3)}, ValueError, "grads: must have the key 'layers'"),
    ({**GOOD, "x": f32(1)}, ValueError, "got also ['x']"),
    ({**GOOD, "w": f32(3, 2)}, ValueError, 'grads["w"]: shape must be (2, 3), got (3, 2)'),
    ({**GOOD, "w": f32(6)}, ValueError, 'grads["w"]: shape must be (2, 3), got (6,)'),
    ({**GOOD, "w": np.zeros((2, 3), int)}, TypeError, 'grads["w"]: dtype must be float32, float64, float16 or bfloat16, got int64'),
    ({**GOOD, "w": np.zeros((2, 3), complex)}, TypeError, "got complex128"),
    ({**GOOD, "w": "text"}, TypeError, 'grads["w"]: must be a NumPy array or None, got str'),
    ({**GOOD, "layers": [f32(4)]}, ValueError, 'grads["layers"]: must have 2 entries, got 1'),
    ({**GOOD, "layers": {"a": 1}}, TypeError, 'grads["layers"]: must be a list or tuple of 2, got dict'),
    ({**GOOD, "layers": [f32(4), f32(1)]}, ValueError, 'grads["layers"][1]: shape must be (), got (1,)'),
]  # fmt: skip


def message_of(error):
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("params", "kind", "text"), PARAMS)
def test_parameters(params, kind, text):
    with pytest.raises(kind) as error:
        lrcore.AdamW(params)
    assert text in message_of(error)


@pytest.mark.parametrize(("rule", "options", "kind", "text"), OPTIONS)
def test_options(rule, options, kind, text):
    with pytest.raises(kind) as error:
        rule(f32(3), **options)
    assert text in message_of(error)


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize(("grads", "kind", "text"), GRADS)
def test_gradients_change_nothing(grads, kind, text, backend):
    params = {"w": np.ones((2, 3), np.float32), "layers": [f32(4), f32()]}
    opt = lrcore.AdamW(params, backend=backend)
    opt.step({"w": np.ones((2, 3), np.float32), "layers": [f32(4), None]})
    before = opt.state_dict(), params["w"].copy()
    with pytest.raises(kind) as error:
        opt.step(grads)
    assert text in message_of(error)
    assert_same_state(opt.state_dict(), before[0])
    assert_array_equal(params["w"], before[1])


def assert_same_state(a, b):
    np.testing.assert_equal(a, b)


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_non_finite_gradients_change_nothing(nonfinite, bad, clip, backend):
    params = [np.ones(20000, np.float32), np.ones(3)]
    opt = lrcore.AdamW(params, clip_norm=clip, backend=backend, nonfinite=nonfinite)
    opt.step([p.copy() for p in params])
    before = opt.state_dict(), [p.copy() for p in params]
    grads = [np.ones(20000, np.float32), np.array([1.0, bad, 2.0])]
    if nonfinite == "skip":
        assert opt.step(grads) is False
    else:
        with pytest.raises(lrcore.NonFiniteError, match=r"grads\[1\]: must be finite"):
            opt.step(grads)
    assert_same_state(opt.state_dict(), before[0])
    for p, q in zip(params, before[1], strict=True):
        assert_array_equal(p, q)
    assert issubclass(lrcore.NonFiniteError, FloatingPointError)


def test_ignore_updates_regardless():
    p = np.ones(3)
    opt = lrcore.SGD(p, lr=1.0, nonfinite="ignore")
    assert opt.step(np.array([1.0, np.nan, np.inf])) is True
    assert_array_equal(p, [0.0, np.nan, -np.inf])


def test_huge_float64_gradients_are_finite():
    """Their squares overflow, they do not."""
    p = np.zeros(2)
    lrcore.SGD(p, lr=1.0, clip_norm=1.0).step(np.array([1e200, 1.0]))
    assert_array_equal(p, [0.0, 0.0])
    lrcore.SGD(p, lr=1.0).step(np.array([1e200, 1.0]))
    assert_array_equal(p, [-1e200, -1.0])


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_a_schedule_that_leaves_the_domain_changes_nothing(backend):
    p = np.ones(3)
    opt = lrcore.SGD(
        p, lr=schedules.Lambda(lambda t: [0.1, float("nan"), -1.0][t]), backend=backend
    )
    opt.step(np.ones(3))
    for value in ("nan", "-1.0"):
        before = p.copy()
        with pytest.raises(ValueError, match=rf"SGD at update {opt.t}: lr must be .*, got {value}"):
            opt.step(np.ones(3))
        assert_array_equal(p, before)
        opt._plan.t = 2
    assert opt.state_dict()["param_groups"][0]["params"][""]["t"] == 1


def test_an_exception_in_a_lambda_reaches_the_caller():
    opt = lrcore.SGD(np.ones(3), lr=0.5 * schedules.Lambda(lambda t: 1 / t))
    with pytest.raises(ZeroDivisionError):
        opt.step(np.ones(3))
    assert opt.t == 0


def test_assigning_to_a_group_checks():
    opt = lrcore.AdamW(f32(3))
    group = opt.param_groups[0]
    for name, value, text in [
        ("lr", -1, "AdamW: param_groups[0]: lr must be in"),
        ("betas", (0.9, 1.0), "betas[1] must be in [0, 1), got 1.0"),
        ("rate", 1, "'rate' cannot be set"),
        ("params", f32(3), "'params' cannot be set"),
        ("ema", 0.5, "'ema' cannot be set; it is for the whole optimizer and given when that is"),
        ("lr_scale", 2.0, "'lr_scale' cannot be set; it is given when the group is made"),
    ]:
        with pytest.raises((ValueError, KeyError, TypeError)) as error:
            group[name] = value
        assert text in str(error.value)
    with pytest.raises(TypeError, match="cannot be deleted"):
        del group["lr"]
    assert group["lr"] == 1e-3


def test_a_group_that_is_refused_leaves_the_optimizer_as_it_was():
    w = f32(3)
    opt = lrcore.SGD({"w": w})
    for bad in ({"params": w}, {"params": f32(2), "lr": -1}, {"lr": 1}):
        with pytest.raises((ValueError, TypeError)) as error:
            opt.add_param_group(bad)
        assert "lr" not in bad or "params" not in bad or "SGD: params[1]: lr" in str(error.value)
        assert opt.step({"w": f32(3)})
    assert opt.t == 3


def test_functional_checks_too():
    p, g = f32(3), f32(3)
    state = functional.init("adamw", p)
    cases = [
        (lambda: functional.adamw(p, g, state, t=0), "t must be an integer in [1, 2**53], got 0"),
        (lambda: functional.adamw(p, g, state, t=2**70), "t must be an integer in [1,"),
        (lambda: functional.adamw(p, g, None, t=1), "state must be a tuple of 2 arrays"),
        (lambda: functional.adamw(p, g, state[:1], t=1), "state must be a tuple of 2 arrays"),
        (lambda: functional.adamw(p, g, (f32(3), f32(4)), t=1), "state v must be a float32 array of shape (3,)"),
        (lambda: functional.adamw(p, g, state, t=1, lr=-1), "AdamW: lr must be in [0, inf)"),
        (lambda: functional.adamw(p, g, state, t=1, rate=1), "'rate' must be one of"),
        (lambda: functional.adamw(p, f32(4), state, t=1), "shape must be (3,), got (4,)"),
        (lambda: functional.adamw(p, g, state, t=1, lr=schedules.Constant(1.0)), "got a schedule"),
        (lambda: functional.init("adamx", p), "rule must be one of"),
    ]  # fmt: skip
    for call, text in cases:
        with pytest.raises((ValueError, TypeError)) as error:
            call()
        assert text in message_of(error)


@pytest.mark.parametrize("name", ["", "avx9000", "AVX2"])
def test_unknown_instruction_set(name):
    with pytest.raises(ValueError, match="set_isa: name must be one of"):
        lrcore.set_isa(name)


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True, None])
def test_thread_counts(n):
    with pytest.raises(ValueError, match="set_num_threads: n must be an integer >= 1"):
        lrcore.set_num_threads(n)


def test_the_base_class_is_not_a_rule():
    with pytest.raises(TypeError, match=r"make one of lrcore\.optimizers"):
        lrcore.Optimizer(f32(3), {})


def test_a_class_without_a_row_is_named_when_it_is_made():
    with pytest.raises(TypeError, match=r"rules\.def has no row nosuchrule"):
        type("NoSuchRule", (lrcore.Optimizer,), {})


def test_assigning_several_is_all_or_nothing():
    opt = lrcore.SGD(f32(3), lr=0.5)
    with pytest.raises(ValueError, match="momentum must be in"):
        opt.param_groups[0].update(lr=3.0, momentum=-1)
    assert opt.lr == 0.5
    opt.param_groups[0].update(lr=3.0, momentum=0.9)
    assert opt.lr == 3.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["plain", "strided", "half"])
def test_a_non_finite_element_is_found_wherever_it_is(dtype, layout):
    n = 2 * 8192 + 7
    p = np.ones(n, dtype)
    opt = lrcore.SGD(p, lr=1.0, nonfinite="skip")
    for isa in lrcore.isas():
        lrcore.set_isa(isa)
        for place in (0, 1, 15, 16, 1023, 1024, 1025, 8191, 8192, 2 * 8192, n - 1):
            g = np.ones(n, "float16" if layout == "half" else dtype)
            g[place] = np.nan if place % 2 else -np.inf
            if layout == "strided":
                g = np.repeat(g, 2)[::2]
            assert not opt.step(g), (isa, place)
    assert (p == 1).all()


def test_neighbours_in_one_buffer_are_no_overlap():
    room = np.zeros(20)
    opt = lrcore.SGD([room[10:], room[:10]], lr=1.0)
    opt.step([np.ones(10), np.full(10, 2.0)])
    assert_array_equal(room, [-2.0] * 10 + [-1.0] * 10)


def test_an_error_of_the_constructors_names_no_group():
    for groups in ([{"params": f32(2)}], [{"params": f32(2), "lr": 0.1, "nesterov": False}]):
        with pytest.raises(ValueError, match=r"^SGD: lr must be in"):
            lrcore.SGD(groups, lr=-1)
    with pytest.raises(ValueError, match=r"^SGD: nesterov must go"):
        lrcore.SGD([{"params": f32(2)}], nesterov=True)
    with pytest.raises(ValueError, match=r"^SGD: params\[0\]: nesterov must go"):
        lrcore.SGD([{"params": f32(2), "nesterov": True}])
