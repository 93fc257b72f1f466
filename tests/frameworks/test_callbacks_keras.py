"""lrcore.callbacks against those of Keras: the same rates after the same epochs."""

import math
import os

import numpy as np
import pytest
from peers import draws, peer, rate

import lrcore
from lrcore import callbacks

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return peer("keras")[0]


class Model:
    """What a callback needs of a model."""

    def __init__(self, keras, rate):
        self.optimizer = keras.optimizers.SGD(rate)
        self.stop_training = False


def both(keras, name, lr, *args, **options):
    """Keras's callback and its model, ours and its optimizer."""
    theirs = getattr(keras.callbacks, name)(*args, **options)
    theirs.set_model(Model(keras, lr))
    theirs.on_train_begin()
    opt = lrcore.SGD(np.zeros(1), lr=lr)
    return theirs, theirs.model.optimizer, getattr(callbacks, name)(opt, *args, **options), opt


def test_plateau(keras):
    reductions = 0
    for r in draws("callbacks", 30):
        options = {
            "factor": r.uniform(0.1, 0.9),
            "patience": r.randint(0, 4),
            "mode": r.choice(["auto", "min", "max"]),
            "min_delta": r.choice([1e-4, 0.0, 0.05]),
            "cooldown": r.choice([0, 1, 2, 4]),
            "min_lr": r.choice([0.0, 1e-3]),
        }
        theirs, model, ours, opt = both(keras, "ReduceLROnPlateau", rate(r), **options)
        x, last = 1.0, opt.lr
        for epoch in range(60):
            x *= r.choice([1.0, 1.0, 0.99999, 0.9, 1.02])
            loss = math.nan if epoch and r.random() < 0.02 else x
            for callback in (theirs, ours):
                callback.on_epoch_end(epoch, {"val_loss": loss})
            np.testing.assert_allclose(opt.lr, float(model.learning_rate), rtol=1e-6)
            reductions += opt.lr < last
            last = opt.lr
    assert reductions > 30


@pytest.mark.parametrize(
    "function",
    [lambda epoch, lr: lr if epoch < 5 else lr * math.exp(-0.1), lambda epoch: 0.5 / (epoch + 1)],
)
def test_learning_rate_scheduler(keras, function):
    theirs, model, ours, opt = both(keras, "LearningRateScheduler", 0.3, function)
    for epoch in range(20):
        for callback in (theirs, ours):
            callback.on_epoch_begin(epoch)
        np.testing.assert_allclose(opt.lr, float(model.learning_rate), rtol=1e-6)


@pytest.mark.parametrize("answer", ["0.1", None])
def test_no_number_is_refused_by_both(keras, answer):
    theirs, _, ours, opt = both(keras, "LearningRateScheduler", 0.3, lambda epoch, lr: answer)
    with pytest.raises(ValueError, match="should be a float"):
        theirs.on_epoch_begin(0)
    with pytest.raises(TypeError, match="schedule must return a number"):
        ours.on_epoch_begin(0)
    assert opt.lr == 0.3


@pytest.mark.parametrize("loss", [1.0, math.nan, math.inf])
def test_terminate_on_nan(keras, loss):
    theirs, ours = keras.callbacks.TerminateOnNaN(), callbacks.TerminateOnNaN()
    theirs.set_model(Model(keras, 0.1))
    theirs.on_batch_end(3, {"loss": loss})
    ours.on_step_end(3, loss)
    assert ours.stop == theirs.model.stop_training
