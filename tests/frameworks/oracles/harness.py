"""A case: a rule under some options, and who else makes the same steps."""

import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
from support import missing

#: Relative to the largest element of a parameter: some element is always near 0.
TOLERANCE = {"float32": 1e-5, "float64": 1e-9}
STEPS = 200
SHAPES = [(17, 9), (130,), (3, 4, 5)]


def framework(name):
    """A module of the frameworks extra; where it is not installed the test is skipped, loudly."""
    try:
        return import_module(name)
    except ImportError:
        missing(name.partition(".")[0])


@cache
def part(name):
    """A module of timm without the package around it, which wants torchvision and more."""
    top = name.partition(".")[0]
    spec = find_spec(top) if top not in sys.modules else sys.modules[top].__spec__
    if spec is None:
        missing(top)
    before = {k: m for k, m in sys.modules.items() if k.partition(".")[0] == top}
    names = name.split(".")
    try:
        for depth in range(1, len(names)):
            around = ModuleType(".".join(names[:depth]))
            inside = "/".join(names[1:depth])
            around.__path__ = [f"{x}/{inside}" for x in spec.submodule_search_locations]
            sys.modules[around.__name__] = around
        return import_module(name)
    finally:
        for k in [k for k in sys.modules if k.partition(".")[0] == top]:
            del sys.modules[k]
        sys.modules.update(before)


@contextmanager
def default_dtype(torch, dtype):
    """Some of torch's rules keep their scalars in the default dtype, whatever the parameters'."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Torch:
    """A torch.optim.Optimizer, made by ``make(module, params)`` of a module that has it."""

    def __init__(self, make: Callable[[Any, Any], Any], module: str = "torch.optim") -> None:
        self.make, self.module = make, module

    def start(self, params):
        torch = framework("torch")
        self.params = [torch.tensor(p, requires_grad=True) for p in params]
        found = part if self.module.startswith("timm.") else framework
        module = found(self.module)
        with default_dtype(torch, self.params[0].dtype):
            self.opt = self.make(module, self.params)

    def step(self, grads, loss):
        torch = framework("torch")
        for p, g in zip(self.params, grads, strict=True):
            p.grad = None if g is None else torch.tensor(g)
        with default_dtype(torch, self.params[0].dtype):
            self.opt.step()

    def arrays(self):
        return [p.detach().numpy() for p in self.params]


class Optax:
    """A GradientTransformation, made by ``make(module)`` of optax or a module of it."""

    def __init__(self, make: Callable[[Any], Any], module: str = "optax", **extra: str) -> None:
        self.make, self.module, self.extra = make, module, extra

    def start(self, params):
        self.jax, self.optax = framework("jax"), framework("optax")
        self.x64 = self.jax.enable_x64(params[0].dtype == np.float64)
        with self.x64:
            self.params = [self.jax.numpy.asarray(p) for p in params]
            made = self.make(framework(self.module))
            self.state, self.update = made.init(self.params), self.jax.jit(made.update)

    def step(self, grads, loss):
        extra = {"value": loss} if "value" in self.extra else {}
        with self.jax.enable_x64(self.params[0].dtype == np.float64):
            grads = [self.jax.numpy.asarray(g) for g in grads]
            changes, self.state = self.update(grads, self.state, self.params, **extra)
            self.params = self.optax.apply_updates(self.params, changes)

    def arrays(self):
        return [np.asarray(p) for p in self.params]


@dataclass
class Case:
    """`rule` with `options` makes the steps of `peer`.

    Gradients are normal numbers; `follows` makes them those of a quadratic bowl, so that the
    parameters get somewhere: rules that estimate a rate need it. With `gaps` a parameter has no
    gradient now and then. `tolerance` takes the place of `TOLERANCE` where a peer rounds more
    coarsely; `why` says so. `shapes` are those of the three parameters.
    """

    rule: str
    options: dict[str, Any]
    peer: Any
    dtypes: tuple[str, ...] = ("float32", "float64")
    follows: bool = False
    gaps: bool = False
    tolerance: dict[str, float] = field(default_factory=dict)
    why: str = ""
    shapes: list[tuple[int, ...]] = field(default_factory=lambda: SHAPES)

    def __str__(self):
        given = "-".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.rule}-{type(self.peer).__name__}-{given}"

    def within(self, dtype):
        assert not self.tolerance or self.why, "a wider tolerance wants a reason"
        return {**TOLERANCE, **self.tolerance}[dtype]


def draw(seed, dtype, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def gradients(case, t, params, dtype):
    """Of step t, and the loss."""
    grads = draw(t + 1, dtype, case.shapes)
    if case.follows:
        goals = draw(0, dtype, case.shapes)
        grads = [(p - 3 * a + 0.1 * g).astype(dtype)
                 for p, a, g in zip(params, goals, grads, strict=True)]  # fmt: skip
    loss = sum(float((g.astype(float) ** 2).sum()) for g in grads) / 2
    if case.gaps and t % 7 == 3:
        grads[1] = None
    return grads, loss
