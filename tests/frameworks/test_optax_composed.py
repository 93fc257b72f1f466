"""lrcore.optax among optax's own: parts of larger transformations, optax's rules, and errors."""

import copy

import numpy as np
import pytest
from jax_runs import RULES, adapter, installed, jax_run, plain_run, same_tree, tree

import lrcore
from lrcore import optimizers, schedules
from lrcore._hyper import RULES as ROWS

pytestmark = pytest.mark.frameworks

if adapter is not None:
    import jax
    import jax.numpy as jnp
    import optax

W = {"w": np.array([[1.0, -2.0], [3.0, 0.5]], np.float32), "b": np.array([0.5, 1.0], np.float32)}
GRADS = [{"w": 0.1 * (i + 1) * W["w"][::-1], "b": W["b"] - i} for i in range(8)]


@pytest.fixture(autouse=True)
def _installed():
    installed()


def run(tx, params=W, grads=GRADS, **extra):
    """Parameters after the usual loop of optax."""
    params = jax.tree.map(jnp.asarray, params)
    state, update = tx.init(params), jax.jit(tx.update)
    for g in grads:
        updates, state = update(g, state, params, **extra)
        params = optax.apply_updates(params, updates)
    return params, state


def near(got, wanted, rtol=1e-6):
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-7)


def near64(ours, theirs):
    """The same in float64: in float32 optax rounds the bias correction, to 6e-5 of the first step."""
    with jax.enable_x64(True):
        grads = jax.tree.map(np.float64, GRADS)
        near(*(run(make(), jax.tree.map(np.float64, W), grads)[0] for make in (ours, theirs)), 1e-9)


# ----------------------------------------------------------------------- part of a larger one


def test_what_holds_a_transformation_can_be_copied():
    tx = adapter.AdamW(0.1)
    assert copy.deepcopy({"tx": tx})["tx"] is tx


def test_in_a_chain():
    def chain(tx):
        return optax.chain(optax.clip_by_global_norm(0.5), tx, optax.scale(0.5))

    near64(lambda: chain(adapter.AdamW(0.1)), lambda: chain(optax.adamw(0.1, weight_decay=0.01)))


def test_masked():
    tx = optax.masked(adapter.AdamW(0.1), {"w": True, "b": False})
    got, state = run(tx)
    alone, own = run(adapter.AdamW(0.1), {"w": W["w"]}, [{"w": g["w"]} for g in GRADS])
    same_tree(got["w"], alone["w"])
    same_tree(state.inner_state, own)
    np.testing.assert_allclose(got["b"], W["b"] + sum(g["b"] for g in GRADS), rtol=1e-6)


def test_multi_transform_of_two_rules():
    tx = optax.multi_transform(
        {"matrix": adapter.Muon(0.1), "vector": adapter.AdamW(0.01)}, {"w": "matrix", "b": "vector"}
    )
    got, _ = run(tx)
    same_tree(got["w"], run(adapter.Muon(0.1), W["w"], [g["w"] for g in GRADS])[0])
    same_tree(got["b"], run(adapter.AdamW(0.01), W["b"], [g["b"] for g in GRADS])[0])


def test_multi_steps_average_gradients():
    def both(tx):
        return optax.MultiSteps(tx, 2).gradient_transformation()

    near64(lambda: both(adapter.AdamW(0.1)), lambda: both(optax.adamw(0.1, weight_decay=0.01)))


def test_conditionally():
    tx = optax.apply_if_finite(adapter.AdamW(0.1, nonfinite="ignore"), 3)
    bad = {"w": np.full((2, 2), np.nan, np.float32), "b": W["b"]}
    same_tree(run(tx, grads=[*GRADS[:2], bad, *GRADS[2:]])[0], run(tx)[0])


def test_steps_that_are_skipped():
    tx = adapter.AdamW(0.1, nonfinite="skip")
    bad = {"w": np.full((2, 2), np.inf, np.float32), "b": W["b"]}
    got, state = run(tx, grads=[*GRADS[:2], bad, *GRADS[2:], bad])
    wanted, other = run(tx)
    same_tree((got, state.arrays, state.count), (wanted, other.arrays, other.count))
    assert (state.skipped, other.skipped) == (2, 0)


def test_extra_arguments_reach_what_is_behind():
    tx = optax.chain(adapter.PolyakSGD(max_lr=0.1), optax.scale(1.0))
    plain = {k: v.copy() for k, v in W.items()}
    plain_run(lrcore.PolyakSGD, plain, GRADS, value=2.0, max_lr=0.1)
    near(run(tx, value=2.0, other=1.0)[0], {"b": plain["b"], "w": plain["w"]})


# ---------------------------------------------------------------- numbers that are handed over


def test_injected_hyper_parameters_can_be_set_between_steps():
    make = optax.inject_hyperparams(adapter.AdamW)
    got, state = run(make(lr=0.1, clip_norm=1.0))
    rounded = {"lr": 0.1, "eps": 1e-8, "weight_decay": 0.01, "clip_norm": 1.0}
    plain = {"b": W["b"].copy(), "w": W["w"].copy()}
    plain_run(lrcore.AdamW, plain, GRADS, **{k: float(np.float32(v)) for k, v in rounded.items()})
    near(got, plain)
    tx = make(lr=0.1)
    params, state = run(tx)
    state.hyperparams["lr"] = jnp.float32(0.0)
    updates, _ = jax.jit(tx.update)(GRADS[0], state, params)
    assert all(np.all(x == 0) for x in jax.tree.leaves(updates))


def test_injected_schedules():
    s = schedules.Cosine(0.1, steps=10, warmup=3)
    tx = optax.inject_hyperparams(adapter.SGD)(
        lr=adapter.schedule(s), momentum=optax.linear_schedule(0.9, 0.5, 8)
    )
    got, state = run(tx)
    assert state.hyperparams["lr"] == np.float32(s(7))
    near(
        got,
        run(adapter.SGD(s, momentum=schedules.Linear(0.9, 8, end=0.5)))[0],
        rtol=1e-5,
    )


def test_schedules_of_both_kinds_without_injection():
    ours = adapter.SGD(schedules.Linear(0.5, 8), momentum=0.5)
    theirs = adapter.SGD(optax.linear_schedule(0.5, 0.0, 8), momentum=jnp.float32(0.5))
    near(run(theirs)[0], run(ours)[0], rtol=1e-5)
    near(run(adapter.SGD(schedules.Constant(1.0)))[0], run(adapter.SGD(1.0))[0])
    near(run(adapter.SGD(jnp.float32(0.5)))[0], run(adapter.SGD(0.5))[0])
    pair = adapter.AdamW(0.1, betas=(optax.constant_schedule(0.5), 0.999))
    same_tree(run(pair)[0], run(adapter.AdamW(0.1, betas=(0.5, 0.999)))[0])


def test_a_state_begins_at_a_number_that_is_handed_over():
    make = optax.inject_hyperparams(adapter.Adagrad)
    near(
        run(make(lr=0.1, initial_accumulator_value=0.5))[0],
        run(adapter.Adagrad(0.1, initial_accumulator_value=0.5))[0],
    )
    params = jnp.ones(3)
    state = jax.jit(lambda x: adapter.Adagrad(0.1, initial_accumulator_value=x).init(params))(0.25)
    np.testing.assert_array_equal(*[np.full(3, 0.25, "f"), *state.arrays.values()])


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_a_rate_that_is_handed_over(name):
    kind, make = getattr(optimizers, name), getattr(adapter, name)
    if kind.rate_name in {note.partition("=")[2] for note in ROWS[kind.rule].notes}:
        with pytest.raises(TypeError, match="a Python number, since the estimates begin at it"):
            make(**{kind.rate_name: jnp.float32(0.25)})
        return
    handed, exact = make(**{kind.rate_name: jnp.float32(0.3)}), float(np.float32(0.3))
    same_tree(
        jax_run(handed, tree(0), [tree(1), tree(2)]),
        jax_run(make(**{kind.rate_name: exact}), tree(0), [tree(1), tree(2)]),
    )


# --------------------------------------------------------------------- optax's own of the name

SAME = {
    "adam": (lambda: adapter.Adam(0.1), lambda: optax.adam(0.1)),
    "betas": (lambda: adapter.Adam(0.1, betas=(0.5, 0.99)), lambda: optax.adam(0.1, 0.5, 0.99)),
    "adamw": (
        lambda: adapter.AdamW(0.1, weight_decay=0.3),
        lambda: optax.adamw(0.1, weight_decay=0.3),
    ),
    "adamax": (lambda: adapter.Adamax(0.1), lambda: optax.adamax(0.1)),
    "nesterov": (
        lambda: adapter.SGD(0.1, momentum=0.9, nesterov=True),
        lambda: optax.sgd(0.1, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (
        lambda: adapter.RMSprop(0.1, alpha=0.9),
        lambda: optax.rmsprop(0.1, decay=0.9, eps_in_sqrt=False),
    ),
    "lion": (lambda: adapter.Lion(0.1), lambda: optax.lion(0.1, weight_decay=0.0)),
    "signsgd": (lambda: adapter.SignSGD(0.1), lambda: optax.sign_sgd(0.1)),
    "adadelta": (
        lambda: adapter.Adadelta(0.1, rho=0.9, eps=1e-6),
        lambda: optax.adadelta(0.1, rho=0.9, eps=1e-6),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_meaning_is_that_of_optax(name):
    ours, theirs = SAME[name]
    near64(ours, theirs)


# --------------------------------------------------------------------------- of an optimizer


def test_what_is_made_of_an_optimizer():
    opt = lrcore.AdamW(
        {"w": np.zeros(1), "b": np.zeros(1)},
        schedules.Linear(0.1, 9),
        betas=(0.8, 0.99),
        weight_decay=0.5,
        decay_mask="w",
        clip_norm=0.5,
        ema=0.9,
        maximize=True,
        nonfinite="skip",
    )
    by_hand = adapter.AdamW(
        schedules.Linear(0.1, 9),
        (0.8, 0.99),
        weight_decay=0.5,
        decay_mask="w",
        clip_norm=0.5,
        ema=0.9,
        maximize=True,
        nonfinite="skip",
    )
    same_tree(jax_run(adapter.to_optax(opt), W, GRADS), jax_run(by_hand, W, GRADS))
    alone = lrcore.SGD([{"params": np.zeros(1), "clip_norm": 0.1}], 0.5)
    same_tree(
        jax_run(adapter.to_optax(alone), W, GRADS),
        jax_run(adapter.SGD(0.5, clip_norm=0.1), W, GRADS),
    )


def stepped():
    opt = lrcore.SGD(np.zeros(1), 0.1)
    opt.step(np.zeros(1))
    return opt


WRONG = {
    "no rule": (lambda: adapter.to_optax("AdamW"), "to_optax: optimizer must be a class of lrcore"),
    "the base": (lambda: adapter.to_optax(lrcore.Optimizer), "to_optax: optimizer must be a class"),
    "groups": (
        lambda: adapter.to_optax(lrcore.SGD([{"params": np.zeros(1)}, {"params": np.zeros(1)}], 1)),
        r"to_optax\(SGD\): optimizer must have one group of parameters, got 2; optax.multi",
    ),
    "a step made": (lambda: adapter.to_optax(stepped()), "must not have made a step, .* got t = 1"),
    "arguments": (
        lambda: adapter.to_optax(lrcore.SGD(np.zeros(1), 1), lr=1),
        "arguments must go with a class",
    ),
    "too many": (
        lambda: adapter.SignSGD(0.1, 0.2, 0.3, 0.4),
        "must have at most 2 arguments by pl",
    ),
    "twice": (lambda: adapter.AdamW(0.1, lr=0.2), "optax.AdamW: lr must be given once, got two"),
    "unknown": (lambda: adapter.AdamW(0.1, b1=0.9), "optax.AdamW: there is no option 'b1'; there"),
    "out of domain": (
        lambda: adapter.AdamW(0.1, betas=(1.0, 0.9)),
        r"lrcore.optax.AdamW: betas\[0\] must be in \[0, 1\), got 1.0",
    ),
    "together": (
        lambda: adapter.SGD(0.1, nesterov=True),
        "lrcore.optax.SGD: nesterov.*momentum > 0",
    ),
    "zero_grads": (
        lambda: adapter.SGD(0.1, zero_grads=True),
        "optax.SGD: zero_grads must not be given, since gradients are JAX arrays",
    ),
    "loss_scale": (lambda: adapter.SGD(0.1, loss_scale=8.0), "loss_scale must not be given, since"),
    "of another": (
        lambda: adapter.to_optax(lrcore.SGD(np.zeros(1), 0.1, stats=True)),
        "optax.SGD: stats must not be given, since a compiled step",
    ),
    "a plateau": (
        lambda: adapter.SGD(0.5 * schedules.Plateau(0.1)),
        "optax.SGD: lr must be a function of the count alone, got a Plateau; use optax.contrib",
    ),
    "a plateau inside": (
        lambda: adapter.Adam(0.1, betas=(schedules.Plateau(0.1), 0.9)),
        "optax.Adam: betas must be a function of the count alone",
    ),
    "a whole number": (
        lambda: adapter.ScheduleFreeSGD(0.1, warmup_steps=jnp.int32(3)),
        "optax.ScheduleFreeSGD: warmup_steps must be a Python number, .* in static_args",
    ),
    "an estimate": (
        lambda: adapter.Prodigy(d0=jnp.float32(1e-6)),
        "optax.Prodigy: d0 must be a Python number, since the estimates begin at it",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused_when_it_is_made(what):
    make, text = WRONG[what]
    with pytest.raises((TypeError, ValueError), match=text) as error:
        make()
    assert str(error.value).startswith("lrcore.optax.")
    assert "\n" not in str(error.value)


def test_static_args_let_a_number_be():
    make = optax.inject_hyperparams(adapter.ScheduleFreeSGD, static_args="warmup_steps")
    near(run(make(lr=0.1))[0], run(adapter.ScheduleFreeSGD(lr=0.1))[0])


CALLS = {
    "no parameters": (lambda tx, g, s, p: tx.update(g, s), "params must be given, as in update"),
    "other structure": (
        lambda tx, g, s, p: tx.update({"w": g["w"]}, s, p),
        "grads must have the structure of params, .*; optax.masked leaves parameters out",
    ),
    "none": (lambda tx, g, s, p: tx.update({**g, "b": None}, s, p), "the structure of params"),
    "shape": (
        lambda tx, g, s, p: tx.update({**g, "b": np.ones(3, "f")}, s, p),
        r'grads\["b"\] must have the shape \(2,\), got \(3,\)',
    ),
    "whole gradients": (
        lambda tx, g, s, p: tx.update({**g, "b": np.ones(2, np.int32)}, s, p),
        r'grads\["b"\] must be of dtype float16, bfloat16, float32 or float64, got int32',
    ),
    "complex parameters": (
        lambda tx, g, s, p: tx.init({"w": np.ones(2, np.complex64)}),
        r'params\["w"\] must be of dtype .* got complex64; optax.masked leaves',
    ),
    "no state": (
        lambda tx, g, s, p: tx.update(g, (), p),
        "state must be what init returned, got t",
    ),
    "of another rule": (
        lambda tx, g, s, p: tx.update(g, adapter.SGD(0.1, momentum=0.9).init(p), p),
        r"state.arrays must be a dict with the keys \['m', 'v'\], got \['buf'\]",
    ),
    "of other parameters": (
        lambda tx, g, s, p: tx.update(g, tx.init({**p, "b": np.ones(3, "f")}), p),
        r'state.arrays\[.m.\]\["b"\] must be float32 of shape \(2,\), got float32 of shape \(3,\)',
    ),
    "state of other structure": (
        lambda tx, g, s, p: tx.update(g, tx.init(p["w"]), p),
        r"state.arrays\['m'\] must have the structure of params",
    ),
    "counter": (
        lambda tx, g, s, p: tx.update(g, s._replace(count=jnp.float32(1)), p),
        "state.count must be int32 of shape",
    ),
}


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_refused_when_it_is_used(what, compiled):
    call, text = CALLS[what]
    tx = adapter.AdamW(0.1)
    state = tx.init(W)
    function = (lambda: jax.jit(lambda: call(tx, GRADS[0], state, W))()) if compiled else None
    with pytest.raises((TypeError, ValueError), match=text) as error:
        (function or (lambda: call(tx, GRADS[0], state, W)))()
    assert str(error.value).startswith("lrcore.optax.AdamW: ")


def fails(tx, text, grads=GRADS[0], **extra):
    with pytest.raises(Exception, match=text):
        jax.block_until_ready(jax.jit(tx.step)(W, tx.init(W), grads, **extra))


def test_what_compiled_code_refuses_when_it_runs():
    bad = {**GRADS[0], "b": np.array([1.0, np.nan], np.float32)}
    fails(
        adapter.AdamW(0.1),
        r'lrcore.optax.AdamW: grads\["b"\] must be finite, got inf or NaN at update 0',
        bad,
    )
    fails(
        adapter.AdamW(optax.constant_schedule(-1.0)),
        r"lrcore.optax.AdamW at update 0: lr must be in \[0, inf\), got -1",
    )
    fails(
        adapter.AdamW(0.1, betas=(0.9, schedules.Constant(1.0))),
        r"AdamW at update 0: betas\[1\] must be in \[0, 1\), got 1\b",
    )
    fails(adapter.AdamW(0.1, clip_norm=jnp.float32(0)), r"clip_norm must be in \(0, inf\], got 0")
    fails(adapter.AdamW(jnp.float32(np.nan)), r"lr must be in \[0, inf\), got -?nan")

    def no(t):
        raise RuntimeError(f"not at {t}")

    for name in ("AdamW", "Muon"):
        fails(getattr(adapter, name)(schedules.Lambda(no)), "RuntimeError: not at 0")
    fails(adapter.Muon(optax.constant_schedule(-1.0)), r"lrcore.optax.Muon.*lr must be in \[0, inf")
    with pytest.raises(ValueError, match="PolyakSGD: value must be given, as in update"):
        jax.jit(adapter.PolyakSGD().step)(W, adapter.PolyakSGD().init(W), GRADS[0])


def test_saved_states_that_do_not_fit():
    tx = adapter.AdamW(0.1)
    opt = plain_run(lrcore.AdamW, {k: v.copy() for k, v in W.items()}, GRADS[:2])
    opt.step({"w": None, "b": W["b"]})
    with pytest.raises(ValueError, match=r"must have had t = 3 updates, got \[2, 3\]"):
        tx.load_state_dict(opt.state_dict(), W)
    with pytest.raises(ValueError, match="rule must be 'adamw', got 'sgd'"):
        tx.load_state_dict(lrcore.SGD({"w": W["w"].copy()}, 0.1).state_dict(), W)
    same_tree(jax_run(tx, W, GRADS), jax_run(adapter.AdamW(0.1), W, GRADS))


def test_arguments_stay_those_of_the_transformation():
    tx, params = adapter.Muon(0.1), {k: jnp.asarray(x) for k, x in W.items()}
    opt = plain_run(lrcore.Muon, {k: W[k].copy() for k in ("b", "w")}, GRADS[:2], lr=0.7)
    wanted = jax_run(tx, W, GRADS[:3])
    state = tx.load_state_dict(opt.state_dict(), params)
    assert tx.state_dict(state, params)["param_groups"][0]["lr"] == 0.1
    same_tree(jax_run(tx, W, GRADS[:3]), wanted)
