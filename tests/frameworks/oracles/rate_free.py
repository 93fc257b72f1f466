"""The rules that find the rate themselves: the authors' packages, and optax for DoWG."""

import numpy as np

from .harness import Case, Optax, Torch

__all__ = ["CASES"]

OPTIONS = {
    "DAdaptSGD": [{}, {"momentum": 0.9}, {"lr": 0.5, "d0": 1e-3, "growth_rate": 1.3}],
    "DAdaptAdam": [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decouple": True},
                   {"use_bias_correction": True, "betas": (0.8, 0.95)},
                   {"lr": 0.5, "d0": 1e-3, "growth_rate": 1.1, "eps": 1e-3}],
    "Prodigy": [{}, {"weight_decay": 0.1, "d0": 1e-2}, {"weight_decay": 0.1, "decouple": False},
                {"use_bias_correction": True, "betas": (0.8, 0.95), "beta3": 0.9},
                {"safeguard_warmup": True, "d_coef": 2.0, "lr": 0.5},
                {"growth_rate": 1.05, "d0": 1e-3, "eps": 1e-3}],
    "DoG": [{}, {"reps_rel": 1e-4, "eps": 1e-2}, {"lr": 0.5, "weight_decay": 0.1},
            {"init_eta": 0.01}],
    "LDoG": [{}, {"reps_rel": 1e-4, "eps": 1e-2}, {"lr": 0.5, "weight_decay": 0.1},
             {"init_eta": 0.01}],
}  # fmt: skip
MODULES = {"DAdaptSGD": "dadaptation", "DAdaptAdam": "dadaptation", "Prodigy": "prodigyopt",
           "DoG": "dog", "LDoG": "dog"}  # fmt: skip
#: Its package has nothing for parameters without a gradient.
WHOLE = ("DoG", "LDoG")


class WithDecay(Torch):
    """DAdaptSGD with the first gradient's norm as it is meant, of the gradient with its decay."""

    def step(self, grads, loss):
        group = self.opt.param_groups[0]
        if "g0_norm" not in group:
            decayed = [g + group["weight_decay"] * p.detach().numpy()
                       for p, g in zip(self.params, grads, strict=True)]  # fmt: skip
            group["g0_norm"] = float(np.sqrt(sum((g.astype(float) ** 2).sum() for g in decayed)))
            group["k"] = 1
        super().step(grads, loss)


def _peer(rule, options, kind=Torch):
    return kind(lambda module, p: getattr(module, rule)(p, **options), MODULES[rule])


def _case(rule, options, kind=Torch):
    gaps = rule not in WHOLE and "use_bias_correction" not in options
    return Case(rule, options, _peer(rule, options, kind), follows=True, gaps=gaps)


def _layers(factors, **options):
    """DAdaptAdam with a layer_scale a parameter, each in a group of its own."""

    def make(module, params):
        groups = [{"params": [p], "layer_scale": r} for p, r in zip(params, factors, strict=True)]
        return module.DAdaptAdam(groups, **options)

    return Case(
        "DAdaptAdam", {"lr_scale": factors, **options}, Torch(make, "dadaptation"), follows=True
    )


CASES = [_case(rule, options) for rule, given in OPTIONS.items() for options in given]
CASES += [
    _case("DAdaptSGD", {"weight_decay": 0.1}, WithDecay),
    _layers([1.0, 0.25, 3.0]),
    # For beta1 = 0 the package leaves m out, and d is the new one by mistake: any beta1 but 0 is right.
    Case("Prodigy", {"betas": (0.0, 0.9)}, _peer("Prodigy", {"betas": (1e-30, 0.9)}), follows=True),
    # The first steps are some last places of a float32 parameter, and the decay rounds otherwise
    # there: whoever rounds, d differs by some thousandths.
    Case(
        "Prodigy",
        {"weight_decay": 0.1},
        _peer("Prodigy", {"weight_decay": 0.1}),
        ("float64",),
        follows=True,
    ),
]
CASES += [
    Case("DoWG", options, Optax(make, "optax.contrib"), follows=True)
    for options, make in [
        ({}, lambda o: o.dowg()),
        ({"lr": 0.5, "eps": 1e-2, "weight_decay": 0.1},
         lambda o: o.dowg(0.5, eps=1e-2, weight_decay=0.1)),
        ({"init_estim_sq_dist": 1e-2, "eps": 0.0},
         lambda o: o.dowg(init_estim_sq_dist=1e-2, eps=0.0)),
    ]
]  # fmt: skip
