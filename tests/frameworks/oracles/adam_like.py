"""The authors' packages, timm, pytorch_optimizer and optax, for the rules that descend from Adam."""

import contextlib
import io
import warnings

import lrcore

from .harness import Case, Optax, Torch, framework

__all__ = ["CASES"]

F64 = ("float64",)  # in float32 optax rounds 1 - beta^t to float32, an error of 1e-5 at first


class Old(Torch):
    """A package written for PyTorch 1: it warns of its calls, and says at length what is new."""

    def start(self, params):
        framework(self.module)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            super().start(params)

    def step(self, grads, loss):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().step(grads, loss)


class Scheduled:
    """An optimizer that halves its rate every 40 steps."""

    def __init__(self, opt):
        self.opt = opt
        self.schedule = framework("torch").optim.lr_scheduler.StepLR(opt, 40, 0.5)

    def step(self):
        self.opt.step()
        self.schedule.step()


class DecaysAfter(Torch):
    """A peer that multiplies by ``KEEP`` after a step: ours, begun and ended half a step later."""

    KEEP = 1 - 0.01 * 0.1

    def start(self, params):
        super().start([(p * self.KEEP).astype(p.dtype) for p in params])

    def arrays(self):
        return [a / self.KEEP for a in super().arrays()]


def _named(options, **names):
    """Options under the names that a peer has for them."""
    return {names.get(k, k): v for k, v in options.items()}


def _timm(rule, options, theirs=None, gaps=True):
    made = Torch(lambda timm, p: getattr(timm, theirs or rule)(p, **options),
                 f"timm.optim.{rule.lower()}")  # fmt: skip
    return Case(rule, options, made, gaps=gaps)


def _laprop_timm(options):
    made = Torch(lambda timm, p: timm.LaProp(p, **options), "timm.optim.laprop")
    return Case("LaProp", options, made, gaps=True, tolerance={"float64": 1e-7},
                why="timm keeps 1 - beta2^t in float32")  # fmt: skip


def _other(rule, options, dtypes=("float32", "float64"), **names):
    given = _named(options, **names)
    return Case(rule, options,
                Torch(lambda other, p: getattr(other, rule)(p, **given), "pytorch_optimizer"),
                dtypes)  # fmt: skip


def _other_adopt(options):
    given = _named(options, decoupled_weight_decay="weight_decouple")
    given["clip_lambda"] = lambda t: (t - 1) ** 0.25  # its own is t**0.25: it counts one too many
    return Case("ADOPT", options, Torch(lambda m, p: m.ADOPT(p, **given), "pytorch_optimizer"))


def _old(module, rule, options, gaps=True, **names):
    given = _named(options, **names)
    return Case(rule, options, Old(lambda m, p: getattr(m, rule)(p, **given), module), gaps=gaps)


def _adabelief(options):
    package = {"weight_decouple": options.get("decoupled_weight_decay", True)}
    package.update({k: v for k, v in options.items() if k != "decoupled_weight_decay"})
    timm = {("decoupled_decay" if k == "weight_decouple" else k): v for k, v in package.items()}
    package["print_change_log"] = False
    made = Old(lambda m, p: m.AdaBelief(p, **package), "adabelief_pytorch")
    return [Case("AdaBelief", options, made, gaps=not options.get("rectify", True)),
            Case("AdaBelief", options,
                 Torch(lambda m, p: m.AdaBelief(p, **timm), "timm.optim.adabelief"), gaps=True)]  # fmt: skip


def _adabelief_optax(o):
    return o.adabelief(1e-2, b1=0.8, b2=0.9, eps=1e-8, eps_root=1e-8)


def _yogi(o, start):
    return o.chain(o.scale_by_yogi(eps=1e-3, initial_accumulator_value=start), o.scale(-0.01))


def _ademamix_optax(o):
    return o.ademamix(1e-3, b3=0.999, alpha=2.0, weight_decay=0.1)


QH = {"nus": (0.7, 0.9), "betas": (0.995, 0.99), "lr": 0.01}
WARM = {"betas": (0.9, 0.999, 0.9999), "alpha": 8.0, "beta3_warmup": 150, "alpha_warmup": 150}
HALVED = lrcore.schedules.Lambda(lambda t: 0.01 * 0.5 ** (t // 40))

CASES = [
    *_adabelief({}),
    *_adabelief({"weight_decay": 0.1, "lr": 0.01}),
    *_adabelief({"decoupled_weight_decay": False, "weight_decay": 0.1, "betas": (0.8, 0.9)}),
    *_adabelief({"rectify": False, "eps": 1e-8}),
    *_adabelief({"rectify": False, "amsgrad": True, "betas": (0.5, 0.9)}),
    Case("AdaBelief", {"lr": 1e-2, "betas": (0.8, 0.9), "eps": 1e-8, "rectify": False},
         Optax(_adabelief_optax), F64),
    Case("Yogi", {}, Optax(lambda o: o.yogi(1e-2)), F64),
    Case("Yogi", {"initial_accumulator_value": 0.5}, Optax(lambda o: _yogi(o, 0.5)), F64),
    _other("Yogi", {}),
    _other("Yogi", {"initial_accumulator_value": 0.1, "betas": (0.5, 0.9)},
           initial_accumulator_value="initial_accumulator"),
    _old("adabound", "AdaBound", {}),
    _old("adabound", "AdaBound", {"amsbound": True, "weight_decay": 0.1, "gamma": 0.05}),
    _old("adabound", "AdaBound", {"final_lr": 0.01, "gamma": 0.5, "betas": (0.5, 0.9)}),
    Case("AdaBound", {"lr": HALVED, "gamma": 0.1},
         Old(lambda m, p: Scheduled(m.AdaBound(p, lr=0.01, gamma=0.1)), "adabound")),
    _old("qhoptim.pyt", "QHAdam", {}),
    _old("qhoptim.pyt", "QHAdam", {**QH, "weight_decay": 0.1}),
    _old("qhoptim.pyt", "QHAdam", {**QH, "weight_decay": 0.1, "decoupled_weight_decay": True},
         decoupled_weight_decay="decouple_weight_decay"),
    _laprop_timm({}),
    _laprop_timm({"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3}),
    Case("LaProp", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1},
         DecaysAfter(lambda m, p: m.LaProp(p, lr=0.01, betas=(0.8, 0.9), weight_decay=0.1,
                                           weight_decouple=True, foreach=False), "pytorch_optimizer")),
    _timm("ADOPT", {"clip_exp": 0.25}, "Adopt"),
    _timm("ADOPT", {"clip_exp": 0.333, "weight_decay": 0.1, "betas": (0.8, 0.99)}, "Adopt"),
    _timm("ADOPT", {"clip_exp": None, "lr": 0.01}, "Adopt"),
    _other_adopt({}),
    _other_adopt({"weight_decay": 0.1, "decoupled_weight_decay": True}),
    Case("ADOPT", {}, Optax(lambda o: o.adopt(1e-3), "optax.contrib"), F64),
    _other("AdEMAMix", {}),
    Case("AdEMAMix", WARM,
         Torch(lambda other, p: other.AdEMAMix(p, betas=WARM["betas"], alpha=8.0,
                                               t_alpha_beta3=150), "pytorch_optimizer")),
    Case("AdEMAMix", {"betas": (0.9, 0.999, 0.999), "alpha": 2.0, "weight_decay": 0.1},
         Optax(_ademamix_optax, "optax.contrib"), F64),
    _timm("Adan", {}, gaps=False),
    _timm("Adan", {"weight_decay": 0.1, "betas": (0.9, 0.8, 0.7)}, gaps=False),
    _timm("Adan", {"weight_decay": 0.1, "no_prox": True, "eps": 1e-3}, gaps=False),
]  # fmt: skip
