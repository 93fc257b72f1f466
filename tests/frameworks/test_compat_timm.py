"""compat.timm against timm.scheduler, at every step."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from peers import UPDATES, draws, peer, rate, same
from support import missing

from lrcore.schedules.compat import timm as compat

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def scheduler():
    """The package timm.scheduler, without the models of timm, which need torchvision."""
    spec = find_spec("timm")
    if spec is None:
        missing("timm")
    timm = ModuleType("timm")
    timm.__path__ = list(spec.submodule_search_locations)
    before = sys.modules.get("timm")
    sys.modules["timm"] = timm
    yield import_module("timm.scheduler")
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        del sys.modules[name]
    if before is not None:
        sys.modules["timm"] = before


def warm(r, prefix=(False, True)):
    if r.random() < 0.4:
        return {}
    return {
        "warmup_t": r.randint(1, 30),
        "warmup_lr_init": r.choice([0.0, rate(r)]),
        "warmup_prefix": r.choice(prefix),
    }


def cycling(r, **more):
    return {
        "t_initial": r.randint(1, 60),
        "lr_min": r.choice([0.0, 1e-5]),
        "cycle_mul": r.choice([1.0, 1.0, 2.0, 1.5, r.uniform(1.01, 3)]),
        "cycle_decay": r.choice([1.0, r.uniform(0.1, 1)]),
        "cycle_limit": r.randint(1, 4),
        **warm(r),
        **more,
    }


def exponent(r):
    return r.choice([1.0, r.uniform(0.5, 2)])


def wsd(r):
    length, warmup = r.randint(1, 100), warm(r)
    warmup.pop("warmup_prefix", None)
    return {
        "t_initial": length,
        "decay_t": r.randint(1, length),
        "lr_min": r.choice([0.0, 1e-3]),
        "stable_fn": r.choice(["constant", "rsqrt", "power"]),
        "stable_timescale": r.randint(1, 60),
        "stable_power": r.uniform(0.2, 1.5),
        "decay_fn": r.choice(["linear", "1-sqrt", "cosine", "power", "exp", square]),
        "decay_power": r.uniform(0.3, 3),
        "decay_ratio": r.uniform(0.05, 0.9),
        **warmup,
    }


def square(x):
    return (1 - x) ** 2


CASES = {
    "CosineLRScheduler": lambda r: cycling(r, k_decay=exponent(r)),
    "MultiStepLRScheduler": lambda r: {
        "decay_t": sorted(r.sample(range(140), r.randint(1, 5))),
        "decay_rate": r.uniform(0.1, 1),
        **warm(r),
    },
    "PolyLRScheduler": lambda r: cycling(
        r, k_decay=exponent(r), **r.choice([{}, {"power": r.uniform(0.3, 3)}])
    ),
    "StepLRScheduler": lambda r: {
        "decay_t": r.randint(1, 40),
        "decay_rate": r.uniform(0.1, 1),
        **warm(r),
    },
    "TanhLRScheduler": lambda r: cycling(
        r, **r.choice([{}, {"lb": r.uniform(-9, 0), "ub": r.uniform(0.1, 5)}])
    ),
    "WSDLRScheduler": wsd,
}


def optimizer(lr):
    (torch,) = peer("torch")
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def starts(kwargs):
    """Where the cycles begin."""
    begin, length = 0.0, float(kwargs.get("t_initial", UPDATES))
    offset = kwargs.get("warmup_t", 0) if kwargs.get("warmup_prefix") else 0
    found = []
    for _ in range(kwargs.get("cycle_limit", 1) + 1):
        found.append(begin + offset)
        begin, length = begin + length, length * kwargs.get("cycle_mul", 1.0)
    return found


@pytest.mark.parametrize("name", CASES)
def test_values(scheduler, name):
    for r in draws(name):
        lr, kwargs = rate(r), CASES[name](r)
        by_epochs = r.random() < 0.5
        opt = optimizer(lr)
        theirs = getattr(scheduler, name)(opt, t_in_epochs=by_epochs, **kwargs)
        values = []
        for t in range(UPDATES):
            values.append(opt.param_groups[0]["lr"])
            (theirs.step if by_epochs else theirs.step_update)(t + 1)
        ours = getattr(compat, name)(lr, t_in_epochs=by_epochs, **kwargs)
        same(ours, values, atol=1e-13, starts=starts(kwargs), low=kwargs.get("lr_min"))


def test_plateau(scheduler):
    reductions = 0
    for r in draws("PlateauLRScheduler"):
        lr, warmup = rate(r), r.choice([0, r.randint(1, 10)])
        options = {
            "decay_rate": r.uniform(0.1, 0.9),
            "patience_t": r.randint(0, 4),
            "threshold": r.choice([1e-4, 0.0, 0.05]),
            "cooldown_t": r.choice([0, 1, 3]),
            "warmup_t": warmup,
            "warmup_lr_init": r.choice([0.0, 1e-6]),
            "lr_min": r.choice([0.0, 1e-3]),
            **r.choice([{}, {"mode": "min"}]),
        }
        opt = optimizer(lr)
        theirs = scheduler.PlateauLRScheduler(opt, **options)
        ours, x = compat.PlateauLRScheduler(lr, **options), 1.0
        for t in range(1, 80):
            x *= r.choice([1.0, 1.0, 0.99999, 0.9, 1.02])
            theirs.step(t, x)
            if t > warmup:
                reductions += ours.update(x)
            np.testing.assert_allclose(ours(t), opt.param_groups[0]["lr"], rtol=1e-12)
    assert reductions > 60


@pytest.mark.parametrize("name", compat.__all__)
def test_noise_is_refused(name):
    kwargs = CASES.get(name, lambda r: {})(draws(name)[0])
    theirs = {"noise_range_t": None, "noise_pct": 0.5, "noise_std": 1.0, "initialize": True}
    assert getattr(compat, name)(0.1, **kwargs, **theirs)(5) >= 0
    with pytest.raises(ValueError, match=f"{name}: noise_range_t must be None"):
        getattr(compat, name)(0.1, **kwargs, noise_range_t=(3, 9))
    with pytest.raises(TypeError, match=f"{name}: there is no argument 'noize'"):
        getattr(compat, name)(0.1, **kwargs, noize=1)


def test_every_name_is_compared():
    assert {*CASES, "PlateauLRScheduler"} == set(compat.__all__)
