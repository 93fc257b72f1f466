"""What the tests of lrcore.keras share: the backend, variables, gradients, a small network."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from peers import peer

(keras,) = peer("keras")
BACKEND = keras.backend.backend()
(backend,) = peer(BACKEND)
ON_TENSORFLOW = BACKEND == "tensorflow"

#: A matrix that fills cache lines, one that does not, filters of a convolution, a vector.
SHAPES = [(16, 32), (7, 5), (3, 3, 2, 4), (19,)]


def variables(seed=0, shapes=SHAPES, dtype="float32"):
    r = np.random.default_rng(seed)
    return [
        keras.Variable(r.normal(size=s).astype("float32"), dtype=dtype, name=f"kernel{i}")
        for i, s in enumerate(shapes)
    ]


def gradients(step, shapes=SHAPES, scale=1.0):
    r = np.random.default_rng(1000 + step)
    return [(scale * r.normal(size=s) + 0.1).astype("float32") for s in shapes]


def tensor(a, dtype="float32"):
    return keras.ops.convert_to_tensor(a, dtype=dtype)


def number(x):
    return float(keras.ops.convert_to_numpy(x))


def values(these):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in these]


def applied(opt, steps, *, graph=False, seed=0, shapes=SHAPES, dtype="float32", each=None):
    """Variables after some steps with drawn gradients; `each` is told the step before it."""
    vs = variables(seed, shapes, dtype)
    opt.build(vs)

    def apply(*grads):
        opt.apply(list(grads), vs)

    if BACKEND == "torch":
        apply = backend.no_grad()(apply)
    elif graph:
        apply = backend.function(apply)
    for step in range(steps):
        if each is not None:
            each(step)
        apply(*[tensor(g, dtype) for g in gradients(step, shapes)])
    return values(vs)


def same_bits(a, b):
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)
    )


def off(a, b):
    """The largest difference, relative to the largest change there could be: that of a value 1."""
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


def network(optimizer, seed=0, **compiled):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((20,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(4)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, **compiled)
    return model


def data(n=256):
    r = np.random.default_rng(3)
    x = r.normal(size=(n, 20)).astype("float32")
    return x, np.argmax(x[:, :4] + 0.3 * r.normal(size=(n, 4)), axis=1)


def fit(model, epochs=1, **options):
    x, y = data()
    options = {"batch_size": 32, "shuffle": False, "verbose": 0, **options}
    return model.fit(x, y, epochs=epochs, **options).history
