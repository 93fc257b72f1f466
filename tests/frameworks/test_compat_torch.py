"""compat.torch against torch.optim.lr_scheduler, at every update."""

import math
from functools import partial

import numpy as np
import pytest
from peers import DRAWS, UPDATES, draws, peer, rate, same

from lrcore.schedules.compat import torch as compat

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]


def hyperbola(a, t):
    return 1 / (1 + a * t)


def step(r):
    return (rate(r), r.randint(1, 40)), {"gamma": r.choice([0.1, r.uniform(0.3, 1.1)])}


def multistep(r):
    milestones = [r.randint(0, 140) for _ in range(r.randint(1, 5))]
    return (rate(r), milestones + milestones[:1], r.uniform(0.1, 1.1)), {}


def cyclic(r):
    low = rate(r)
    return (low, low * r.uniform(1, 9), r.randint(1, 40)), {
        "step_size_down": r.choice([None, r.randint(1, 40)]),
        **shape(r),
    }


def shape(r):
    return r.choice(
        [
            {"mode": "triangular"},
            {"mode": "triangular2"},
            {"mode": "exp_range", "gamma": r.uniform(0.97, 1.01)},
            {"scale_fn": lambda x: 1 / (1 + x), "scale_mode": r.choice(["cycle", "iterations"])},
        ]
    )


def one_cycle(r):
    n = r.randint(2, UPDATES)
    total = r.choice([{"total_steps": n}, {"epochs": 2, "steps_per_epoch": (n + 1) // 2}])
    return (rate(r),), {
        **total,
        "pct_start": r.choice([0.3, 0.25, 0.0, 1.0, r.uniform(0, 1)]),
        "anneal_strategy": r.choice(["cos", "linear"]),
        "div_factor": r.choice([25.0, r.uniform(1, 50)]),
        "final_div_factor": r.choice([1e4, r.uniform(1, 1e5)]),
        "three_phase": r.random() < 0.5,
    }


# name: what torch is given beyond its optimizer, with its rate first where it has one
CASES = {
    "StepLR": step,
    "MultiStepLR": multistep,
    "ExponentialLR": lambda r: ((rate(r), r.uniform(0.8, 1.01)), {}),
    "ConstantLR": lambda r: ((rate(r), r.uniform(0.01, 1), r.randint(0, 40)), {}),
    "LinearLR": lambda r: (
        (rate(r), r.uniform(0.01, 1), r.choice([0, 1, r.random()]), r.randint(0, 40)),
        {},
    ),
    "PolynomialLR": lambda r: (
        (rate(r), r.randint(1, 140)),
        {"power": r.choice([1.0, 2.0, r.uniform(0.2, 3)])},
    ),
    "CosineAnnealingLR": lambda r: ((rate(r), r.randint(1, 140), r.choice([0.0, rate(r)])), {}),
    "CosineAnnealingWarmRestarts": lambda r: (
        (rate(r), r.randint(1, 30), r.randint(1, 3), r.choice([0.0, rate(r)])),
        {},
    ),
    "LambdaLR": lambda r: ((rate(r), partial(hyperbola, r.random())), {}),
    "MultiplicativeLR": lambda r: ((rate(r), partial(hyperbola, r.random() / 99)), {}),
    "SWALR": lambda r: (
        (rate(r), rate(r), r.randint(0, 40), r.choice(["cos", "linear"])),
        {},
    ),
}


def optimizer(torch, lr=0.5):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def run(opt, scheduler, n=UPDATES, key="lr"):
    values = []
    for i in range(n):
        values.append(opt.param_groups[0][key])
        opt.step()
        if i + 1 < n:
            scheduler.step()
    return values


def theirs(torch, name):
    return (
        torch.optim.swa_utils.SWALR if name == "SWALR" else getattr(torch.optim.lr_scheduler, name)
    )


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    (torch,) = peer("torch")
    for r in draws(name):
        (lr, *args), kwargs = CASES[name](r)
        opt = optimizer(torch, lr)
        values = run(opt, theirs(torch, name)(opt, *args, **kwargs))
        # torch multiplies along: it has gathered roundings by the time it comes near 0
        same(getattr(compat, name)(lr, *args, **kwargs), values, rtol=1e-12, atol=1e-13)


def test_cyclic_rates_and_momenta():
    (torch,) = peer("torch")
    for r in draws("CyclicLR"):
        args, kwargs = cyclic(r)
        for key in ("lr", "momentum"):
            opt = optimizer(torch)
            scheduler = torch.optim.lr_scheduler.CyclicLR(opt, *args, **kwargs)
            ours = compat.CyclicLR(*args, **kwargs)
            if key == "momentum":
                ours = compat.cyclic_momentum(step_size_up=args[2], **kwargs)
            same(ours, run(opt, scheduler, key=key), atol=1e-13)


def test_one_cycle_rates_and_momenta():
    (torch,) = peer("torch")
    for r in draws("OneCycleLR"):
        args, kwargs = one_cycle(r)
        for key in ("lr", "momentum"):
            opt = optimizer(torch)
            try:
                scheduler = torch.optim.lr_scheduler.OneCycleLR(opt, *args, **kwargs)
                values = run(opt, scheduler, scheduler.total_steps, key)
            except ZeroDivisionError:  # torch's, where a phase is empty
                continue
            ours = compat.OneCycleLR(*args, **kwargs)
            if key == "momentum":
                del kwargs["div_factor"], kwargs["final_div_factor"]
                ours = compat.one_cycle_momentum(**kwargs)
            same(ours, values, atol=1e-13)


PARTS = ("StepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR", "CosineAnnealingLR")


def some(r, lr, name):
    """Arguments of a scheduler that multiplies by a factor of t, with this rate."""
    (_, *args), kwargs = CASES[name](r)
    return (lr, *(args[:1] if name == "CosineAnnealingLR" else args)), kwargs


def test_sequential():
    (torch,) = peer("torch")
    for r in draws("SequentialLR"):
        lr, names = rate(r), [r.choice(PARTS) for _ in range(3)]
        opt = optimizer(torch, lr)
        drawn = [(name, *some(r, lr, name)) for name in names]
        drawn = [(n, a, k) for n, a, k in drawn if n not in ("ConstantLR", "LinearLR") or a[-1]]
        at = sorted(r.sample(range(1, 120), len(drawn) - 1)) if drawn else []
        if not drawn:
            continue
        parts = [theirs(torch, n)(opt, *a[1:], **k) for n, a, k in drawn]
        scheduler = torch.optim.lr_scheduler.SequentialLR(opt, parts, at)
        ours = compat.SequentialLR([getattr(compat, n)(*a, **k) for n, a, k in drawn], at)
        same(ours, run(opt, scheduler), atol=1e-13)


def test_chained():
    (torch,) = peer("torch")
    for r in draws("ChainedScheduler"):
        lr, names = rate(r), [r.choice(PARTS) for _ in range(r.randint(1, 3))]
        opt = optimizer(torch, lr)
        drawn = [(name, *some(r, lr, name)) for name in names]
        # once the rate is 0, or has no way down, torch's cosine cannot come up again
        drawn = [x for x in drawn if x[0] not in ("PolynomialLR", "CosineAnnealingLR")] or [
            ("StepLR", (lr, 7), {})
        ]
        parts = [theirs(torch, n)(opt, *a[1:], **k) for n, a, k in drawn]
        ours = compat.ChainedScheduler(lr, [getattr(compat, n)(*a, **k) for n, a, k in drawn])
        scheduler = torch.optim.lr_scheduler.ChainedScheduler(parts)
        same(ours, run(opt, scheduler), atol=1e-13)


def metrics(r):
    """Losses that fall, stay, rise; now and then NaN."""
    x, losses = 1.0, []
    for _ in range(UPDATES):
        x *= r.choice([1.0, 1.0, 1.0, 0.9999, 0.9, 1.02])
        losses.append(math.nan if r.random() < 0.02 else x)
    return losses


def test_plateau():
    (torch,) = peer("torch")
    reductions = 0
    for r in draws("ReduceLROnPlateau"):
        lr = rate(r)
        options = {
            "mode": r.choice(["min", "max"]),
            "factor": r.uniform(0.1, 0.9),
            "patience": r.randint(0, 4),
            "threshold": r.choice([1e-4, 0.0, 0.05]),
            "threshold_mode": r.choice(["rel", "abs"]),
            "cooldown": r.choice([0, 1, 3]),
            "min_lr": r.choice([0.0, 1e-6, 1e-3]),
            "eps": r.choice([1e-8, 0.0, 1e-3]),
        }
        opt = optimizer(torch, lr)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
        ours = compat.ReduceLROnPlateau(lr, **options)
        for t, loss in enumerate(metrics(r)):
            scheduler.step(loss)
            reductions += ours.update(loss)
            np.testing.assert_allclose(ours(t), opt.param_groups[0]["lr"], rtol=1e-12)
    assert reductions > DRAWS


def test_every_name_is_compared():
    composed = {
        "CyclicLR",
        "cyclic_momentum",
        "OneCycleLR",
        "one_cycle_momentum",
        "SequentialLR",
        "ChainedScheduler",
        "ReduceLROnPlateau",
    }
    assert set(CASES) | composed == set(compat.__all__)
