"""What the tests of lrcore.optax share: parameters, gradients, and runs with and without JAX."""

import numpy as np
from support import missing

from lrcore import optimizers

try:
    import jax
    import jax.numpy as jnp

    import lrcore.optax as adapter
except ImportError:
    adapter = None

SHAPES = {"a": (40, 33), "b": [(7,), ()], "c": (2, 3, 5), "empty": (0, 3)}
RULES = optimizers.__all__


def installed():
    if adapter is None:
        missing("jax and optax")


def tree(seed, dtype=np.float32, shapes=SHAPES):
    """Arrays of NumPy in a structure that JAX has in the same order."""
    rng = np.random.default_rng(seed)

    def made(shape):
        if isinstance(shape, dict):
            return {k: made(v) for k, v in shape.items()}
        if isinstance(shape, list):
            return [made(v) for v in shape]
        return np.array(rng.standard_normal(shape), dtype)

    return made(shapes)


def plain_run(kind, params, grads, value=1.5, **options):
    """An optimizer of NumPy after some steps; the parameters are changed."""
    opt = kind(params, **options)
    for g in grads:
        opt.step(g, loss=value if opt.needs_loss else None)
    return opt


def jax_run(tx, params, grads, value=1.5, donate=True):
    """Parameters and state after the same steps, compiled."""
    params = jax.tree.map(lambda x: jnp.array(x), params)
    state = jax.tree.map(lambda x: jnp.array(x), tx.init(params))
    step = jax.jit(tx.step, donate_argnums=(0, 1) if donate else ())
    for g in grads:
        params, state = step(params, state, g, value=value)
    return params, state


def bits(x):
    """The bits of an array."""
    x = np.ascontiguousarray(np.asarray(x))
    return x.reshape(-1).view(np.uint8)


def same_tree(got, wanted):
    got, wanted = jax.tree.leaves(got), jax.tree.leaves(wanted)
    assert len(got) == len(wanted)
    for x, y in zip(got, wanted, strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(bits(x), bits(y))


def same_state(state, opt, params):
    """Whether a state is that of an optimizer, to the last bit."""
    assert int(state.count) == opt.t
    leaves, tree = jax.tree.flatten(params)
    columns = {k: tree.flatten_up_to(v) for k, v in state.arrays.items()}
    for i, arrays in enumerate(opt.state.values()):
        for name, array in arrays.items():
            if name != "work":
                np.testing.assert_array_equal(bits(columns[name][i]), bits(array))
    assert len(leaves) == len(opt.state)
    if opt._plan.scalars:
        raw = np.asarray(state.scalars).view(np.float64)[..., 0]
        np.testing.assert_array_equal(raw, np.array(opt._plan.scalars))
