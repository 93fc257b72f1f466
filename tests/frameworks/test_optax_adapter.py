"""Every rule inside compiled JAX code: the bits of the plain optimizer, and nothing hidden."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from inspect import signature

import numpy as np
import pytest
from jax_runs import RULES, adapter, installed, jax_run, plain_run, same_state, same_tree, tree
from support import python

import lrcore
from lrcore import _cases, optimizers, schedules

pytestmark = pytest.mark.frameworks

if adapter is not None:
    import jax
    import jax.numpy as jnp
    import optax

    from lrcore.optax import _crossing

GRADS = [tree(seed) for seed in range(1, 21)]


@pytest.fixture(autouse=True)
def _installed():
    installed()


def check(kind, grads=GRADS, dtype=np.float32, params=None, **options):
    """The same run with NumPy and with JAX ends in the same bits."""
    plain = tree(0, dtype) if params is None else params
    start = copy.deepcopy(plain)
    opt = plain_run(kind, plain, grads, **options)
    params, state = jax_run(getattr(adapter, kind.__name__)(**options), start, grads)
    same_tree(params, plain)
    same_state(state, opt, params)
    return opt, params, state


# ------------------------------------------------------------------------- the bits


@pytest.mark.parametrize("name", RULES)
def test_twenty_compiled_steps_have_the_bits_of_plain_ones(name):
    check(getattr(optimizers, name))


@pytest.mark.parametrize("name", RULES)
def test_so_they_have_with_every_switch(name):
    kind = getattr(optimizers, name)
    for switches in _cases.main_variants(kind):
        check(kind, GRADS[:3], **_cases.switched(kind, switches))


@pytest.mark.parametrize("name", RULES)
def test_the_host_callback_has_the_same_bits(name, monkeypatch):
    monkeypatch.setattr(_crossing, "FFI", False)
    check(getattr(optimizers, name), GRADS[:3])


OPTIONS = [
    {"clip_norm": 0.5},
    {"clip_norm": schedules.Linear(1.0, steps=9, end=0.25), "clip_value": 0.1},
    {"clip_value": schedules.Constant(0.1), "maximize": True},
    {"agc": 0.01},
    {"cautious": True},
    {"grams": True},
    {"state_dtype": "bfloat16", "rounding": "stochastic", "seed": 3},
    {"state_dtype": "int8"},
    {"ema": 0.9, "swa": 2, "lookahead": 3},
    {"decay_mask": "a", "weight_decay": 0.5},
    {"decay_mask": {"a": True, "b": [False, True], "c": False, "empty": True}, "weight_decay": 0.5},
    {"decay_mask": lrcore.matrices_only, "weight_decay": 0.5},
    {"lr_scale": {"b*": 0.1, "a": 3.0}},
    {"nonfinite": "ignore"},
    {"lr": schedules.Cosine(0.1, steps=15, warmup=5), "betas": (0.9, schedules.Constant(0.99))},
    {"lr": 2 * schedules.Lambda(lambda t: 0.5**t)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda x: " ".join(x))
def test_options_have_the_bits_they_have_there(options):
    check(lrcore.AdamW, **options)


def test_eight_bit_states_that_do_not_begin_at_zero():
    check(lrcore.Adagrad, initial_accumulator_value=0.5, state_dtype="int8")


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Adafactor", "Prodigy", "LAMB", "Muon"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(name, dtype):
    kind = getattr(optimizers, name)
    with jax.enable_x64(dtype == "float64"):
        check(kind, GRADS[:5], _cases.dtype_of(dtype))
        grads = [tree(seed, _cases.dtype_of(dtype)) for seed in range(3)]
        check(kind, grads)


@pytest.mark.parametrize("master", ["float32", "split"])
def test_masters_of_narrow_parameters(master):
    check(lrcore.AdamW, GRADS[:5], _cases.dtype_of("bfloat16"), master=master, lr=1e-4)
    check(lrcore.SGD, GRADS[:5], _cases.dtype_of("bfloat16"), rounding="stochastic", seed=5)


def test_numbers_of_jax_with_and_without_float64():
    for x64 in (False, True):
        with jax.enable_x64(x64):
            tx = adapter.PolyakSGD()
            loss = np.float64(0.1) if x64 else np.float32(0.1)
            plain = tree(0)
            plain_run(lrcore.PolyakSGD, plain, GRADS[:5], value=float(loss))
            same_tree(jax_run(tx, tree(0), GRADS[:5], value=loss)[0], plain)


def test_structures_of_every_kind():
    class Pair(tuple):
        pass

    from typing import NamedTuple

    class Layer(NamedTuple):
        w: object
        b: object

    given = {"l": [Layer(np.ones((2, 2), "f"), np.ones(2, "f")), (np.ones(3, "f"), None)], "z": {}}
    tx = adapter.AdamW(0.1, decay_mask="l.0.w", weight_decay=0.5)
    params, state = jax_run(tx, given, [given] * 3)
    plain = {"l": [{"w": np.ones((2, 2), "f"), "b": np.ones(2, "f")}, [np.ones(3, "f")]]}
    plain_run(
        lrcore.AdamW,
        plain,
        [copy.deepcopy(plain)] * 3,
        lr=0.1,
        decay_mask="l.0.w",
        weight_decay=0.5,
    )
    same_tree(params["l"][0].w, plain["l"][0]["w"])
    same_tree(params["l"][0].b, plain["l"][0]["b"])
    same_tree(params["l"][1][0], plain["l"][1][0])
    assert jax.tree.structure(params) == jax.tree.structure(given)
    assert jax.tree.structure(state.arrays["m"]) == jax.tree.structure(given)

    bare, _ = jax_run(adapter.SGD(0.5), np.ones(3, "f"), [np.ones(3, "f")])
    np.testing.assert_array_equal(bare, np.full(3, 0.5, "f"))
    number, _ = jax_run(adapter.SGD(0.5), 1.0, [np.float32(1)])
    assert number == 0.5
    nothing, empty = jax_run(adapter.SGD(0.5), {"a": None}, [{"a": None}] * 3)
    assert nothing == {"a": None}
    assert empty.count == 3


@pytest.mark.parametrize("mask", [[{"w": True, "b": False}, True], [True, False]])
def test_masks_may_have_the_structure_of_custom_nodes(mask):
    from collections import OrderedDict

    given = [OrderedDict(w=np.ones(3, "f"), b=np.ones(2, "f")), np.ones(2, "f")]
    tx = adapter.AdamW(0.1, weight_decay=0.5, decay_mask=mask)
    params, _ = jax_run(tx, given, [jax.tree.map(np.zeros_like, given)])
    first, last = mask
    decays = [first if first is True else first["w"], first is True, last]
    for x, decay in zip([params[0]["w"], params[0]["b"], params[1]], decays, strict=True):
        np.testing.assert_allclose(x, 0.95 if decay else 1.0)


# ------------------------------------------------------------------ update, and apply_updates


@pytest.mark.parametrize("name", RULES)
def test_updates_that_are_added_are_the_step_to_an_ulp(name):
    tx = getattr(adapter, name)()
    params = jax.tree.map(jnp.asarray, tree(0))
    state = tx.init(params)
    add = jax.jit(
        lambda p, s, g: optax.apply_updates(p, tx.update(g, s, p, value=1.5)[0]),
    )
    step = jax.jit(tx.step)
    for g in GRADS[:10]:
        exact, after = step(params, state, g, value=1.5)
        same_tree(jax.jit(tx.update)(g, state, params, value=1.5)[1], after)
        added = add(params, state, g)
        leaves = map(jax.tree.leaves, (params, exact, added))
        for old, new, sum_ in zip(*leaves, strict=True):
            ulp = np.spacing(np.maximum(abs(np.asarray(old)), abs(np.asarray(new))))
            assert np.all(abs(np.asarray(new) - np.asarray(sum_)) <= ulp)
        params, state = exact, after


# ------------------------------------------------------------------------- nothing hidden


@pytest.mark.parametrize("name", ["AdamW", "Prodigy", "Muon", "LAMB"])
def test_the_same_inputs_give_the_same_outputs(name):
    tx = getattr(adapter, name)()
    params = jax.tree.map(jnp.asarray, tree(0))
    state, step = tx.init(params), jax.jit(tx.step)
    before = copy.deepcopy((params, state))
    first = step(params, state, GRADS[0])
    then = step(*first, GRADS[1])
    same_tree(step(params, state, GRADS[0]), first)
    same_tree(step(*first, GRADS[1]), then)
    same_tree((params, state), before)
    same_tree(tx.step(params, state, GRADS[0]), first)  # not compiled


@pytest.mark.parametrize("name", ["AdamW", "Prodigy", "SOAP"])
def test_calls_at_the_same_time(name):
    tx = getattr(adapter, name)()
    step = jax.jit(tx.step)
    starts = [jax.tree.map(jnp.asarray, tree(seed)) for seed in range(4)]

    def run(params):
        state = tx.init(params)
        for g in GRADS[:8]:
            params, state = step(params, state, g)
        return jax.block_until_ready(params)

    wanted = [run(params) for params in starts]
    with ThreadPoolExecutor(4) as pool:
        for got, one in zip(pool.map(run, starts * 3), wanted * 3, strict=True):
            same_tree(got, one)


def test_donated_memory_is_the_result():
    tx = adapter.AdamW()
    params = {"w": jnp.arange(1000.0) + 0, "v": jnp.arange(1000.0) + 1}
    state, step = jax.tree.map(jnp.copy, tx.init(params)), jax.jit(tx.step, donate_argnums=(0, 1))
    grads = jax.tree.map(jnp.ones_like, params)

    def places(t):
        return [x.unsafe_buffer_pointer() for x in jax.tree.leaves(jax.block_until_ready(t))]

    before = places((params, state))
    assert places(step(params, state, grads)) == before


@pytest.mark.parametrize("name", ["AdamW", "Prodigy", "PolyakSGD", "Muon"])
def test_inside_scan_and_with_gradients_that_are_the_parameters(name):
    tx = getattr(adapter, name)()
    start = jax.tree.map(jnp.asarray, tree(0))

    def body(carry, _):
        params, state = carry
        return tx.step(params, state, params, value=2.0), None

    @jax.jit
    def run(params):
        return jax.lax.scan(body, (params, tx.init(params)), None, length=7)[0]

    plain = tree(0)
    opt = getattr(optimizers, name)(plain)
    for _ in range(7):
        opt.step(copy.deepcopy(plain), loss=2.0)
    params, state = run(start)
    same_tree(params, plain)
    same_state(state, opt, params)


def test_vmap_trains_several_at_once():
    tx, seeds = adapter.AdamW(schedules.Linear(0.1, 5)), range(3)
    params = jax.tree.map(lambda *x: jnp.stack(x), *(tree(seed) for seed in seeds))
    state, step = jax.vmap(tx.init)(params), jax.jit(jax.vmap(tx.step, in_axes=(0, 0, None)))
    for g in GRADS[:4]:
        params, state = step(params, state, g)
    for i in seeds:
        plain = tree(i)
        plain_run(lrcore.AdamW, plain, GRADS[:4], lr=schedules.Linear(0.1, 5))
        same_tree(jax.tree.map(lambda x, i=i: x[i], params), plain)


def test_parameters_on_several_devices():
    code = """
import jax, numpy as np, lrcore, lrcore.optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
mesh = Mesh(np.array(jax.devices()), ("x",))
for name in ("AdamW", "LAMB", "Muon"):
    for spec in (PartitionSpec(), PartitionSpec("x")):
        tx = getattr(lrcore.optax, name)(clip_norm=1.0)
        plain = np.arange(12, dtype="f").reshape(4, 3) + 1
        params = jax.device_put(plain, NamedSharding(mesh, spec))
        state, step, opt = tx.init(params), jax.jit(tx.step), getattr(lrcore, name)(plain, clip_norm=1.0)
        for _ in range(3):
            params, state = step(params, state, params)
            opt.step(plain.copy())
        print(np.array_equal(plain, params), len(jax.devices()))
"""
    out = python(code, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert out == "True 2\n" * 6


def test_a_program_ends_while_a_device_still_steps():
    code = """
import jax, numpy as np, lrcore.optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
everywhere = NamedSharding(Mesh(np.array(jax.devices()), ("x",)), PartitionSpec())
for name in ("Muon", "AdamW"):
    tx = getattr(lrcore.optax, name)(lr=lambda t: 0.1)
    params = jax.device_put(np.ones((300, 300), "f"), everywhere)
    state, step = tx.init(params), jax.jit(tx.step)
    for _ in range(10):
        params, state = step(params, state, params)
print("left behind")
"""
    flags = "--xla_force_host_platform_device_count=2"
    for _ in range(3):
        assert python(code, XLA_FLAGS=flags) == "left behind\n"


def test_no_call_begins_after_the_end_where_an_effect_failed():
    code = """
import atexit
@atexit.register  # before lrcore's, and so after it
def late():
    try:
        print(float(rate(2)))
    except Exception as error:
        print("before the interpreter ends" in str(error))
import jax, numpy as np, lrcore.optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
everywhere = NamedSharding(Mesh(np.array(jax.devices()), ("x",)), PartitionSpec())
def fail(x):
    raise RuntimeError("an effect")
rate = jax.jit(lrcore.optax.schedule(lrcore.schedules.Cosine(0.1, steps=5)))
rate(1)
x = jax.device_put(np.ones(2, "f"), everywhere)
jax.jit(lambda x: jax.debug.callback(fail, x))(x)
"""
    assert python(code, XLA_FLAGS="--xla_force_host_platform_device_count=2") == "True\n"


def test_a_state_goes_through_pickle_and_a_run_goes_on():
    tx = adapter.AdamW(schedules.Cosine(0.1, steps=20), ema=0.9, state_dtype="int8")
    params, state = jax_run(tx, tree(0), GRADS[:9])
    saved = pickle.dumps(jax.tree.map(np.asarray, (params, state)))
    step = jax.jit(adapter.AdamW(schedules.Cosine(0.1, steps=20), ema=0.9, state_dtype="int8").step)
    params, state = pickle.loads(saved)
    for g in GRADS[9:]:
        params, state = step(params, state, g)
    same_tree((params, state), jax_run(tx, tree(0), GRADS))


@pytest.mark.parametrize("name", RULES)
def test_a_run_goes_on_in_numpy_and_back(name):
    kind, tx = getattr(optimizers, name), getattr(adapter, name)()
    params, state = jax_run(tx, tree(0), GRADS[:3])
    plain = jax.tree.map(np.array, params)
    opt = kind(plain)
    opt.load_state_dict(tx.state_dict(state, params))
    for g in GRADS[3:6]:
        opt.step(g, loss=1.5 if opt.needs_loss else None)
    back = tx.load_state_dict(opt.state_dict(), params)
    same_state(back, opt, params)
    same_tree((plain, back), jax_run(tx, tree(0), GRADS[:6]))


def test_the_count_stops_where_int32_ends():
    tx = adapter.SGD(0.5)
    params = jnp.ones(3)
    state = tx.init(params)._replace(count=jnp.int32(2**31 - 1))
    assert jax.jit(tx.step)(params, state, params)[1].count == 2**31 - 1


# ---------------------------------------------------------------------- what a state tells


@pytest.mark.parametrize("name", ["ScheduleFreeAdamW", "ScheduleFreeSGD", "AdamW"])
def test_where_a_schedule_free_rule_is_evaluated(name):
    plain, tx = tree(0), getattr(adapter, name)()
    opt = plain_run(getattr(optimizers, name), plain, GRADS)
    params, state = jax_run(tx, tree(0), GRADS)
    opt.eval()
    same_tree(tx.eval_params(state, params), plain)


def test_estimates_and_averages_can_be_read():
    opt, params, state = check(lrcore.Prodigy, ema=0.9)
    tx = adapter.Prodigy(ema=0.9)
    assert tx.estimates(state, params) == opt.estimates
    same_tree(state.arrays["ema"], opt.averages())


def test_signatures_are_those_of_the_classes():
    for name in RULES:
        ours, theirs = (signature(getattr(x, name)).parameters for x in (adapter, optimizers))
        own = [k for k in theirs if k not in ("params", "options")]
        assert list(ours)[: len(own)] == own
        assert all(ours[k].default == theirs[k].default for k in own)
        assert "clip_norm" in ours
        assert getattr(adapter, name).__name__ == name
        assert f"lrcore.{name}" in getattr(adapter, name).__doc__
