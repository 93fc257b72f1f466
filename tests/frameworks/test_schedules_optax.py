"""Meaning: every schedule against optax (and JAX's own inverse time decay), in float64."""

import math
from importlib import import_module

import numpy as np
import pytest
from support import missing

from lrcore.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    Lambda,
    Linear,
    MultiStep,
    NaturalExponential,
    PiecewiseConstant,
    Polynomial,
    Step,
    join,
)

UPDATES = 130

# kind: the schedule, and how optax says the same.
PAIRS = {
    "constant": [
        (Constant(0.3), lambda o: o.constant_schedule(0.3)),
        (Constant(0.3, warmup=9), lambda o: o.warmup_constant_schedule(0.0, 0.3, 9)),
    ],
    "step": [(Step(0.3, 7, 0.9), lambda o: o.exponential_decay(0.3, 7, 0.9, staircase=True))],
    "multistep": [
        (MultiStep(0.3, [3]), lambda o: o.piecewise_constant_schedule(0.3, {3: 0.1})),
        (
            MultiStep(0.3, [30, 80], 0.5),
            lambda o: o.piecewise_constant_schedule(0.3, {30: 0.5, 80: 0.5}),
        ),
    ],
    "exponential": [
        (Exponential(0.3, 0.97), lambda o: o.exponential_decay(0.3, 1, 0.97)),
        (
            Exponential(0.3, 0.97, warmup=10, warmup_start=0.1),
            lambda o: o.warmup_exponential_decay_schedule(0.1, 0.3, 10, 1, 0.97),
        ),
    ],
    "natural_exponential": [
        (NaturalExponential(0.3, 0.03), lambda o: o.exponential_decay(0.3, 1, math.exp(-0.03)))
    ],
    "inverse_time": [
        (
            InverseTime(0.3, 0.5, 10),
            lambda o: import_module("jax.example_libraries.optimizers").inverse_time_decay(
                0.3, 10, 0.5
            ),
        )
    ],
    "linear": [
        (Linear(0.3, 100), lambda o: o.linear_schedule(0.3, 0.0, 100)),
        (Linear(0.3, 100, 0.7), lambda o: o.linear_schedule(0.3, 0.7, 100)),
    ],
    "polynomial": [
        (Polynomial(0.3, 100, 2.5, 0.1), lambda o: o.polynomial_schedule(0.3, 0.1, 2.5, 100)),
        (Polynomial(0.3, 100, 0.5), lambda o: o.polynomial_schedule(0.3, 0.0, 0.5, 100)),
    ],
    "cosine": [
        (Cosine(0.3, 100), lambda o: o.cosine_decay_schedule(0.3, 100)),
        (Cosine(0.3, 100, 0.03), lambda o: o.cosine_decay_schedule(0.3, 100, alpha=0.1)),
        (
            Cosine(0.3, 100, 0.03, warmup=20, warmup_start=0.01),
            lambda o: o.warmup_cosine_decay_schedule(0.01, 0.3, 20, 100, 0.03),
        ),
    ],
    "piecewise_constant": [
        (
            PiecewiseConstant([40, 90], [0.3, 0.6, 0.15]),
            lambda o: o.piecewise_constant_schedule(0.3, {40: 2.0, 90: 0.25}),
        )
    ],
    "scale": [(Exponential(3.0, 0.97) * 0.1, lambda o: o.exponential_decay(0.3, 1, 0.97))],
    "join": [
        (
            join([Linear(0.3, 50, 0.15), Exponential(0.3, 0.9), Cosine(0.2, 20)], [50, 90]),
            lambda o: o.join_schedules(
                [
                    o.linear_schedule(0.3, 0.15, 50),
                    o.exponential_decay(0.3, 1, 0.9),
                    o.cosine_decay_schedule(0.2, 20),
                ],
                [50, 90],
            ),
        )
    ],
    "lambda": [
        (
            Lambda(lambda t: 0.3 * (1 + math.cos(math.pi * min(t, 100) / 100)) / 2),
            lambda o: o.cosine_decay_schedule(0.3, 100),
        )
    ],
}


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("s", "theirs"), [row for rows in PAIRS.values() for row in rows], ids=repr
)
def test_optax(s, theirs):
    try:
        jax, optax = import_module("jax"), import_module("optax")
    except ImportError:
        missing("optax")
    t = np.arange(UPDATES)
    with jax.enable_x64(True):
        schedule = theirs(optax)
        values = np.array([schedule(jax.numpy.asarray(i)) for i in t], np.float64)
    # near the end of a cosine, 1 + cos(x) has the error of 1
    np.testing.assert_allclose(s(t), values, rtol=1e-12, atol=1e-16)
