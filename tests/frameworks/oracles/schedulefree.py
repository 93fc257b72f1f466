"""The authors' package, at the point that is trained; test_modes_live.py compares what is evaluated."""

from .harness import Case, Torch

__all__ = ["CASES"]

OPTIONS = {
    "ScheduleFreeSGD": [
        {},
        {"lr": 0.5, "momentum": 0.8, "weight_decay": 0.1, "warmup_steps": 50},
        {"lr": 0.1, "r": 1.5, "weight_lr_power": 0.5, "warmup_steps": 20},
    ],
    "ScheduleFreeAdamW": [
        {},
        {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1, "warmup_steps": 50},
        {"lr": 0.1, "eps": 1e-3, "r": 1.5, "weight_lr_power": 0.0},
    ],
}


def authors(rule, options):
    """A peer of the schedulefree package, in training mode."""

    def make(module, params):
        opt = getattr(module, rule.removeprefix("ScheduleFree") + "ScheduleFree")(params, **options)
        opt.train()
        return opt

    return Torch(make, "schedulefree")


CASES = [
    Case(rule, options, authors(rule, options))
    for rule, given in OPTIONS.items()
    for options in given
]
