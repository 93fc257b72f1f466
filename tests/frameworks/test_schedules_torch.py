"""Meaning: every schedule against torch.optim.lr_scheduler, which computes in float64."""

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

# kind: the schedule, the rate that torch's optimizer has, and torch's scheduler.
PAIRS = {
    "constant": [
        (Constant(0.3), 0.3, lambda o, s: s.ConstantLR(o, 1.0, 5)),
        (
            Constant(0.3, warmup=10, warmup_start=0.03),
            0.3,
            lambda o, s: s.LinearLR(o, start_factor=0.1, total_iters=10),
        ),
    ],
    "step": [
        (Step(0.3, 30), 0.3, lambda o, s: s.StepLR(o, 30)),
        (Step(0.3, 7, 0.9), 0.3, lambda o, s: s.StepLR(o, 7, 0.9)),
    ],
    "multistep": [
        (MultiStep(0.3, [3]), 0.3, lambda o, s: s.MultiStepLR(o, [3])),
        (MultiStep(0.3, [30, 80], 0.5), 0.3, lambda o, s: s.MultiStepLR(o, [30, 80], 0.5)),
    ],
    "exponential": [(Exponential(0.3, 0.97), 0.3, lambda o, s: s.ExponentialLR(o, 0.97))],
    "natural_exponential": [
        (
            NaturalExponential(0.3, 0.03),
            0.3,
            lambda o, s: s.MultiplicativeLR(o, lambda t: math.exp(-0.03)),
        )
    ],
    "inverse_time": [
        (
            InverseTime(0.3, 0.5, 10),
            0.3,
            lambda o, s: s.LambdaLR(o, lambda t: 1 / (1 + 0.5 * (t / 10))),
        )
    ],
    "linear": [
        (Linear(0.3, 100), 0.3, lambda o, s: s.LinearLR(o, 1.0, 0.0, 100)),
        (Linear(0.3, 100, 0.06), 0.3, lambda o, s: s.LinearLR(o, 1.0, 0.2, 100)),
        (
            Linear(0.3, 100, warmup=20, warmup_start=0.03),
            0.3,
            lambda o, s: s.SequentialLR(
                o, [s.LinearLR(o, 0.1, 1.0, 20), s.LinearLR(o, 1.0, 0.0, 80)], [20]
            ),
        ),
    ],
    "polynomial": [
        (Polynomial(0.3, 100), 0.3, lambda o, s: s.PolynomialLR(o, 100)),
        (Polynomial(0.3, 100, 2.5), 0.3, lambda o, s: s.PolynomialLR(o, 100, 2.5)),
    ],
    "cosine": [
        # to t = steps: beyond it torch rises again
        (Cosine(0.3, 129), 0.3, lambda o, s: s.CosineAnnealingLR(o, 129)),
        (Cosine(0.3, 129, 0.01), 0.3, lambda o, s: s.CosineAnnealingLR(o, 129, 0.01)),
        (
            Cosine(0.3, 129, warmup=29, warmup_start=0.03),
            0.3,
            lambda o, s: s.SequentialLR(
                o, [s.LinearLR(o, 0.1, 1.0, 29), s.CosineAnnealingLR(o, 100)], [29]
            ),
        ),
    ],
    "piecewise_constant": [
        (
            PiecewiseConstant([40, 90], [0.06, 0.3, 0.15]),
            0.3,
            lambda o, s: s.SequentialLR(
                o, [s.ConstantLR(o, f, 999) for f in (0.2, 1.0, 0.5)], [40, 90]
            ),
        )
    ],
    "scale": [(Exponential(3.0, 0.97) * 0.1, 0.3, lambda o, s: s.ExponentialLR(o, 0.97))],
    "join": [
        (
            join([Linear(0.3, 50, 0.15), Exponential(0.3, 0.9)], [50]),
            0.3,
            lambda o, s: s.SequentialLR(
                o, [s.LinearLR(o, 1.0, 0.5, 50), s.ExponentialLR(o, 0.9)], [50]
            ),
        )
    ],
    "lambda": [
        (
            Lambda(lambda t: 0.3 / math.sqrt(t + 1)),
            0.3,
            lambda o, s: s.LambdaLR(o, lambda t: 1 / math.sqrt(t + 1)),
        )
    ],
}


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("s", "lr", "theirs"), [row for rows in PAIRS.values() for row in rows], ids=repr
)
def test_torch(s, lr, theirs):
    try:
        torch = import_module("torch")
    except ImportError:
        missing("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = theirs(optimizer, torch.optim.lr_scheduler)
    values = []
    for _ in range(UPDATES):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    # torch multiplies along, so that where it comes near 0 its error is one of the largest value
    np.testing.assert_allclose(s(range(UPDATES)), values, rtol=1e-12, atol=1e-14 * lr)
