"""Meaning: every rule against independent implementations, over 100 steps."""

from importlib import import_module

import numpy as np
import pytest
from support import missing

import lrcore

STEPS = 100
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
SHAPES = [(17, 9), (130,), (3, 4, 5)]

TORCH = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
            {"momentum": 0.5, "dampening": 0.3, "maximize": True}],
    "Adagrad": [{}, {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.9}, {"centered": True, "weight_decay": 0.1},
                {"centered": True, "momentum": 0.5, "alpha": 0.9}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}, {"betas": (0.5, 0.9), "eps": 1e-3}],
    "AdamW": [{}, {"amsgrad": True}, {"weight_decay": 0.3, "maximize": True}],
}  # fmt: skip

# The rule, its options here, and how optax says the same.
OPTAX = [
    ("Lion", {}, lambda o: o.lion(1e-4, b1=0.9, b2=0.99, weight_decay=0.0)),
    ("Lion", {"lr": 0.01, "weight_decay": 0.1}, lambda o: o.lion(0.01, weight_decay=0.1)),
    ("LAMB", {}, lambda o: o.lamb(1e-3)),
    ("LAMB", {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.9)},
     lambda o: o.lamb(0.01, b1=0.8, b2=0.9, weight_decay=0.1)),
    ("AdamW", {}, lambda o: o.adamw(1e-3, weight_decay=1e-2)),
    ("Adam", {"clip_value": 0.5}, lambda o: o.chain(o.clip(0.5), o.adam(1e-3))),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, lambda o: o.sgd(0.1, momentum=0.9)),
    ("RMSprop", {}, lambda o: o.rmsprop(1e-2, decay=0.99, eps=1e-8, eps_in_sqrt=False)),
    ("Adagrad", {"initial_accumulator_value": 0.1, "eps": 0.0},
     lambda o: o.adagrad(1e-2, initial_accumulator_value=0.1, eps=0.0)),
]  # fmt: skip


def framework(name):
    try:
        return import_module(name)
    except ImportError:
        missing(name)


def draw(seed, dtype):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype(dtype) for s in SHAPES]


def assert_close(ours, theirs, dtype):
    """Relative to the size of the parameters: some element is always near 0."""
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - np.asarray(b)).max() <= TOLERANCE[dtype] * np.abs(a).max()


def test_every_rule_is_compared_with_someone():
    compared = set(TORCH) | {name for name, *_ in OPTAX}
    assert compared == set(lrcore.optimizers.__all__)


@pytest.mark.frameworks
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("name", "options"), [(n, o) for n, options in TORCH.items() for o in options]
)
def test_torch(name, options, dtype):
    torch = framework("torch")
    ours, start = draw(0, dtype), draw(0, dtype)
    theirs = [torch.tensor(p, requires_grad=True) for p in start]
    a = getattr(lrcore, name)(ours, **options)
    b = getattr(torch.optim, name)(theirs, **{"lr": a.lr, **options})
    for t in range(STEPS):
        grads = draw(t + 1, dtype)
        if t % 7 == 3:
            grads[1] = None
        a.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = None if g is None else torch.tensor(g)
        b.step()
    assert_close(ours, [p.detach().numpy() for p in theirs], dtype)


@pytest.mark.frameworks
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_torch_clip_grad_norm(dtype):
    torch = framework("torch")
    ours = draw(0, dtype)
    theirs = [torch.tensor(p, requires_grad=True) for p in draw(0, dtype)]
    a = lrcore.AdamW(ours, clip_norm=3.0)
    b = torch.optim.AdamW(theirs)
    for t in range(STEPS):
        grads = draw(t + 1, dtype)
        a.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        norm = torch.nn.utils.clip_grad_norm_(theirs, 3.0)
        b.step()
        assert a.grad_norm == pytest.approx(float(norm), rel=TOLERANCE[dtype])
    assert_close(ours, [p.detach().numpy() for p in theirs], dtype)


@pytest.mark.frameworks
@pytest.mark.parametrize(("name", "options", "make"), OPTAX, ids=[f"{n}-{o}" for n, o, _ in OPTAX])
def test_optax(name, options, make):
    """In float64: in float32 optax rounds 1 - beta^t to float32, an error of 1e-5 at first."""
    jax = framework("jax")
    optax = framework("optax")
    dtype = "float64"
    with jax.enable_x64(True):
        ours = draw(0, dtype)
        theirs = [jax.numpy.asarray(p) for p in draw(0, dtype)]
        a, b = getattr(lrcore, name)(ours, **options), make(optax)
        state = b.init(theirs)
        update = jax.jit(b.update)
        for t in range(STEPS):
            grads = draw(t + 1, dtype)
            a.step(grads)
            changes, state = update([jax.numpy.asarray(g) for g in grads], state, theirs)
            theirs = optax.apply_updates(theirs, changes)
        assert_close(ours, theirs, dtype)
