"""compat.optax against optax in float64, at every update."""

import numpy as np
import pytest
from peers import UPDATES, draws, peer, rate, same

from lrcore.schedules.compat import optax as compat

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


def begin(r):
    return r.choice([0, -3, r.randint(1, 60)])


def steps(r):
    return r.choice([0, 1, r.randint(1, 140)])


def exponential(r):
    decay = r.choice([0.0, 0.5, r.uniform(0.2, 1.5)])
    return {
        "transition_steps": steps(r),
        "decay_rate": decay,
        "transition_begin": begin(r),
        "staircase": r.random() < 0.5,
        "end_value": r.choice([None, rate(r) * (0.01 if decay < 1 else 100)]),
    }


def scales(r):
    at = r.sample(range(140), r.randint(0, 5))
    return {b: r.choice([0.1, 2.0, r.uniform(0.1, 3), 0.0]) for b in at}


def cycle(r):
    warmup = r.randint(0, 20)
    return {
        "init_value": r.choice([0.0, rate(r)]),
        "peak_value": r.choice([rate(r), rate(r), 0.0]),
        "warmup_steps": warmup,
        "decay_steps": warmup + r.randint(1, 60),
        "end_value": r.choice([0.0, rate(r)]),
        "exponent": r.choice([1.0, r.uniform(0.5, 3)]),
    }


def one_cycle(r):
    return {
        "transition_steps": r.randint(1, 140),
        "peak_value": rate(r),
        "pct_start": r.choice([0.3, r.uniform(0, 0.5)]),
        "div_factor": r.choice([25.0, r.uniform(1, 50)]),
        "final_div_factor": r.choice([1e4, r.uniform(1, 1e5)]),
    }


CASES = {
    "constant_schedule": lambda r: {"value": rate(r)},
    "cosine_decay_schedule": lambda r: {
        "init_value": rate(r),
        "decay_steps": r.randint(1, 140),
        "alpha": r.choice([0.0, r.random()]),
        "exponent": r.choice([1.0, r.uniform(0.5, 3)]),
    },
    "cosine_onecycle_schedule": one_cycle,
    "exponential_decay": lambda r: {"init_value": rate(r), **exponential(r)},
    "linear_onecycle_schedule": lambda r: one_cycle(r) | {"pct_final": r.uniform(0.5, 1)},
    "linear_schedule": lambda r: {
        "init_value": rate(r),
        "end_value": rate(r),
        "transition_steps": steps(r),
        "transition_begin": begin(r),
    },
    "piecewise_constant_schedule": lambda r: {
        "init_value": rate(r),
        "boundaries_and_scales": r.choice([None, scales(r), scales(r)]),
    },
    "piecewise_interpolate_schedule": lambda r: {
        "interpolate_type": r.choice(["linear", "cosine"]),
        "init_value": rate(r),
        "boundaries_and_scales": scales(r) or {5: 0.5},
    },
    "polynomial_schedule": lambda r: {
        "init_value": rate(r),
        "end_value": r.choice([0.0, rate(r)]),
        "power": r.choice([1.0, 2.0, r.uniform(0.3, 3)]),
        "transition_steps": steps(r),
        "transition_begin": begin(r),
    },
    "sgdr_schedule": lambda r: {"cosine_kwargs": [cycle(r) for _ in range(r.randint(1, 4))]},
    "warmup_constant_schedule": lambda r: {
        "init_value": rate(r),
        "peak_value": rate(r),
        "warmup_steps": steps(r),
    },
    "warmup_cosine_decay_schedule": cycle,
    "warmup_exponential_decay_schedule": lambda r: {
        "init_value": rate(r),
        "peak_value": rate(r),
        "warmup_steps": r.randint(0, 40),
        **exponential(r),
    },
}


def values(jax, schedule):
    constant = np.broadcast_to(jax.vmap(schedule)(jax.numpy.arange(UPDATES)), UPDATES)
    return np.array(constant, np.float64)


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    jax, optax = peer("jax", "optax")
    for r in draws(name):
        kwargs = CASES[name](r)
        with jax.enable_x64(True):
            theirs = values(jax, getattr(optax, name)(**kwargs))
        # near the end of a cosine, 1 + cos(x) has the error of 1
        same(getattr(compat, name)(**kwargs), theirs, atol=1e-13)


def test_join():
    jax, optax = peer("jax", "optax")
    for r in draws("join"):
        names = [r.choice([n for n in CASES if n != "constant_schedule"]) for _ in range(3)]
        drawn = [(name, CASES[name](r)) for name in names]
        at = sorted(r.sample(range(120), 2))
        with jax.enable_x64(True):
            parts = [getattr(optax, n)(**k) for n, k in drawn]
            theirs = values(jax, optax.join_schedules(parts, at))
        ours = compat.join_schedules([getattr(compat, n)(**k) for n, k in drawn], at)
        same(ours, theirs, atol=1e-13)


def test_in_float32_as_optax_is_by_default():
    jax, optax = peer("jax", "optax")
    for r in draws("float32", 5):
        kwargs = cycle(r)
        theirs = values(jax, optax.warmup_cosine_decay_schedule(**kwargs))
        ours = compat.warmup_cosine_decay_schedule(**kwargs)
        same(ours, theirs, rtol=1e-6, atol=1e-6)


def test_plateau():
    jax, contrib = peer("jax", "optax.contrib")
    reductions = 0
    for r in draws("reduce_on_plateau", 20):
        tolerance = r.choice([{"rtol": 1e-4}, {"rtol": 0.05}, {"rtol": 0.0, "atol": 0.01}])
        options = {
            "factor": r.uniform(0.1, 0.9),
            "patience": r.randint(1, 5),
            "cooldown": r.choice([0, 1, 3]),
            "min_scale": r.choice([0.0, 0.01]),
            **tolerance,
        }
        with jax.enable_x64(True):
            transform = contrib.reduce_on_plateau(**options)
            one = jax.numpy.ones(1)
            state = transform.init(one)
            update = jax.jit(transform.update)
            ours, x = compat.reduce_on_plateau(0.5, **options), 1.0
            for t in range(60):
                x *= r.choice([1.0, 1.0, 0.9999, 0.9, 1.02])
                _, state = update(one, state, value=x)
                reductions += ours.update(x)
                np.testing.assert_allclose(ours(t), 0.5 * float(state.scale), rtol=1e-12)
    assert reductions > 20


def test_every_name_is_compared():
    assert {*CASES, "join_schedules", "reduce_on_plateau"} == set(compat.__all__)
