"""What it costs to call lrcore from compiled JAX code: steps, and values of a schedule.

    python bench/optax_crossing.py [--rounds 15] [--sizes 26k 1m 10m]

One process; the variants take turns, and of each the median is printed with its quartiles, and
the least, with their ratios to optax. Buffers
of parameters and state are donated. "no step" is the same compiled call without an update: what JAX
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
    "26k": [(64, 52), (52,)] + [(52, 52), (52,)] * 8 + [(52, 10), (10,)],
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
        "no step": Compiled(ours, lambda p, s, g: (p, s), shapes),
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
    return {name: np.percentile(x, [50, 0, 25, 75]) for name, x in found.items()}


def show(title, found):
    """Print a table; the ratio is to optax's own."""
    print(f"\n{title}")
    for name, (median, least, low, high) in found.items():
        ratios = [
            f"{x / y:6.2f}x" for x, y in zip(found["optax.adamw"], (median, least), strict=False)
        ]
        row = f"{median:10.1f}  [{low:.1f}, {high:.1f}]{ratios[0]}  least {least:.1f}{ratios[1]}"
        print(f"  {name:32}{row}", flush=True)


STEPS = 1000


class Loop:
    """Steps in a compiled loop, which JAX dispatches once; seconds are of all of them."""

    def __init__(self, tx, step, shapes, count):
        grads = arrays(shapes, 1)

        def body(carry, _):
            return step(*carry, grads), None

        def run(params, state):
            return jax.lax.scan(body, (params, state), None, length=count)[0]

        self.run = jax.jit(run, donate_argnums=(0, 1))
        self.carry = fresh(arrays(shapes, 0)), fresh(tx.init(arrays(shapes, 0)))

    def __call__(self):
        self.carry = jax.block_until_ready(self.run(*self.carry))


def loops(shapes, count):
    theirs, ours = optax.adamw(1e-3, **HYPERS), lrcore.optax.AdamW(1e-3)
    return {
        "optax.adamw": Loop(theirs, partial(added, theirs), shapes, count),
        "step": Loop(ours, ours.step, shapes, count),
        "update + apply_updates": Loop(ours, partial(added, ours), shapes, count),
    }


def inexact(steps=2000):
    """Share of the elements that apply_updates leaves apart from the exact step, in a training."""
    tx, key = lrcore.optax.AdamW(1e-3), jax.random.key(0)
    shapes = SIZES["26k"]
    params = arrays(shapes, 0)
    target = arrays(shapes, 2)

    def outputs(p, x):
        for w, b in zip(p[::2], p[1::2], strict=True):
            x = jax.nn.relu(x @ w * 7 + b)
        return x

    def body(carry, key):
        params, state = carry
        x = jax.random.normal(key, (32, 64))
        grads = jax.grad(lambda p: jnp.mean((outputs(p, x) - outputs(target, x)) ** 2))(params)
        new, after = tx.step(params, state, grads)
        sums, _ = added(tx, params, state, grads)
        pairs = zip(new, sums, strict=True)
        return (new, after), sum(jnp.sum(a != b) for a, b in pairs)

    count = sum(x.size for x in params)
    run = jax.jit(lambda p: jax.lax.scan(body, (p, tx.init(p)), jax.random.split(key, steps))[1])
    apart = np.asarray(run(params), np.float64) / count
    return apart[:100].mean(), apart[-100:].mean()


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
        about = f"{sum(map(np.prod, shapes))} parameters in {len(shapes)} arrays"
        show(f"AdamW, {about}: us a step", compare(variants(shapes), given.rounds))
        count = 200 if size != "10m" else 5
        found = compare(loops(shapes, count), given.rounds, 1e6 / count)
        show(f"the same in a compiled loop of {count} steps", found)
    print("\nA cosine inside a compiled loop: us an update")
    for name, (median, least, low, high) in compare(rates(), given.rounds, 1e6 / STEPS).items():
        print(f"  {name:32}{median:10.3f}  [{low:.3f}, {high:.3f}]  least {least:.3f}")
    first, last = inexact()
    print("\nShare of the elements that apply_updates leaves apart from the exact step")
    print(f"  {first:.1e} in the first 100 steps of a training, {last:.1e} in the last of 2000")


if __name__ == "__main__":
    main()
