"""What it costs to call lrcore from compiled JAX code: steps, and values of a schedule.

    python bench/optax_crossing.py [--rounds 15] [--sizes 26k 1m 10m]

One process; the variants take turns, and of each the median is printed with its quartiles. Buffers
of parameters and state are donated. "nothing" is the same compiled call without an update: what JAX
itself takes to pass the arrays. Threads: as XLA and lrcore choose, all cores that there are.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrcore
import lrcore.optax
from lrcore import schedules
from lrcore.optax import _crossing

SIZES = {
    "26k": [(64, 40), (40,)] + [(52, 52), (52,)] * 8 + [(52, 10), (10,)],
    "1m": [(1000, 500), (500,), (500, 1000), (1000,)],
    "10m": [(2500, 2000), (2000,), (2000, 2500), (2500,)],
}
HYPERS = {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 0.01}


def arrays(shapes, seed):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(0.02 * rng.standard_normal(s).astype(np.float32)) for s in shapes]


def fresh(tree):
    """The same values in memory of their own, which may be donated."""
    return jax.block_until_ready(jax.tree.map(lambda x: x + 0, tree))


class Compiled:
    """One way to make a step, with its parameters and state."""

    def __init__(self, tx, step, shapes):
        self.step = jax.jit(step, donate_argnums=(0, 1))
        self.params, self.grads = fresh(arrays(shapes, 0)), arrays(shapes, 1)
        self.state = fresh(tx.init(self.params))

    def __call__(self):
        self.params, self.state = self.step(self.params, self.state, self.grads)
        jax.block_until_ready(self.params)


class Plain:
    """lrcore on NumPy arrays: no crossing."""

    def __init__(self, shapes):
        self.grads = [np.array(x) for x in arrays(shapes, 1)]
        self.opt = lrcore.AdamW([np.array(x) for x in arrays(shapes, 0)], 1e-3)

    def __call__(self):
        self.opt.step(self.grads)


def added(tx, params, state, grads):
    """The usual loop of optax."""
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def variants(shapes):
    theirs = optax.adamw(1e-3, **HYPERS)
    ours = lrcore.optax.AdamW(1e-3)
    quick = lrcore.optax.AdamW(1e-3, nonfinite="ignore")
    out = {
        "nothing": Compiled(ours, lambda p, s, g: (p, s), shapes),
        "optax.adamw": Compiled(theirs, partial(added, theirs), shapes),
        "step": Compiled(ours, ours.step, shapes),
        'step, nonfinite="ignore"': Compiled(quick, quick.step, shapes),
        "update + apply_updates": Compiled(ours, partial(added, ours), shapes),
        "lrcore.AdamW on NumPy": Plain(shapes),
    }
    _crossing.FFI = False
    slow = lrcore.optax.AdamW(1e-3)  # JAX keeps what it traced of a function
    out["step through pure_callback"] = Compiled(slow, slow.step, shapes)
    out["step through pure_callback"]()
    _crossing.FFI = True
    return out


def timed(run, least=0.02):
    """Seconds of a call, the mean of as many as take a moment."""
    run()
    start = time.perf_counter()
    count = 0
    while time.perf_counter() - start < least:
        run()
        count += 1
    return (time.perf_counter() - start) / count


def compare(named, rounds, unit=1e6):
    """Median and quartiles of each, the order turned around every other round."""
    found = {name: [] for name in named}
    for i in range(rounds):
        for name, run in list(named.items())[:: 1 if i % 2 else -1]:
            found[name].append(unit * timed(run))
    return {name: np.percentile(x, [50, 25, 75]) for name, x in found.items()}


STEPS = 1000


def scanned(rate):
    """A compiled loop of 1000 updates that asks for the rate of each; microseconds an update."""

    def body(total, count):
        return total + rate(count), None

    run = jax.jit(lambda: jax.lax.scan(body, 0.0, jnp.arange(STEPS, dtype=jnp.int32))[0])
    return lambda: jax.block_until_ready(run())


def rates():
    s = schedules.Cosine(1e-3, steps=STEPS)
    table = jnp.asarray(s(np.arange(STEPS)), jnp.float32)
    out = {
        "a loop without a rate": scanned(lambda count: jnp.float32(1e-3)),
        "optax.cosine_decay_schedule": scanned(optax.cosine_decay_schedule(1e-3, STEPS)),
        "a table of all values": scanned(lambda count: table[count]),
        "lrcore.optax.schedule": scanned(lrcore.optax.schedule(s)),
    }
    _crossing.FFI = False
    out["through pure_callback"] = scanned(lrcore.optax.schedule(s))
    out["through pure_callback"]()
    _crossing.FFI = True
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    given = parser.parse_args()
    print(f"jax {jax.__version__}, optax {optax.__version__}, lrcore {lrcore.__version__}")
    for size in given.sizes:
        shapes = SIZES[size]
        print(f"\nAdamW, {sum(map(np.prod, shapes))} parameters in {len(shapes)} arrays: us a step")
        found = compare(variants(shapes), given.rounds)
        base = found["optax.adamw"][0]
        for name, (median, low, high) in found.items():
            ratio = f"{base / median:6.2f}x"
            print(f"  {name:32}{median:10.1f}  [{low:.1f}, {high:.1f}] {ratio}")
    print("\nA cosine inside a compiled loop: us an update")
    for name, (median, low, high) in compare(rates(), given.rounds, 1e6 / STEPS).items():
        print(f"  {name:32}{median:10.3f}  [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
