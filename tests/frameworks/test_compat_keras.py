"""compat.keras against Keras, which computes in float64 on its torch backend if it is told to."""

import math
import os

import numpy as np
import pytest
from peers import UPDATES, draws, peer, rate, same

from lrcore.schedules.compat import keras as compat

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


def cosine(r):
    warm = {"warmup_target": rate(r), "warmup_steps": r.randint(1, 40)}
    return {
        "initial_learning_rate": rate(r),
        "decay_steps": r.randint(1, 140),
        "alpha": r.choice([0.0, r.random()]),
        **r.choice([{}, warm, {"warmup_steps": 5}]),
    }


def decay(r):
    return {
        "initial_learning_rate": rate(r),
        "decay_steps": r.randint(1, 60),
        "decay_rate": r.choice([0.96, r.uniform(0.1, 1.2)]),
        "staircase": r.random() < 0.5,
    }


def piecewise(r):
    at = sorted(r.sample(range(140), r.randint(1, 5)))
    return {"boundaries": at, "values": [rate(r) for _ in range(len(at) + 1)]}


CASES = {
    "CosineDecay": cosine,
    "CosineDecayRestarts": lambda r: {
        "initial_learning_rate": rate(r),
        "first_decay_steps": r.randint(1, 40),
        "t_mul": r.choice([1.0, 2.0, 3.0, 1.5, r.uniform(1.01, 3)]),
        "m_mul": r.choice([1.0, r.uniform(0.5, 1.1)]),
        "alpha": r.choice([0.0, r.random()]),
    },
    "ExponentialDecay": decay,
    "InverseTimeDecay": decay,
    "PiecewiseConstantDecay": piecewise,
    "PolynomialDecay": lambda r: {
        "initial_learning_rate": rate(r),
        "decay_steps": r.randint(1, 60),
        "power": r.choice([1.0, 2.0, r.uniform(0.3, 3)]),
        "cycle": r.random() < 0.5,
        **r.choice([{}, {"end_learning_rate": rate(r)}]),
    },
}


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    (keras,) = peer("keras")
    assert keras.backend.backend() == "torch"
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield keras
    keras.config.set_floatx(before)


def starts(kwargs):
    """Where the cycles of CosineDecayRestarts begin."""
    begin, length, found = 0.0, float(kwargs.get("first_decay_steps", math.inf)), []
    while begin < UPDATES:
        found.append(begin)
        begin, length = begin + length, length * kwargs.get("t_mul", 1.0)
    return found


@pytest.mark.parametrize("name", CASES)
def test_values(keras, name):
    for r in draws(name):
        kwargs = CASES[name](r)
        schedule = getattr(keras.optimizers.schedules, name)(**kwargs)
        theirs = [float(schedule(t)) for t in range(UPDATES)]
        restarts = {}
        if name == "CosineDecayRestarts":
            low = kwargs["alpha"] * kwargs["initial_learning_rate"]
            restarts = {"starts": starts(kwargs), "low": low}
        # near the end of a cosine, 1 + cos(x) has the error of 1
        same(getattr(compat, name)(**kwargs), theirs, atol=1e-13, **restarts)


def test_in_float32_as_keras_is_by_default(keras):
    keras.config.set_floatx("float32")
    try:
        for r in draws("float32", 10):
            kwargs = cosine(r)
            schedule = keras.optimizers.schedules.CosineDecay(**kwargs)
            theirs = [float(schedule(t)) for t in range(UPDATES)]
            same(compat.CosineDecay(**kwargs), theirs, rtol=1e-6, atol=1e-6)
    finally:
        keras.config.set_floatx("float64")


class Model:
    """What a callback needs of a model."""

    def __init__(self, keras, rate):
        self.optimizer = keras.optimizers.SGD(rate)


def test_plateau(keras):
    reductions = 0
    for r in draws("ReduceLROnPlateau", 30):
        lr = rate(r)
        options = {
            "factor": r.uniform(0.1, 0.9),
            "patience": r.randint(0, 4),
            "mode": r.choice(["auto", "min", "max"]),
            "min_delta": r.choice([1e-4, 0.0, 0.05]),
            "cooldown": r.choice([0, 1, 2, 4]),
            "min_lr": r.choice([0.0, 1e-3]),
        }
        callback = keras.callbacks.ReduceLROnPlateau(**options)
        callback.set_model(Model(keras, lr))
        callback.on_train_begin()
        ours, x = compat.ReduceLROnPlateau(lr, **options), 1.0
        for epoch in range(60):
            x *= r.choice([1.0, 1.0, 0.99999, 0.9, 1.02])
            loss = math.nan if epoch and r.random() < 0.02 else x
            callback.on_epoch_end(epoch, {"val_loss": loss})
            reductions += ours.update(loss)
            theirs = float(callback.model.optimizer.learning_rate)
            # the rate is a float32 in Keras, whatever its floatx
            np.testing.assert_allclose(ours(epoch), theirs, rtol=1e-6)
    assert reductions > 30


@pytest.mark.parametrize(
    "function",
    [lambda epoch, lr: lr if epoch < 5 else lr * math.exp(-0.1), lambda epoch: 0.5 / (epoch + 1)],
)
def test_learning_rate_scheduler(keras, function):
    callback = keras.callbacks.LearningRateScheduler(function)
    callback.set_model(Model(keras, 0.3))
    theirs = []
    for epoch in range(20):
        callback.on_epoch_begin(epoch)
        theirs += 3 * [float(callback.model.optimizer.learning_rate)]
    ours = compat.LearningRateScheduler(function, 0.3, steps_per_epoch=3)
    same(ours, theirs, rtol=1e-6)


def test_every_name_is_compared():
    callbacks = {"ReduceLROnPlateau", "LearningRateScheduler"}
    assert set(CASES) | callbacks == set(compat.__all__)
