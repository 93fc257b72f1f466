"""The rules of signs, with optax and pytorch_optimizer; those that keep sums of all gradients: FTRL
with Keras, MADGRAD with its authors' package and timm."""

import os

from .harness import Case, Optax, Torch, framework

__all__ = ["CASES"]

F64 = ("float64",)


class Ftrl:
    """Keras' Ftrl, on torch. Takes its numbers as float32, so that they must be such that this holds them."""

    def __init__(self, **options):
        self.options = options

    def start(self, params):
        os.environ.setdefault("KERAS_BACKEND", "torch")
        keras = framework("keras")
        self.params = [keras.Variable(p, dtype=p.dtype.name) for p in params]
        self.opt = keras.optimizers.Ftrl(**self.options)
        self.opt.build(self.params)

    def step(self, grads, loss):
        keras = framework("keras")
        self.opt.apply([keras.ops.convert_to_tensor(g) for g in grads], self.params)

    def arrays(self):
        return [p.value.detach().numpy() for p in self.params]


def _ftrl(ours, **theirs):
    names = {"lr": "learning_rate", "lr_power": "learning_rate_power"}
    names |= {x: f"{x}_regularization_strength" for x in ("l1", "l2", "l2_shrinkage")}
    return Case("FTRL", ours, Ftrl(**{names.get(k, k): v for k, v in ours.items()}, **theirs))


def _authors(ours, **theirs):
    return Case("MADGRAD", ours, Torch(lambda m, p: m.MADGRAD(p, **theirs), "madgrad"), gaps=False)


def _timm(ours, **theirs):
    return Case("MADGRAD", ours, Torch(lambda m, p: m.MADGRAD(p, **theirs), "timm.optim.madgrad"))


def _sign(rule, ours, **theirs):
    peer = Torch(lambda m, p: m.SignSGD(p, **theirs), "pytorch_optimizer")
    return Case(rule, ours, peer, gaps=True)


CASES = [
    Case("SignSGD", {}, Optax(lambda o: o.sign_sgd(1e-3)), F64),
    _sign("SignSGD", {"weight_decay": 0.3}, momentum=0.0, weight_decay=0.3),
    Case("Signum", {}, Optax(lambda o: o.signum(1e-3)), F64),
    _sign("Signum", {}),
    _sign("Signum", {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.3, "maximize": True},
          lr=0.01, momentum=0.5, weight_decay=0.3, maximize=True),
    _ftrl({"lr": 2.0**-10}),
    _ftrl({"lr": 0.125, "l1": 0.5, "l2": 0.25, "initial_accumulator_value": 0.0}),
    _ftrl({"lr": 0.0625, "l2_shrinkage": 0.125, "beta": 1.5, "weight_decay": 0.125}),
    _ftrl({"lr": 0.125, "lr_power": -0.75, "l1": 0.1}),
    _ftrl({"lr": 0.125, "lr_power": 0.0}),
    _authors({}),
    _authors({"lr": 0.1, "momentum": 0.0, "weight_decay": 0.1}, lr=0.1, momentum=0,
             weight_decay=0.1),
    _authors({"lr": 0.1, "momentum": 0.5, "eps": 0.0}, lr=0.1, momentum=0.5, eps=0.0),
    _timm({"momentum": 0.0}, momentum=0.0),
    _timm({"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}, lr=0.1,
          weight_decay=0.1, decoupled_decay=True),
]  # fmt: skip
