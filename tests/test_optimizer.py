"""What an Optimizer does besides the arithmetic: structures, groups, schedules, saving, copying."""

import copy
import gc
import json
import pickle
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrcore
from lrcore import functional, schedules
from lrcore._cases import named
from lrcore._hyper import SCALARS, STATES, domain_of

RULES = [getattr(lrcore.optimizers, name) for name in lrcore.optimizers.__all__]


def tree(seed=0, dtype="float32"):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    return {"layers": [{"w": draw(7, 5), "b": draw(5)}, {"w": draw(5, 3), "b": draw(3)}],
            "scale": np.array(draw(), dtype), "empty": draw(0, 4)}  # fmt: skip


def leaves(node):
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        return [x for child in node for x in leaves(child)]
    return [node]


def assert_same(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        assert_array_equal(x, y)


def test_any_structure_is_the_same_arithmetic():
    params = tree()
    flat = [p.copy() for p in leaves(params)]
    one = lrcore.Adam(params, lr=0.1)
    other = lrcore.Adam(tuple(flat), lr=0.1)
    for t in range(3):
        grads = tree(seed=t + 1)
        one.step(grads)
        other.step(leaves(grads))
    assert_same(params, flat)


def test_single_array_zero_size_and_zero_dimensional():
    w, none, scalar = np.ones((2, 2)), np.zeros((0, 3)), np.array(1.0)
    for p in (w, none, scalar):
        assert lrcore.SGD(p, lr=0.5).step(np.ones_like(p))
    assert_array_equal(w, 0.5)
    assert scalar == 0.5
    opt = lrcore.SGD(scalar, lr=0.5)
    opt.step(np.float64(1.0))  # what arithmetic on 0-d arrays returns
    opt.step(0.0)
    assert scalar == 0.0


def test_arrays_of_other_libraries_are_read_through_their_array_method():
    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return np.ones(3)

    p = np.zeros(3)
    lrcore.SGD(p, lr=1.0).step(Foreign())
    assert_array_equal(p, -1.0)


def test_none_leaves_parameter_state_and_age_alone():
    params = tree()
    opt = lrcore.AdamW(params)
    grads = tree(1)
    grads["layers"][0] = None
    before = params["layers"][0]["w"].copy()
    opt.step(grads)
    assert_array_equal(params["layers"][0]["w"], before)
    saved = opt.state_dict()["param_groups"][0]["params"]
    assert saved["layers.0.w"]["t"] == 0
    assert not saved["layers.0.w"]["m"].any()
    assert saved["layers.1.w"]["t"] == 1
    assert opt.t == 1
    assert opt.step(None)
    assert opt.t == 2


def test_a_late_parameter_is_corrected_for_its_own_age():
    p, q = np.zeros(1), np.zeros(1)
    late = lrcore.Adam([np.zeros(1), p], lr=0.1)
    for _ in range(50):
        late.step([np.ones(1), None])
    late.step([np.ones(1), np.ones(1)])
    lrcore.Adam(q, lr=0.1).step(np.ones(1))
    assert_array_equal(p, q)


def test_groups_have_their_own_values():
    a, b = np.ones(3), np.ones(3)
    opt = lrcore.SGD([{"params": {"a": a}}, {"params": b, "lr": 0.5, "maximize": True}], lr=0.25)
    opt.step([{"a": np.ones(3)}, np.ones(3)])
    assert_array_equal(a, 0.75)
    assert_array_equal(b, 1.5)
    opt.param_groups[1]["lr"] = 0.0
    opt.step([None, np.ones(3)])
    assert_array_equal(b, 1.5)
    assert opt.param_groups[1]["lr"] == 0.0
    assert set(opt.state) == {"0.a", "1."}


def test_add_param_group_keeps_state():
    a, b, c = np.ones(3), np.ones(3), np.ones(3)
    opt = lrcore.Adam(a, lr=0.1)
    opt.step(np.ones(3))
    opt.add_param_group({"params": [b], "lr": 0.2})
    opt.step([np.ones(3), [np.ones(3)]])
    alone = lrcore.Adam(c, lr=0.1)
    alone.step(np.ones(3))
    alone.step(np.ones(3))
    assert_array_equal(a, c)
    assert len(opt.param_groups) == 2
    assert opt.t == 2


def test_switching_on_a_state_creates_it():
    p = np.ones(3)
    opt = lrcore.SGD(p, lr=0.1)
    opt.step(np.ones(3))
    assert opt.state[""] == {}
    opt.param_groups[0]["momentum"] = 0.9
    opt.step(np.ones(3))
    assert list(opt.state[""]) == ["buf"]
    assert opt.t == 2


@pytest.mark.parametrize("rule", RULES)
def test_every_hyper_parameter_can_be_scheduled(rule):
    """A schedule is a number assigned anew before each step."""
    values = {k: v for k, v in dict(rule(np.ones(1)).param_groups[0]).items() if k != "params"}
    fixed = {k for k, v in values.items() if isinstance(v, (bool, str)) or v is None}
    fixed |= {state.start for state in STATES[rule.rule]} | set(SCALARS[rule.rule].values())
    for name in sorted(set(values) - fixed):
        domain = domain_of(rule.rule, name)
        if domain.integer:
            continue
        value = ramp = two_inside(domain)
        if isinstance(values[name], tuple):
            value = (ramp, *values[name][1:])
        scheduled, numbers = tree(), tree()
        a, b = rule(scheduled, **{name: value}), rule(numbers, **{name: _at(value, 0)})
        for t in range(6):
            b.param_groups[0][name] = _at(value, t)
            a.step(tree(t + 1), loss=2.0)
            b.step(tree(t + 1), loss=2.0)
        assert_same(scheduled, numbers)


def two_inside(domain):
    """One number of a domain, and from the third update on another."""
    one, other = [x for x in (0.5, 0.25, 2, 4, -0.5, -0.25) if x in domain][:2]
    return schedules.Lambda(lambda t: one if t < 3 else other)


def _at(value, t):
    if isinstance(value, tuple):
        return tuple(_at(v, t) for v in value)
    return value(t) if isinstance(value, schedules.Schedule) else value


def test_options_can_be_scheduled():
    p, q = np.zeros(3), np.zeros(3)
    norm, value = schedules.Linear(1.0, steps=4, end=0.5), schedules.Constant(0.3)
    a = lrcore.SGD(p, lr=1.0, clip_norm=norm, clip_value=value)
    b = lrcore.SGD(q, lr=1.0, clip_norm=norm, clip_value=value, backend="numpy")
    for _ in range(5):
        a.step(np.array([1.0, 2.0, 3.0]))
        b.step(np.array([1.0, 2.0, 3.0]))
    assert_array_equal(p, q)
    assert a.grad_norm == b.grad_norm == np.sqrt(14.0)


def test_lr_is_what_the_next_update_uses():
    p = np.zeros(1)
    opt = lrcore.SGD(p, lr=schedules.Step(1.0, step_size=2, gamma=0.5))
    seen = []
    for _ in range(5):
        before, rate = p.copy(), opt.lr
        opt.step(np.ones(1))
        seen.append(rate)
        assert before - p == rate
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_lambdas_see_the_index_of_the_update():
    seen = []
    opt = lrcore.SGD(np.zeros(1), lr=schedules.Lambda(lambda t: seen.append(t) or 0.1))
    for _ in range(3):
        opt.step(np.ones(1))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize("rule", RULES)
def test_resumed_is_uninterrupted(rule, backend):
    options = {
        "lr": schedules.Cosine(0.1, steps=20, warmup=3),
        "clip_norm": 1.0,
        "backend": backend,
    }
    straight, resumed = tree(), tree()
    a, b = (rule(p, **named(rule, options)) for p in (straight, resumed))
    for t in range(5):
        a.step(tree(t + 1), loss=2.0)
        b.step(tree(t + 1), loss=2.0)
    saved = b.state_dict()
    fresh = rule(resumed, backend=backend)
    fresh.load_state_dict(saved)
    assert fresh.t == 5
    for t in range(5, 10):
        a.step(tree(t + 1), loss=2.0)
        fresh.step(tree(t + 1), loss=2.0)
    assert_same(straight, resumed)
    np.testing.assert_equal(a.state_dict(), fresh.state_dict())


def test_state_dict_is_plain_and_a_copy():
    params = tree()
    opt = lrcore.Adam(
        params, lr=schedules.Cosine(0.1, steps=20), betas=(0.8, schedules.Constant(0.9))
    )
    opt.step(tree(1))
    saved = opt.state_dict()
    text = json.dumps(saved, default=lambda a: a.tolist())
    assert "cosine" in text
    m = saved["param_groups"][0]["params"]["layers.0.b"]["m"]
    assert m.dtype == np.float32
    m[:] = 7
    assert not (opt.state["layers.0.b"]["m"] == 7).any()


def test_loading_refuses_what_does_not_fit_and_changes_nothing():
    opt = lrcore.Adam({"w": np.ones(3, np.float32)})
    opt.step({"w": np.ones(3, np.float32)})
    good = opt.state_dict()

    def changed(change):
        state = copy.deepcopy(good)
        change(state)
        return state

    def entry(s):
        return s["param_groups"][0]["params"]["w"]

    bad = [
        (lambda s: s.update(rule="sgd"), "rule must be 'adam', got 'sgd'"),
        (lambda s: s.pop("t"), "state must be a dict with the keys"),
        (lambda s: s.update(t=-1), "t must be an integer in [0, 2**53], got -1"),
        (lambda s: s.update(t=2**70), "t must be an integer in [0, 2**53]"),
        (lambda s: s.update(param_groups=None), "param_groups must be a list of 1, got NoneType"),
        (lambda s: s.update(rule=np.ones(2)), "rule must be 'adam'"),
        (lambda s: s["param_groups"][0].update(lr={"a": 1}), "param_groups[0]['lr']: "),
        (lambda s: s["param_groups"][0]["params"].update(w=3), "must be a dict with the keys"),
        (lambda s: entry(s).update(t=2**70), "must be an integer in [0, 2**53]"),
        (lambda s: s["param_groups"].append({}), "param_groups must be a list of 1, got 2"),
        (lambda s: s["param_groups"][0].pop("lr"), "param_groups[0] must be a dict with the keys"),
        (lambda s: s["param_groups"][0].update(lr=-1.0), "Adam.load_state_dict: param_groups[0]: lr must be in [0, inf), got -1.0"),
        (lambda s: s["param_groups"][0].update(amsgrad=True), "['vmax'"),
        (lambda s: entry(s).update(m=np.zeros(4, np.float32)), "must be a float32 array of shape (3,)"),
        (lambda s: entry(s).update(m=np.zeros(3)), "got float64 of shape (3,)"),
        (lambda s: entry(s).update(t="1"), "must be an integer in [0, 2**53], got '1'"),
        (lambda s: entry(s).pop("v"), "must be a dict with the keys ['m', 't', 'v'], got ['m', 't']"),
        (lambda s: s["param_groups"][0]["params"].update(x={}), "must be a dict with the keys ['w']"),
        (lambda s: s.update(nonfinite="?"), "nonfinite must be one of"),
    ]  # fmt: skip
    for change, text in bad:
        with pytest.raises(ValueError, match="load_state_dict: ") as error:
            opt.load_state_dict(changed(change))
        assert text.strip("[") in str(error.value), text
        np.testing.assert_equal(opt.state_dict(), good)


def test_a_lambda_survives_saving_where_it_is_made_again():
    f = schedules.Lambda(lambda t: 0.1)
    opt = lrcore.SGD(np.ones(3), lr=f)
    saved = opt.state_dict()
    other = lrcore.SGD(np.ones(3), lr=f)
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] is f
    with pytest.raises(ValueError, match="made of a Python function"):
        lrcore.SGD(np.ones(3), lr=0.1).load_state_dict(saved)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("rule", RULES)
def test_copies_go_their_own_way_bit_for_bit(rule, how):
    params = tree()
    rate = named(rule, {"lr": schedules.Cosine(0.1, steps=20)})
    opt = rule(params, clip_value=0.5, **rate)
    opt.step(tree(1), loss=2.0)
    other, theirs = how((opt, params))
    assert theirs["layers"][0]["w"] is other.param_groups[0]["params"]["layers"][0]["w"]
    assert_same(params, theirs)
    other.step(tree(2), loss=2.0)
    assert not np.array_equal(params["layers"][0]["w"], theirs["layers"][0]["w"])
    opt.step(tree(2), loss=2.0)
    assert_same(params, theirs)
    assert other.t == opt.t == 2
    assert repr(other) == repr(opt)


def test_an_optimizer_can_be_collected():
    opt = lrcore.AdamW(np.ones(3))
    opt.step(np.ones(3))
    ref = weakref.ref(opt)
    del opt
    gc.collect()
    assert ref() is None


def test_gradients_are_not_kept():
    opt, g = lrcore.AdamW(np.ones(3)), np.ones(3)
    ref = weakref.ref(g)
    opt.step(g)
    del g
    assert ref() is None


@pytest.mark.parametrize("rule", RULES)
def test_functional_is_the_class(rule):
    name = rule.rule
    p, q = tree()["layers"][0]["w"], tree()["layers"][0]["w"]
    opt = rule(p)
    state = functional.init(name, q)
    for t in range(1, 4):
        g = tree(t)["layers"][0]["w"]
        opt.step(g, loss=3.0)
        loss = {"loss": 3.0} if rule.needs_loss else {}
        assert getattr(functional, name)(q, g, state, t=t, **loss) is None
    assert_array_equal(p, q)
    kept = [a for x, a in opt.state[""].items() if x != "work"]
    for a, b in zip([*kept, *opt._plan.scalars], state, strict=True):
        assert_array_equal(a, b)


def test_clipping_is_torchs():
    p = np.zeros(2)
    lrcore.SGD(p, lr=1.0, clip_norm=1.0).step(np.array([3.0, 4.0]))
    np.testing.assert_allclose(p, [-0.6, -0.8], rtol=1e-6)
    p = np.zeros(2)
    lrcore.SGD(p, lr=1.0, clip_norm=10.0).step(np.array([3.0, 4.0]))
    assert_array_equal(p, [-3.0, -4.0])


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_an_infinite_norm_only_measures(backend):
    p, q = np.zeros(2), np.zeros(2)
    opt = lrcore.SGD(p, lr=1.0, clip_norm=float("inf"), backend=backend)
    lrcore.SGD(q, lr=1.0, backend=backend).step(np.array([3.0, 4.0]))
    opt.step(np.array([3.0, 4.0]))
    assert_array_equal(p, q)
    assert opt.grad_norm == 5.0
    opt.param_groups[0]["clip_norm"] = np.inf
    opt.load_state_dict(opt.state_dict())
    opt.step(np.array([3.0, 4.0]))
    assert_array_equal(p, 2 * q)
    with pytest.raises(ValueError, match=r"clip_value must be in \(0, inf\), got inf"):
        lrcore.SGD(p, clip_value=np.inf)
    opt = lrcore.SGD(p, clip_norm=schedules.Lambda(lambda t: np.inf), backend=backend)
    assert opt.step(np.ones(2))
    assert opt.grad_norm == np.sqrt(2.0)


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_the_norm_of_the_last_step_is_kept_until_the_next(backend):
    opt = lrcore.SGD(np.zeros(2), clip_norm=1.0, nonfinite="skip", backend=backend)
    opt.step(np.array([3.0, 4.0]))
    opt.param_groups[0].update(momentum=0.9, agc=0.5)  # a new plan
    assert opt.grad_norm == 5.0
    opt.add_param_group({"params": np.zeros(2)})
    assert opt.grad_norm == 5.0
    assert copy.deepcopy(opt).grad_norm == 5.0
    opt.accumulate([np.ones(2), None])
    assert opt.grad_norm == 5.0
    opt.load_state_dict(opt.state_dict())
    assert opt.grad_norm == 0.0


def test_repr_names_the_rule_and_its_values():
    assert repr(lrcore.SGD([np.ones(3)], lr=0.5)).startswith("<SGD of 1 array, t=0: {'lr': 0.5")
    opt = lrcore.SGD(np.ones(3), clip_norm=1.0, ema=0.5, seed=3, stats=True)
    shown = "t=0, clip_norm=1.0, ema=EMA(decay=0.5, warmup=False), seed=3, stats=True: {"
    assert shown in repr(opt)


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_a_schedules_function_cannot_change_the_optimizer(backend):
    changes = []

    def meddle(t):
        for change in changes:
            change()
        return 0.1

    opt = lrcore.SGD(np.ones(3), lr=schedules.Lambda(meddle, warmup=5) * 0.5, backend=backend)
    saved = lrcore.SGD(np.ones(3)).state_dict()
    for change in (
        lambda: opt.param_groups[0].update(lr=0.3),
        lambda: opt.add_param_group({"params": np.ones(2)}),
        lambda: opt.load_state_dict(saved),
        lambda: opt.step(np.ones(3)),
    ):
        changes[:] = [change]
        with pytest.raises(RuntimeError, match="must be left alone while it makes a step"):
            opt.step(np.ones(3))
        assert opt.t == 0
    changes.clear()
    assert opt.step(np.ones(3))


def test_what_happens_to_the_containers_does_not_matter():
    """An optimizer goes on with the arrays it was given."""
    w, b = np.ones(3), np.ones(4)
    params = {"w": w, "b": b}
    opt = lrcore.Adam(params, lr=0.1)
    opt.step({"w": np.ones(3), "b": np.ones(4)})
    params["w"] = np.zeros(4_000_000)
    params["x"] = np.zeros(2)
    opt.param_groups[0]["amsgrad"] = True
    opt.add_param_group({"params": np.ones(2)})
    other = pickle.loads(pickle.dumps(copy.deepcopy(opt)))
    grads = [{"w": np.ones(3), "b": np.ones(4)}, np.ones(2)]
    before = w.copy()
    opt.step(grads)
    other.step(grads)
    assert (w < before).all()
    assert_array_equal(other._layout.leaves[0].array, w)
    assert (params["w"] == 0).all()


def test_an_array_that_is_reshaped_in_place_is_safe():
    w = np.zeros(2**12, np.float32)
    opt = lrcore.SGD(w, lr=1.0)
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            w.shape = (2,) * 12
    assert opt.step(np.ones(2**12, np.float32))
    assert (w == -1).all()
    with pytest.raises(ValueError, match="must keep the shape, dtype and order"):
        opt.param_groups[0]["momentum"] = 0.9
    assert opt.step(np.ones(2**12, np.float32))


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize(
    ("rule", "name", "on", "off"),
    [
        (lrcore.Adam, "amsgrad", True, False),
        (lrcore.RMSprop, "centered", True, False),
        (lrcore.RMSprop, "momentum", 0.9, 0.0),
        (lrcore.SGD, "momentum", 0.9, 0.0),
    ],
)
def test_switching_off_a_state_switches_it_off(rule, name, on, off, backend):
    """From then on as if it had never been on, but for where it got to."""
    p, q = np.ones(3), np.ones(3)
    a, b = (rule(x, lr=0.1, **{name: on}, backend=backend) for x in (p, q))
    for opt in (a, b):
        opt.step(np.array([1.0, -2.0, 3.0]))
    a.param_groups[0][name] = off
    saved = a.state_dict()
    a.load_state_dict(saved)
    fresh = rule(q, lr=0.1, **{name: off}, backend=backend)
    kept = {k: v for k, v in b.state[""].items() if k in fresh.state[""]}
    state = fresh.state_dict()
    state["t"] = state["param_groups"][0]["params"][""]["t"] = 1
    state["param_groups"][0]["params"][""].update(kept)
    fresh.load_state_dict(state)
    assert set(a.state[""]) == set(fresh.state[""])
    for _ in range(3):
        a.step(np.array([0.1, 0.2, -0.3]))
        fresh.step(np.array([0.1, 0.2, -0.3]))
    assert_array_equal(p, q)


def test_errors_of_a_refused_step_are_not_raised_later():
    broken = [True]

    def f(t):
        if broken[0]:
            raise ZeroDivisionError
        return 0.1

    opt = lrcore.SGD(np.ones(3), lr=schedules.Lambda(f), weight_decay=0.5 * schedules.Lambda(f))
    with pytest.raises(ZeroDivisionError):
        opt.step(np.ones(3))
    broken[0] = False
    assert opt.step(np.ones(3))


def test_mappings_that_are_no_dict():
    from types import MappingProxyType

    w = np.zeros(3)
    opt = lrcore.SGD(MappingProxyType({"w": w}), lr=1.0)
    assert opt.step(MappingProxyType({"w": np.ones(3)}))
    assert_array_equal(w, -1.0)


def test_a_shallow_copy_is_refused():
    with pytest.raises(TypeError, match=r"use copy\.deepcopy"):
        copy.copy(lrcore.SGD(np.ones(3)))
