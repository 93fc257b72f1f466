"""Hypergradient descent has no package to install: the paper's algorithms once more.

Baydin et al. 2018, algorithms 4 to 6, over the parameters joined to one vector, in float64, written
from the paper. And Polyak's step size, which optax has.
"""

import numpy as np

from .harness import Case, Optax

__all__ = ["CASES"]

F64 = ("float64",)


class Paper:
    """alpha is the rate, u the step that was made with it, grad u its derivative by alpha."""

    def __init__(self, direction, alpha, beta, decay=0.0, floor=0.0, multiplicative=False):
        self.direction, self.alpha, self.beta, self.decay = direction, alpha, beta, decay
        self.floor, self.multiplicative = floor, multiplicative

    def start(self, params):
        self.shapes = [p.shape for p in params]
        self.theta = self.joined(params)
        self.memory, self.t, self.rate = {}, 0, self.alpha
        self.grad_u = np.zeros_like(self.theta)

    def joined(self, arrays):
        return np.concatenate([a.astype(np.float64).ravel() for a in arrays])

    def step(self, grads, loss):
        self.t += 1
        g = self.joined(grads) + self.decay * self.theta
        h = g @ -self.grad_u  # minus the derivative of the loss by the rate
        if self.multiplicative:
            lengths = np.linalg.norm(g) * np.linalg.norm(self.grad_u)
            self.rate *= 1 + self.beta * h / lengths if lengths else 1
        else:
            self.rate += self.beta * h
        self.rate = max(self.rate, self.floor)
        self.grad_u = -self.direction(self.memory, g, self.t)
        self.theta = self.theta + self.rate * self.grad_u

    def arrays(self):
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        parts = np.split(self.theta, ends)
        return [p.reshape(shape) for p, shape in zip(parts, self.shapes, strict=True)]


def sgd(memory, g, t):
    return g


def heavy_ball(mu):
    def direction(memory, g, t):
        memory["v"] = mu * memory.get("v", 0) + g
        return memory["v"]

    return direction


def nesterov(mu):
    def direction(memory, g, t):
        memory["v"] = mu * memory.get("v", 0) + g
        return g + mu * memory["v"]

    return direction


def adam(b1, b2, eps):
    def direction(memory, g, t):
        memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
        memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g**2
        return memory["m"] / (1 - b1**t) / (np.sqrt(memory["v"] / (1 - b2**t)) + eps)

    return direction


def _case(rule, direction, lr=1e-3, *, momentum=None, **options):
    """`direction` is the paper's; the rest goes to both."""
    names = {"hyper_lr": "beta", "weight_decay": "decay"}
    given = {
        names.get(k, k): v for k, v in options.items() if k not in ("betas", "eps", "nesterov")
    }
    ours = (
        {"lr": lr, **options} if momentum is None else {"lr": lr, "momentum": momentum, **options}
    )
    return Case(rule, ours, Paper(direction, lr, **given), follows=True)


def _polyak(c=1.0, follows=True, **options):
    """optax scales the gradient first, and takes its norm then: the scale is c, and outside, too."""
    ours = {"c": c, "max_lr": 1.0, **options}
    f_min, eps = ours.get("f_star", 0.0), ours.get("eps", 0.0) * c
    peer = Optax(lambda o: o.polyak_sgd(1 / c, c, f_min, eps, "sps+"), value="loss")
    return Case("PolyakSGD", ours, peer, F64, follows=follows)


CASES = [
    _case("HypergradientSGD", sgd, hyper_lr=1e-6),
    _case("HypergradientSGD", sgd, 1.5, hyper_lr=1e-3, weight_decay=0.1, floor=1.2),
    _case("HypergradientSGD", sgd, 1e-2, hyper_lr=0.02, multiplicative=True),
    _case("HypergradientSGD", heavy_ball(0.9), 1e-3, momentum=0.9, hyper_lr=1e-7),
    _case("HypergradientSGD", nesterov(0.8), 1e-3, momentum=0.8, nesterov=True, hyper_lr=0.01,
          multiplicative=True),
    _case("HypergradientAdam", adam(0.9, 0.999, 1e-8), 1e-2, hyper_lr=1e-6),
    _case("HypergradientAdam", adam(0.8, 0.9, 1e-3), 1e-2, betas=(0.8, 0.9), eps=1e-3,
          hyper_lr=0.03, multiplicative=True, weight_decay=0.01, floor=5e-3),
    _polyak(),
    _polyak(2.0, f_star=-3.0, eps=0.5),
    _polyak(0.5, f_star=30.0),
    _polyak(follows=False),
]  # fmt: skip
