"""What a step of lrcore.keras takes, against Keras's own optimizer of the name.

    KERAS_BACKEND=tensorflow python bench/keras_step.py [AdamW ...]

One process, the two in turns, the median of the rounds; the ratio is of medians, and in brackets
the lowest and highest of the rounds. With TensorFlow a step is a call of a compiled graph.
"""

import statistics
import sys
import time

import keras
import numpy as np

import lrcore.keras

ROUNDS = 21
SIZES = {
    "perceptron, 20 arrays, 26 k": [(36, 36), (36,)] * 9 + [(1400, 10), (10,)],
    "1 array, 1 M": [(1000, 1000)],
    "10 arrays, 10 M": [(1000, 1000)] * 10,
}


def stepper(make, shapes):
    """A function that makes a step."""
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.standard_normal(s).astype("float32")) for s in shapes]
    drawn = (rng.standard_normal(s).astype("float32") for s in shapes)
    grads = [keras.ops.convert_to_tensor(g) for g in drawn]
    optimizer = make()
    optimizer.build(variables)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        graph = tf.function(lambda *g: optimizer.apply(list(g), variables))
        return lambda: graph(*grads)
    import torch

    return lambda: torch.no_grad()(optimizer.apply)(grads, variables)


def timed(step, count):
    """Microseconds of a step."""
    begun = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - begun) / count * 1e6


def main(names):
    """Print a row for each rule and size."""
    print(f"Keras {keras.__version__} on {keras.backend.backend()}, us a step")
    for name in names:
        for label, shapes in SIZES.items():
            kinds = (keras.optimizers, lrcore.keras)
            steps = [stepper(getattr(kind, name), shapes) for kind in kinds]
            count = max(1, 200_000 // sum(int(np.prod(s)) for s in shapes))
            for step in steps:
                timed(step, 3)
            rounds = [[timed(step, count) for step in steps] for _ in range(ROUNDS)]
            theirs, ours = (statistics.median(x) for x in zip(*rounds, strict=True))
            ratios = sorted(a / b for a, b in rounds)
            print(
                f"{name:8} {label:28} {theirs:9.0f} {ours:9.0f}   {theirs / ours:.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or ["AdamW", "SGD", "RMSprop"])
