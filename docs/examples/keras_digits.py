"""Handwritten digits in Keras, before and after one line is changed.

    KERAS_BACKEND=tensorflow python docs/examples/keras_digits.py

The line is the one that compiles the model: ``keras.optimizers.AdamW`` becomes
``lrcore.keras.AdamW``. Each is trained in turns, from the same beginning on the same batches. What
is printed: that both reach the same, and how long an epoch takes; "no rule" is an optimizer that
leaves the weights alone, so that what it takes is what any optimizer leaves. The images come with
scikit-learn.
"""

import statistics
import time

import keras
import numpy as np
from sklearn.datasets import load_digits

import lrcore.keras

BEFORE, AFTER, NONE = "keras.optimizers.AdamW", "lrcore.keras.AdamW", "no rule"
EPOCHS, TURNS, ROWS = 5, 5, 32


class NoRule(keras.optimizers.Optimizer):
    """Leaves the weights alone."""

    def update_step(self, gradient, variable, learning_rate):
        """Do nothing."""


OPTIMIZERS = {
    BEFORE: lambda: keras.optimizers.AdamW(1e-3),
    AFTER: lambda: lrcore.keras.AdamW(1e-3),
    NONE: lambda: NoRule(1e-3),
}


def data():
    """Images and digits, 1,437 to learn from and 360 to be asked for."""
    images, digits = load_digits(return_X_y=True)
    x = (images / 16).astype("float32")
    order = np.random.default_rng(0).permutation(len(x))
    return x[order[360:]], digits[order[360:]], x[order[:360]], digits[order[:360]]


def network(optimizer):
    """Four layers: 8 arrays, 22 thousand numbers."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input((64,))]
    layers += [keras.layers.Dense(n, "relu") for n in (96, 96, 64)]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


class Clock(keras.callbacks.Callback):
    """The seconds of each epoch."""

    def on_train_begin(self, logs=None):
        """Begin."""
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Look at the clock."""
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Look again."""
        self.seconds.append(time.perf_counter() - self.begun)


def train(make, x, y):
    """Train; the network, the losses of the epochs, and the seconds of one, but for the first."""
    model, clock = network(make()), Clock()
    told = model.fit(x, y, ROWS, EPOCHS, verbose=0, shuffle=False, callbacks=[clock])
    return model, told.history["loss"], statistics.median(clock.seconds[1:])


def main():
    """Train with each in turns, and print what came of it."""
    x, y, unseen, wanted = data()
    seconds = {name: [] for name in OPTIMIZERS}
    losses, right = {}, {}
    for _ in range(TURNS):
        for name, make in OPTIMIZERS.items():
            model, losses[name], one = train(make, x, y)
            seconds[name].append(one)
            right[name] = model.evaluate(unseen, wanted, verbose=0)[1]
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")
    print(f"{'':24}  right   last loss  an epoch")
    for name in OPTIMIZERS:
        one = statistics.median(seconds[name]) * 1e3
        print(f"{name:24}  {right[name]:.1%}  {losses[name][-1]:9.6f}  {one:5.0f} ms")
    ratios = [a / b for a, b in zip(seconds[BEFORE], seconds[AFTER], strict=True)]
    print(
        f"the epoch is {statistics.median(ratios):.2f} times as fast "
        f"(of {TURNS} turns {min(ratios):.2f} to {max(ratios):.2f})"
    )
    apart = np.max(np.abs(np.array(losses[AFTER]) / losses[BEFORE] - 1))
    print(f"the losses of the epochs differ by at most {apart:.1e} of themselves")
    assert apart < 0.05


if __name__ == "__main__":
    main()
