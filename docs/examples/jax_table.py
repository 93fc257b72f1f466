"""A small network on a real table with JAX: before and after the one line that changes.

    python docs/examples/jax_table.py

The table is scikit-learn's breast cancer data: 569 samples of 30 columns, two classes. All runs
begin at the same weights and see the same batches; times are of whole runs, compilation left out,
the median of five.
"""

import time
from itertools import pairwise
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import lrcore.optax

EPOCHS, BATCH, SIZES, RATE = 40, 32, (30, 128, 128, 1), 1e-3


def table():
    """Training and test rows, each column at mean 0 and deviation 1 in training."""
    x, y = load_breast_cancer(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    mean, std = x.mean(axis=0), x.std(axis=0)
    parts = ((x - mean) / std, y, (x_test - mean) / std, y_test)
    return tuple(jnp.asarray(part, jnp.float32) for part in parts)


def weights():
    """Those that all runs begin at."""
    rng = np.random.default_rng(0)
    layers = []
    for m, n in pairwise(SIZES):
        w = rng.standard_normal((m, n)) * np.sqrt(2 / m)
        layers.append({"w": jnp.asarray(w, jnp.float32), "b": jnp.zeros(n)})
    return layers


def outputs(params, x):
    """What the network says of each row: above zero for the second class."""
    *hidden, last = params
    for layer in hidden:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return (x @ last["w"] + last["b"])[:, 0]


def loss_of(params, x, y):
    """The mean cross-entropy of a batch."""
    return optax.sigmoid_binary_cross_entropy(outputs(params, x), y).mean()


def added(tx, params, state, grads):
    """The usual step of optax."""
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def exact(tx, params, state, grads):
    """The step of lrcore: the new parameters take the place of the old ones."""
    return tx.step(params, state, grads)


def trainer(tx, move, x, y):
    """A compiled run over all batches: weights -> weights and the losses of the epochs."""

    def step(carry, rows):
        params, state = carry
        loss, grads = jax.value_and_grad(loss_of)(params, x[rows], y[rows])
        return move(tx, params, state, grads), loss

    order = np.random.default_rng(1)
    count = len(x) // BATCH
    batches = [order.permutation(len(x))[: count * BATCH] for _ in range(EPOCHS)]
    batches = jnp.asarray(np.array(batches).reshape(EPOCHS * count, BATCH))

    @jax.jit
    def train(params):
        (params, _), losses = jax.lax.scan(step, (params, tx.init(params)), batches)
        return params, losses.reshape(EPOCHS, count).mean(axis=1)

    return train


def seconds(run, start):
    """What a run takes."""
    began = time.perf_counter()
    jax.block_until_ready(run(start))
    return time.perf_counter() - began


def main():
    """Train four times and compare."""
    x, y, x_test, y_test = table()
    before = optax.adamw(RATE, weight_decay=0.01)
    after = lrcore.optax.AdamW(RATE, weight_decay=0.01)  # the line that changes
    still = optax.scale(0.0)  # gradients, and no rule: what the rest takes
    runs = {
        "no rule": trainer(still, added, x, y),
        "optax.adamw": trainer(before, added, x, y),
        "lrcore.optax.AdamW": trainer(after, added, x, y),
        "and its step": trainer(after, exact, x, y),
    }
    start, found = weights(), {}
    for name, run in runs.items():
        found[name] = jax.block_until_ready(run(start))
    times = {name: [] for name in runs}
    for _ in range(5):
        for name, run in runs.items():
            times[name].append(seconds(run, start))
    losses = {name: np.asarray(loss) for name, (_, loss) in found.items()}
    count = EPOCHS * (len(x) // BATCH)
    print(f"{len(x)} rows, {sum(p.size for p in jax.tree.leaves(start))} weights, {count} steps")
    for name, (params, _) in found.items():
        right = np.mean((outputs(params, x_test) > 0) == (y_test > 0.5))
        print(
            f"{name:20} loss {losses[name][-1]:.6f}  right {right:.1%}  "
            f"{1e3 * median(times[name]):6.1f} ms"
        )
    names = [name for name in runs if name != "no rule"]
    apart = max(abs(losses[name] / losses[names[0]] - 1).max() for name in names[1:])
    print(f"mean losses of the epochs differ by at most {apart:.1e} of themselves")
    assert apart < 1e-3


if __name__ == "__main__":
    main()
