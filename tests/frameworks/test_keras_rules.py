"""The optimizers of lrcore.keras: the bits of lrcore, and the trajectories of Keras."""

import inspect
import json
import math

import keras_runs as runs
import numpy as np
import pytest
from keras_runs import ON_TENSORFLOW, applied, gradients, keras, off, same_bits, variables

import lrcore
import lrcore.keras
from lrcore import optimizers, schedules
from lrcore._hyper import RULES

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]

GRAPHS = [False, True] if ON_TENSORFLOW else [False]
NAMES = optimizers.__all__


def cosine(rate):
    return keras.optimizers.schedules.CosineDecay(rate, 40, warmup_target=2 * rate, warmup_steps=5)


#: Of each optimizer that Keras has: arguments, and how far off it may be after 40 steps of
#: gradients of about 1, parameters of about 1. What is exact is exact to the rounding of float32.
LIKE_KERAS = [
    ("SGD", {}, 1e-6),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}, 5e-6),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}, 5e-6),
    ("SGD", {"learning_rate": cosine(0.05), "momentum": 0.9, "weight_decay": 0.1}, 1e-5),
    ("Adam", {}, 2e-6),
    ("Adam", {"learning_rate": 0.02, "epsilon": 1e-2, "beta_1": 0.8, "amsgrad": True}, 1e-5),
    ("Adam", {"learning_rate": 0.02, "weight_decay": 0.1}, 1e-5),
    ("AdamW", {}, 1e-5),
    ("AdamW", {"learning_rate": cosine(0.02), "weight_decay": 0.3, "epsilon": 1e-3}, 1e-5),
    ("Adamax", {"learning_rate": 0.02}, 1e-5),
    ("Adagrad", {"learning_rate": 0.1, "epsilon": 0.05}, 1e-5),
    ("Adadelta", {"learning_rate": 1.0, "weight_decay": 0.01}, 1e-5),
    ("RMSprop", {}, 2e-6),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "epsilon": 0.1}, 1e-5),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.9, "centered": True}, 5e-5),
    ("RMSprop", {"learning_rate": cosine(0.01), "momentum": 0.9, "epsilon": 0.1}, 1e-5),
    ("Nadam", {"learning_rate": 0.02, "weight_decay": 0.1}, 1e-5),
    ("Ftrl", {"learning_rate": 0.1}, 1e-5),
    ("Ftrl", {"learning_rate": 0.1, "l1_regularization_strength": 0.3, "beta": 0.2,
              "l2_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.1}, 1e-5),
    ("Lion", {"learning_rate": 0.01, "weight_decay": 0.1}, 1e-5),
    ("Lamb", {"learning_rate": 0.02}, 1e-5),
    ("Lamb", {"learning_rate": 0.02, "weight_decay": 0.1, "epsilon": 1e-3}, 1e-5),
    ("Adafactor", {"learning_rate": 0.02}, 1e-5),
    ("Adafactor", {"learning_rate": 0.5, "beta_2_decay": -0.6, "clip_threshold": 2.0}, 5e-5),
    ("Muon", {"learning_rate": 0.02, "adam_lr_ratio": 0.5}, 1e-5),
    ("Muon", {"exclude_layers": ["kernel1"], "nesterov": False, "epsilon": 1e-3}, 1e-5),
]  # fmt: skip


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize(("name", "options", "near"), LIKE_KERAS)
def test_the_trajectory_is_that_of_keras(name, options, near, graph):
    theirs = applied(getattr(keras.optimizers, name)(**options), 40, graph=graph)
    ours = applied(getattr(lrcore.keras, name)(**options), 40, graph=graph)
    moved = off(theirs, runs.values(variables()))
    assert moved > 100 * near
    assert off(ours, theirs) <= near


def test_every_optimizer_of_keras_that_lrcore_has_is_compared():
    known = {name for name, _, _ in LIKE_KERAS} | {"ScheduleFreeAdamW"}
    assert known == set(dir(keras.optimizers)) & set(lrcore.keras.CLASSES)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in LIKE_KERAS}))
def test_arguments_and_defaults_are_those_of_keras(name):
    theirs = inspect.signature(getattr(keras.optimizers, name).__init__).parameters
    ours = inspect.signature(getattr(lrcore.keras, name)).parameters
    wanted = {k: p.default for k, p in theirs.items() if k not in ("self", "kwargs")}
    assert list(ours)[: len(wanted)] == list(wanted)
    assert {k: ours[k].default for k in wanted} == wanted


def schedule_free(p, steps, lr, beta, beta2, eps):
    """What the docstring of Keras says that its ScheduleFreeAdamW does, in float64."""
    y, z, x, v = p.astype(float), p.astype(float), p.astype(float), np.zeros(p.shape)
    for t in range(1, steps + 1):
        g = gradients(t - 1)[0].astype(float)
        v = beta2 * v + (1 - beta2) * g * g
        z = z - lr * g / (np.sqrt(v / (1 - beta2**t)) + eps)
        x = (1 - 1 / t) * x + z / t
        y = (1 - beta) * z + beta * x
    return y, x


def test_schedule_free_is_what_keras_says_and_not_what_it_does():
    opt = lrcore.keras.ScheduleFreeAdamW(0.02)
    ours = applied(opt, 40)
    y, x = schedule_free(runs.values(variables())[0], 40, 0.02, 0.9, 0.999, 1e-8)
    np.testing.assert_allclose(ours[0], y, atol=2e-5)
    opt.eval()
    np.testing.assert_allclose(runs.values(opt._trainable_variables)[0], x, atol=2e-5)
    opt.train()
    assert same_bits(runs.values(opt._trainable_variables), ours)
    theirs = applied(keras.optimizers.ScheduleFreeAdamW(0.02), 40)
    assert off([theirs[0]], [y]) > 0.01  # once this fails, Keras has been put right: say so in docs


# ------------------------------------------------------------------------------ every rule


def own(name):
    """An optimizer of lrcore on arrays, and the one of Keras that is to do the same."""
    rule = getattr(optimizers, name)
    arrays = dict(enumerate(runs.values(variables())))
    return rule, arrays, getattr(lrcore.keras, name)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_the_bits_of_lrcore(name, graph):
    rule, arrays, kind = own(name)
    rate = schedules.Cosine(0.02, steps=8, warmup=2)
    opt = kind(rate)
    hypers = dict(opt._host.hypers)
    if name == "Muon":  # Keras's takes 2-D variables for matrices alone
        groups = [{"params": {0: arrays[0], 1: arrays[1]}},
                  {"params": {2: arrays[2], 3: arrays[3]}, "adamw": True}]  # fmt: skip
    else:
        groups = [{"params": arrays}]
    core = rule(groups, **{rule.rate_name: rate}, **hypers, nonfinite="ignore")
    momenta = []

    def each(step):
        if opt._host.rate_inside:
            momenta.append(opt._host._momentum(rate(step)))
        opt._loss = tensor_loss(step) if rule.needs_loss else None

    ours = applied(opt, 6, graph=graph and not rule.needs_loss, each=each)
    for step in range(6):
        grads = dict(enumerate(gradients(step)))
        tree = [{k: grads[k] for k in group["params"]} for group in groups]
        if opt._host.rate_inside:
            core.param_groups[0]["momentum"] = momenta[step]
        core.step(tree, loss=loss_of(step) if rule.needs_loss else None)
    assert same_bits(ours, list(arrays.values()))
    assert not same_bits(ours, runs.values(variables()))
    assert opt.core.t == 6 == int(runs.number(opt.iterations))


def loss_of(step):
    return 1.5 - 0.25 * step


def tensor_loss(step):
    return runs.tensor(np.float32(loss_of(step)))


@pytest.mark.parametrize("name", NAMES)
def test_a_class_says_what_it_is(name):
    kind = getattr(lrcore.keras, name)
    assert kind.__name__ == kind.__qualname__ == name
    assert kind.__module__ == "lrcore.keras"
    assert issubclass(kind, keras.optimizers.Optimizer)
    assert kind.rule is getattr(lrcore, name)
    assert f":class:`lrcore.{name}`" in kind.__doc__
    assert next(iter(inspect.signature(kind).parameters)) == "learning_rate"
    assert set(lrcore.keras.CLASSES) <= set(lrcore.keras.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_makes_the_same_optimizer(name):
    options = {"clipnorm": 1.5, "agc": 0.01, "lr_scale": {"kernel0": 0.5}, "name": "mine"}
    if RULES[getattr(optimizers, name).rule].scope == "matrix":
        options.pop("agc")
    opt = getattr(lrcore.keras, name)(schedules.Cosine(0.01, steps=9), **options)
    config = keras.optimizers.serialize(opt)
    again = keras.optimizers.deserialize(json.loads(json.dumps(config)))
    assert type(again) is type(opt)
    assert again.get_config() == opt.get_config()
    assert again._host.schedule == schedules.Cosine(0.01, steps=9)
    assert {k: repr(v) for k, v in again._host.hypers.items()} == {
        k: repr(v) for k, v in opt._host.hypers.items()
    }


def test_a_hyper_parameter_may_be_a_schedule():
    beta = schedules.Linear(0.95, steps=5, end=0.5)
    opt = lrcore.keras.LaProp(0.02, betas=(beta, 0.9))
    again = type(opt).from_config(opt.get_config())
    assert again._host.hypers["betas"] == (beta, 0.9)
    assert same_bits(applied(opt, 4), applied(again, 4))
    assert not same_bits(applied(opt.from_config(opt.get_config()), 4), applied(
        lrcore.keras.LaProp(0.02, betas=(0.95, 0.9)), 4))  # fmt: skip


def test_momentum_goes_on_with_the_rates_it_had():
    """In Keras the velocity has its rates in it; a rate that falls does not take them out."""
    rates = [0.1, 0.1, 0.01, 0.01, 0.05]
    kinds = keras.optimizers.SGD, lrcore.keras.SGD
    made = [kind(0.1, momentum=0.9) for kind in kinds]

    def setting(opt):
        def each(step):
            opt.learning_rate = rates[step]

        return each

    theirs, ours = (applied(opt, 5, each=setting(opt)) for opt in made)
    assert off(ours, theirs) < 1e-6
    assert math.isclose(made[1]._host._momentum(0.1), 0.9 * 0.05 / 0.1, rel_tol=1e-6)
