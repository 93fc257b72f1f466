"""What every rule must do, whatever its formula: go down."""

import numpy as np
import pytest

import lrcore
from lrcore import schedules
from lrcore._cases import named

STEPS = 2000

#: A good rate on the bowl and in the valley, and what else the rule is made with.
RATES = {
    "SGD": (0.1, 1e-3, {}),
    "Adagrad": (1.0, 0.5, {}),
    "Adafactor": (1.0, 0.1, {}),
    "RowwiseAdagrad": (0.1, 0.1, {}),
    "RMSprop": (0.03, 0.01, {}),
    "Adam": (0.1, 0.05, {}),
    "AdamW": (0.1, 0.05, {}),
    "Lion": (0.02, 0.005, {}),
    "LAMB": (0.02, 0.01, {}),
    "LARS": (1.0, 4.0, {}),
    "NovoGrad": (0.01, 0.003, {}),
    "StableAdamW": (0.1, 0.1, {}),
    "ScheduleFreeSGD": (0.5, 0.005, {"warmup_steps": 50}),
    "ScheduleFreeAdamW": (0.1, 0.1, {}),
    "PolyakSGD": (1.0, 1.0, {}),
    "HypergradientSGD": (0.1, 1e-3, {"hyper_lr": 1e-9}),
    "HypergradientAdam": (0.1, 0.1, {}),
    "DAdaptSGD": (0.5, 0.5, {}),
    "DAdaptAdam": (1.0, 1.0, {}),
    "Prodigy": (1.0, 1.0, {}),
    "DoG": (1.0, 3.0, {}),
    "LDoG": (1.0, 3.0, {}),
    "DoWG": (1.0, 1.0, {}),
    "Adadelta": (10.0, 3.0, {}),
    "Adamax": (0.1, 0.3, {}),
    "NAdam": (0.1, 0.1, {}),
    "RAdam": (0.1, 0.003, {"betas": (0.9, 0.99)}),
    "Rprop": (0.01, 0.01, {}),
    "ASGD": (0.1, 0.002, {}),
    "SignSGD": (0.003, 0.003, {}),
    "Signum": (0.003, 0.003, {}),
    "FTRL": (1.0, 1.0, {}),
    "MADGRAD": (0.03, 0.03, {}),
    "AdaBelief": (0.1, 0.005, {}),
    "Yogi": (0.1, 0.1, {}),
    "AdaBound": (0.1, 0.01, {}),
    "QHAdam": (0.1, 0.05, {}),
    "LaProp": (0.1, 0.05, {}),
    "ADOPT": (0.1, 0.3, {}),
    "AdEMAMix": (0.1, 0.05, {}),
    "Adan": (0.1, 0.05, {}),
    "Muon": (0.1, 0.03, {}),
    "Shampoo": (0.1, 0.1, {}),
    "SOAP": (0.1, 0.03, {}),
}


def bowl(x):
    """A quadratic bowl a hundred times longer than it is wide, and its gradient."""
    scale = np.logspace(-1, 1, 20)
    away = x - np.random.default_rng(0).standard_normal(20)
    return float(0.5 * (scale * away * away).sum()), scale * away


def valley(x):
    """Rosenbrock's function, and its gradient."""
    a, b = float(x[0]), float(x[1])
    bend = b - a * a
    return 100 * bend**2 + (1 - a) ** 2, np.array([-400 * a * bend - 2 * (1 - a), 200 * bend])


def descend(rule, rate, options, function, start):
    x = np.array(start)
    cls = getattr(lrcore, rule)
    rates = named(cls, {"lr": schedules.Cosine(rate, steps=STEPS)})
    opt = cls(x, **rates, **options)
    for _ in range(STEPS):
        loss, slope = function(x)
        opt.step(slope, loss=loss)
    opt.eval()
    return function(x)[0]


def test_every_rule_has_its_rates():
    assert set(RATES) == set(lrcore.optimizers.__all__)


@pytest.mark.parametrize("rule", RATES)
def test_the_bottom_of_a_convex_bowl_is_reached(rule):
    rate, _, options = RATES[rule]
    assert descend(rule, rate, options, bowl, np.zeros(20)) < 1e-3 * bowl(np.zeros(20))[0]


@pytest.mark.parametrize("rule", RATES)
def test_rosenbrocks_valley_is_found(rule):
    _, rate, options = RATES[rule]
    assert descend(rule, rate, options, valley, [-1.2, 1.0]) < 0.1 * valley([-1.2, 1.0])[0]
