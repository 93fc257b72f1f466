"""lrcore's schedules inside compiled JAX code: the values, to the last bit of float32."""

import doctest
import importlib
import random

import numpy as np
import pytest
import schedule_cases
from support import missing, python

from lrcore import schedules

pytestmark = pytest.mark.frameworks

try:
    import jax
    import jax.numpy as jnp
    import optax

    import lrcore.optax as adapter
    from lrcore.optax import _crossing
except ImportError:
    adapter = None

LAST = 2**31 - 1
COSINE = schedules.Cosine(0.1, steps=100, warmup=10)
#: Those that are functions of the count alone.
PURE = [kind for kind in schedule_cases.KINDS if kind != "plateau"]


@pytest.fixture(autouse=True)
def _installed():
    if adapter is None:
        missing("jax and optax")


def pure(kind, i):
    """A random schedule of a kind without a Plateau in it."""
    r = random.Random(f"{kind} {i}")
    while True:
        s = schedule_cases.CASES[kind](r)
        if not list(s._stateful()):
            return s, r


def same(got, schedule, counts):
    with np.errstate(over="ignore"):
        wanted = np.float32(schedule(np.asarray(counts)))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(got), wanted, strict=True)


@pytest.mark.parametrize("kind", PURE)
def test_every_kind_has_its_values_inside_jit(kind):
    for i in range(12):
        s, r = pure(kind, i)
        counts = np.array(
            [t for t in schedule_cases.updates(r, s, 60) if t <= LAST] + [LAST], np.int32
        )
        same(jax.jit(adapter.schedule(s))(counts), s, counts)


@pytest.mark.parametrize("kind", PURE)
def test_the_host_callback_has_the_same_values(kind, monkeypatch):
    monkeypatch.setattr(_crossing, "FFI", False)
    s, r = pure(kind, 0)
    counts = np.array([t for t in schedule_cases.updates(r, s, 60) if t <= LAST], np.int32)
    same(jax.jit(adapter.schedule(s))(counts), s, counts)


def test_each_way_to_ask():
    rate, counts = adapter.schedule(COSINE), jnp.arange(120, dtype=jnp.int32)
    same(jnp.stack([rate(t) for t in range(120)]), COSINE, range(120))
    same(rate(counts), COSINE, range(120))
    same(jax.vmap(rate)(counts), COSINE, range(120))
    same(jax.jit(jax.vmap(rate))(counts), COSINE, range(120))
    same(jax.jit(rate)(counts.reshape(3, 40)), COSINE, np.arange(120).reshape(3, 40))
    same(jax.lax.map(rate, counts), COSINE, range(120))
    same(jax.lax.scan(lambda c, _: (c + 1, rate(c)), 0, None, length=120)[1], COSINE, range(120))
    same(jax.jit(rate)(jnp.uint8(7)), COSINE, 7)
    found = jax.lax.fori_loop(0, 5, lambda i, total: total + rate(i), jnp.float32(0))
    assert found == sum(map(np.float32, COSINE(range(5))), np.float32(0))


def test_subnormal_rates_survive():
    s = schedules.Exponential(1e-36, 0.5)
    same(jax.jit(adapter.schedule(s))(np.arange(30, dtype=np.int32)), s, range(30))


def test_a_loop_with_rates_can_be_differentiated():
    rate = adapter.schedule(COSINE)

    def after(w):
        def body(carry, _):
            w, count = carry
            return (w * (1 - rate(count)), count + 1), None

        return jax.lax.scan(body, (w, jnp.int32(0)), None, length=20)[0][0]

    wanted = np.prod(1 - COSINE(range(20)))
    np.testing.assert_allclose(jax.jit(jax.grad(after))(2.0), wanted, rtol=1e-5)


def test_float64_where_jax_has_it():
    with jax.enable_x64(True):
        got = jax.jit(adapter.schedule(COSINE, dtype=np.float64))(np.arange(120))
        assert got.dtype == np.float64
        np.testing.assert_array_equal(np.asarray(got), COSINE(np.arange(120)))
        same(jax.jit(adapter.schedule(COSINE))(np.arange(120)), COSINE, range(120))
    with pytest.raises(ValueError, match="dtype float64 needs jax_enable_x64, got it off"):
        adapter.schedule(COSINE, dtype=np.float64)


def run(tx, params, n=6):
    state, step = tx.init(params), jax.jit(tx.update)
    for _ in range(n):
        updates, state = step(params, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def test_optax_takes_it_wherever_it_takes_a_schedule():
    params = {"w": jnp.array([1.0, -2.0])}
    ours, theirs = adapter.schedule(0.5), optax.constant_schedule(0.5)
    for make in (
        lambda rate: optax.adamw(rate),
        lambda rate: optax.sgd(rate, momentum=0.9),
        lambda rate: optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(rate)),
        lambda rate: optax.inject_hyperparams(optax.adamw)(learning_rate=rate),
    ):
        got, wanted = (run(make(rate), params)[0] for rate in (ours, theirs))
        np.testing.assert_array_equal(got["w"], wanted["w"])
    injected = optax.inject_hyperparams(optax.sgd)(learning_rate=adapter.schedule(COSINE))
    assert run(injected, params, 4)[1].hyperparams["learning_rate"] == np.float32(COSINE(3))


def test_a_function_that_raises_is_heard():
    def no(t):
        raise RuntimeError(f"not at {t}")

    for s in (schedules.Lambda(no), 2 * schedules.Lambda(no)):
        rate = adapter.schedule(s)
        with pytest.raises(RuntimeError, match="not at 3"):
            rate(3)
        with pytest.raises(Exception, match="RuntimeError: not at 3"):
            jax.block_until_ready(jax.jit(rate)(3))
    again = adapter.schedule(schedules.Lambda(lambda t: 0.5 if t else float("nan")))
    same(jax.jit(again)(jnp.arange(2)), lambda t: np.array([np.nan, 0.5]), range(2))


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ((schedules.Plateau(0.1),), TypeError, "s must be a function of the count alone, got a Pl"),
        ((2 * schedules.Plateau(0.1),), TypeError, "function of the count alone"),
        (("cosine",), TypeError, "s must be a schedule or a number, got 'cosine'"),
        ((True,), TypeError, "s must be a schedule or a number, got True"),
        ((COSINE, np.float16), TypeError, "dtype must be float32 or float64, got float16"),
    ],
)
def test_what_is_no_schedule(given, error, text):
    with pytest.raises(error, match=text):
        adapter.schedule(*given)


def test_what_is_no_count():
    rate = adapter.schedule(COSINE)
    for count in (1.5, jnp.float32(1)):
        with pytest.raises(TypeError, match="t must be"):
            rate(count)
        with pytest.raises(TypeError, match="t must be an array of integers, got one of float32"):
            jax.jit(rate)(count)
    with pytest.raises(ValueError, match="t must be"):
        rate(-1)
    with pytest.raises(Exception, match=r"Cosine: t must be an integer in \[0, 2\*\*31\), got -1"):
        jax.block_until_ready(jax.jit(rate)(-1))


@pytest.mark.parametrize("ask", [lambda s, t: s(t), lambda s, t: jax.jit(s)(t)])
def test_a_plain_schedule_says_what_jax_takes(ask):
    with pytest.raises(TypeError, match=r"Cosine: t must be .*; lrcore.optax.schedule\(s\)"):
        ask(COSINE, jnp.int32(3))


def test_a_program_of_another_process_is_refused():
    def ask(key):
        shape = jax.ShapeDtypeStruct((), np.float32)
        return jax.ffi.ffi_call("lrcore_schedule", shape)(jnp.int32(1), key=np.int64(key))

    with pytest.raises(Exception, match="must have been made in this process"):
        jax.block_until_ready(jax.jit(ask, static_argnums=0)(12345))


def test_the_same_contents_have_the_same_key_in_every_process():
    code = """
from lrcore import schedules
import lrcore.optax as o
a, b = (o.schedule(schedules.Cosine(0.1, steps=n, warmup=10)) for n in (100, 100))
assert a._key == b._key != o.schedule(schedules.Cosine(0.1, steps=101))._key
f = lambda t: 0.1
assert o.schedule(schedules.Lambda(f))._key != o.schedule(schedules.Lambda(f))._key
print(a._key)
"""
    assert int(python(code)) == adapter.schedule(COSINE)._key


@pytest.mark.parametrize("text", ["", "#define XLA_FFI_API_MAJOR 1\n#define XLA_FFI_API_MINOR 3"])
def test_without_the_interface_there_is_the_callback(text, tmp_path):
    header = tmp_path / "xla" / "ffi" / "api" / "c_api.h"
    header.parent.mkdir(parents=True)
    header.write_text(text)
    code = f"""
import jax
jax.ffi.include_dir = lambda: {str(tmp_path)!r}
import lrcore.optax as o
from lrcore import schedules
assert not o._crossing.FFI
print(jax.jit(o.schedule(schedules.Constant(0.25)))(3))
"""
    assert python(code) == "0.25\n"
    header.unlink()
    assert python(code) == "0.25\n"


def test_here_the_interface_is_used():
    assert _crossing.FFI


def test_a_missing_framework_is_one_sentence():
    code = """
import sys
sys.modules["optax"] = None
try:
    import lrcore.optax
except ImportError as error:
    print(error)
"""
    assert python(code) == (
        "lrcore.optax: needs the package optax, which is not installed; "
        "pip install 'lrcore[optax]'\n"
    )


@pytest.mark.parametrize(("framework", "adapter"), [("optax", "optax"), ("torch", "torch")])
def test_a_framework_that_is_broken_is_not_called_missing(framework, adapter, tmp_path):
    """Such as one whose shared libraries are not found."""
    (tmp_path / f"{framework}.py").write_text("raise ImportError('libgomp.so.1: cannot open')")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
try:
    import lrcore.{adapter}
except ImportError as error:
    print(error)
"""
    assert python(code) == "libgomp.so.1: cannot open\n"


@pytest.mark.parametrize("part", ["", "._schedules", "._transform", "._rule"])
def test_examples(part):
    assert doctest.testmod(importlib.import_module(f"lrcore.optax{part}")).failed == 0
