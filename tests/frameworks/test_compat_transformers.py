"""compat.transformers against transformers.optimization, at every step."""

import pytest
from peers import UPDATES, draws, peer, rate, same

from lrcore.schedules.compat import transformers as compat

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


def plan(r, lr):
    warmup = r.choice([0, 1, r.randint(0, 40)])
    return {"num_warmup_steps": warmup, "num_training_steps": warmup + r.randint(1, 120)}


def waves(r):
    return r.choice([{}, {"num_cycles": r.choice([1.0, 2.5, r.uniform(0.1, 4)])}])


def lowest(r, lr):
    return r.choice([{"min_lr": lr * r.random()}, {"min_lr_rate": r.random()}])


def wsd(r, lr):
    warmup, stable, decay = (r.choice([0, 1, r.randint(1, 50)]) for _ in range(3))
    total = {"num_training_steps": warmup + stable + decay}
    types = ("linear", "cosine", "1-sqrt")
    return {
        "num_warmup_steps": warmup,
        "num_decay_steps": decay,
        "warmup_type": r.choice(types),
        "decay_type": r.choice(types),
        "min_lr_ratio": r.choice([0.0, r.random()]),
        **r.choice([total, {"num_stable_steps": stable}, total | {"num_stable_steps": stable}]),
        **waves(r),
    }


CASES = {
    "get_constant_schedule": lambda r, lr: {},
    "get_constant_schedule_with_warmup": lambda r, lr: {"num_warmup_steps": r.randint(0, 40)},
    "get_cosine_schedule_with_warmup": lambda r, lr: plan(r, lr) | waves(r),
    "get_cosine_with_hard_restarts_schedule_with_warmup": lambda r, lr: (
        plan(r, lr) | r.choice([{}, {"num_cycles": r.randint(1, 7)}])
    ),
    "get_cosine_with_min_lr_schedule_with_warmup": lambda r, lr: (
        plan(r, lr) | waves(r) | lowest(r, lr)
    ),
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate": lambda r, lr: (
        plan(r, lr) | waves(r) | lowest(r, lr) | r.choice([{}, {"warmup_lr_rate": r.random()}])
    ),
    "get_inverse_sqrt_schedule": lambda r, lr: {
        "num_warmup_steps": r.choice([0, r.randint(1, 40)]),
        **r.choice([{}, {"timescale": r.randint(1, 200)}]),
    },
    "get_linear_schedule_with_warmup": plan,
    "get_polynomial_decay_schedule_with_warmup": lambda r, lr: (
        plan(r, lr)
        | r.choice([{}, {"power": r.uniform(0.3, 3)}])
        | r.choice([{}, {"lr_end": lr * 0.3}])
    ),
    "get_wsd_schedule": wsd,
}


def starts(kwargs):
    warmup, n = kwargs.get("num_warmup_steps", 0), kwargs.get("num_cycles", 1)
    length = kwargs.get("num_training_steps", UPDATES) - warmup
    return [warmup + i * length / n for i in range(int(n))]


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    torch, optimization = peer("torch", "transformers.optimization")
    for r in draws(name):
        lr = rate(r)
        kwargs = CASES[name](r, lr)
        opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
        scheduler = getattr(optimization, name)(opt, **kwargs)
        theirs = []
        for _ in range(UPDATES):
            theirs.append(opt.param_groups[0]["lr"])
            opt.step()
            scheduler.step()
        restarts = {"starts": starts(kwargs), "low": 0.0} if "hard" in name else {}
        # where 1 + cos(x) comes near 0 it has the error of 1
        same(getattr(compat, name)(lr, **kwargs), theirs, atol=1e-13, **restarts)


def test_plateau():
    torch, optimization = peer("torch", "transformers.optimization")
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    options = {"patience": 2, "factor": 0.3, "mode": "max"}
    theirs = optimization.get_reduce_on_plateau_schedule(opt, **options)
    ours = compat.get_reduce_on_plateau_schedule(0.5, **options)
    (r,) = draws("plateau", 1)
    for t in range(60):
        score = r.choice([0.5, 0.6, 0.7])
        theirs.step(score)
        ours.update(score)
        assert ours(t) == pytest.approx(opt.param_groups[0]["lr"], rel=1e-12)
    assert ours(0) < 0.01


def test_every_name_is_compared():
    assert {*CASES, "get_reduce_on_plateau_schedule"} == set(compat.__all__)
