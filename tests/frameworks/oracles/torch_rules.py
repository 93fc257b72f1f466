"""torch.optim, rule for rule."""

from .harness import Case, Torch

__all__ = ["CASES"]

OPTIONS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
            {"momentum": 0.5, "dampening": 0.3, "maximize": True}],
    "Adagrad": [{}, {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.9}, {"centered": True, "weight_decay": 0.1},
                {"centered": True, "momentum": 0.5, "alpha": 0.9}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}, {"betas": (0.5, 0.9), "eps": 1e-3}],
    "AdamW": [{}, {"amsgrad": True}, {"weight_decay": 0.3, "maximize": True}],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
    "Adamax": [{}, {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
    "NAdam": [{}, {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
              {"momentum_decay": 0.1, "decoupled_weight_decay": True, "weight_decay": 0.1}],
    "RAdam": [{}, {"betas": (0.5, 0.99), "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
              {"decoupled_weight_decay": True, "weight_decay": 0.1}, {"betas": (0.9, 0.5)}],
    "Rprop": [{}, {"lr": 0.1, "etas": (0.7, 1.1), "step_sizes": (1e-3, 0.5), "maximize": True}],
    "ASGD": [{}, {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 20, "weight_decay": 0.1},
             {"lr": 0.1, "lambd": 0.01, "maximize": True}],
    "Adafactor": [{}, {"lr": 0.3, "beta2_decay": -0.5, "d": 1.2, "weight_decay": 0.1, "maximize": True},
                  {"eps": (0.1, 0.5), "d": 3.0}, {"eps": (0.0, 0.0), "lr": 0.1}],
}  # fmt: skip


def _case(rule, options):
    return Case(
        rule, options, Torch(lambda optim, p: getattr(optim, rule)(p, **options)), gaps=True
    )


CASES = [_case(rule, options) for rule, given in OPTIONS.items() for options in given]
