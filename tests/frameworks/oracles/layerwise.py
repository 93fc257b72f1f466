"""Rules with a number a tensor: timm's, optax's and pytorch_optimizer's."""

from .harness import Case, Optax, Torch

__all__ = ["CASES"]

F64 = ("float64",)


def _lars(**options):
    ours = {"lr": 1.0, "momentum": 0.0, "always_adapt": False, **options}
    names = {"trust_coefficient": "trust_coeff"}
    theirs = {names.get(k, k): v for k, v in ours.items()}
    return Case("LARS", ours, Torch(lambda m, p: m.Lars(p, **theirs), "timm.optim.lars"))


def _novograd(**options):
    peer = Torch(lambda m, p: m.NvNovoGrad(p, **options), "timm.optim.nvnovograd")
    return Case("NovoGrad", options, peer)


def _stable(**options):
    given = {"betas": (0.9, 0.999), **options}
    peer = Torch(lambda m, p: m.StableAdamW(p, **given), "pytorch_optimizer.optimizer.adamw")
    return Case("StableAdamW", options, peer)


CASES = [
    _lars(),
    _lars(always_adapt=True, trust_coefficient=0.02),
    _lars(lr=0.5, momentum=0.9, weight_decay=0.1, trust_coefficient=0.01),
    _lars(lr=0.02, momentum=0.9, weight_decay=0.1, nesterov=True, eps=1e-3),
    _lars(lr=0.01, momentum=0.5, dampening=0.3, always_adapt=True, trust_clip=True,
          trust_coefficient=0.02),
    Case("LARS", {"lr": 0.1, "momentum": 0.0, "eps": 0.0},
         Optax(lambda o: o.lars(0.1, momentum=0.0)), F64),
    _novograd(),
    _novograd(lr=0.01, betas=(0.9, 0.5), weight_decay=0.1, eps=1e-3),
    _novograd(lr=0.01, grad_averaging=True, amsgrad=True, weight_decay=0.01),
    _stable(),
    _stable(lr=0.01, betas=(0.8, 0.95), weight_decay=0.3, eps=1e-3),
]  # fmt: skip
