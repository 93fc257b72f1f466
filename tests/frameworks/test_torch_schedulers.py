"""Meaning: every scheduler of torch drives an optimizer of lrcore as it drives one of torch."""

import copy
import math
from types import SimpleNamespace

import pytest
from torch_tools import RULES, Run, ours, scalars_in_float64, shapes_for, unrounded

pytestmark = [
    pytest.mark.frameworks,
    # torch calls its own schedulers in a way that it warns of
    pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning"),
]

STEPS = 40
EACH = pytest.mark.parametrize("rule", RULES)


def cycled(opt):
    """Whether there is a momentum for a scheduler to turn."""
    return "momentum" in opt.defaults or "betas" in opt.defaults


#: scheduler: how it is made of torch's module and an optimizer.
MADE = {
    "StepLR": lambda s, o: s.StepLR(o, 7, gamma=0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [5, 20], gamma=0.3),
    "ConstantLR": lambda s, o: s.ConstantLR(o, factor=0.4, total_iters=10),
    "LinearLR": lambda s, o: s.LinearLR(o, start_factor=0.1, total_iters=20),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, total_iters=STEPS + 1, power=2.0),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 15, eta_min=1e-4),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 6, T_mult=2),
    "LambdaLR": lambda s, o: s.LambdaLR(o, [lambda t: 1 / (1 + t), lambda t: 0.9**t]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.95),
    "CyclicLR": lambda s, o: s.CyclicLR(
        o, 0.001, 0.01, step_size_up=6, mode="triangular2", cycle_momentum=cycled(o)
    ),
    "OneCycleLR": lambda s, o: s.OneCycleLR(
        o, [0.01, 0.02], total_steps=STEPS + 1, cycle_momentum=cycled(o)
    ),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=8), s.CosineAnnealingLR(o, 20, 1e-4)], [8]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, total_iters=5), s.ExponentialLR(o, 0.95)]
    ),
    "SWALR": lambda s, o: s.SWALR(o, swa_lr=0.003, anneal_epochs=10),
}


def module_of(torch):
    """What has all schedulers by name."""
    return SimpleNamespace(
        **{name: getattr(torch.optim.lr_scheduler, name) for name in schedulers(torch)},
        SWALR=torch.optim.swa_utils.SWALR,
    )


def schedulers(torch):
    found = vars(torch.optim.lr_scheduler).items()
    base = torch.optim.lr_scheduler.LRScheduler
    public = {k: v for k, v in found if isinstance(v, type) and not k.startswith("_")}
    return {k for k, v in public.items() if issubclass(v, base) and v is not base}


def loss_at(t):
    """Falls, and then no longer."""
    return math.exp(-t / 5) if t < 12 else 0.1


class Driven:
    """An optimizer of two groups with a scheduler, and what the groups said before each step."""

    def __init__(self, torch, kind, make, run, lr=lambda x: x):
        self.run, self.params, self.seen = run, run.tensors(), []
        half = len(self.params) // 2
        groups = [{"params": self.params[:half]}, {"params": self.params[half:], "lr": lr(0.004)}]
        self.opt = kind(groups, lr=lr(0.01))
        self.scheduler = make(module_of(torch), self.opt)

    def go(self, start, stop):
        for t in range(start, stop):
            for p, g in zip(self.params, self.run.grads[t], strict=True):
                p.grad = g
            self.seen.append([{k: told(g[k]) for k in ("lr", "betas", "momentum") if k in g}
                              for g in self.opt.param_groups])  # fmt: skip
            self.opt.step()
            if type(self.scheduler).__name__ == "ReduceLROnPlateau":
                self.scheduler.step(loss_at(t))
            else:
                self.scheduler.step()
        return [p.detach() for p in self.params]


def told(value):
    return value.item() if hasattr(value, "item") else value


def run_for(torch, rule):
    """Enough parameters for two groups of matrices, none empty."""
    shapes = [s for s in shapes_for(rule) if 0 not in s and s != (7001,)]
    return Run(torch, "float32", [*shapes, (5, 6)], STEPS)


def test_every_scheduler_is_here(torch):
    assert set(MADE) == schedulers(torch) | {"SWALR"}


@EACH
def test_the_same_rates_and_the_same_trajectory(rule, torch):
    run = run_for(torch, rule)
    for name, make in MADE.items():
        with scalars_in_float64(torch), unrounded(torch):
            theirs = Driven(torch, getattr(torch.optim, rule), make, run)
            expected = theirs.go(0, STEPS)
        mine = Driven(torch, ours(rule), make, run)
        got = mine.go(0, STEPS)
        assert mine.seen == theirs.seen, name
        assert len({str(said) for said in mine.seen}) > 1, name
        assert run.distance(expected, got) <= 2e-6, name


@EACH
def test_a_rate_of_0(rule, torch):
    """Nothing moves, but once more by ASGD, whose step is of the rate before, here and in torch.

    In torch Rprop goes on, too, whose rate is that of a first step only.
    """
    run = run_for(torch, rule)

    def make(s, o):
        return s.LambdaLR(o, lambda t: float(t < 10))

    mine = Driven(torch, ours(rule), make, run)
    last = 12 if rule == "ASGD" else 10  # some have no gradient in the next
    then = [p.clone() for p in mine.go(0, last)]
    got = mine.go(last, STEPS)
    assert all(map(torch.equal, then, got))
    with scalars_in_float64(torch), unrounded(torch):
        theirs = Driven(torch, getattr(torch.optim, rule), make, run)
        expected = theirs.go(0, STEPS)
    assert (run.distance(expected, got) <= 2e-6) is (rule != "Rprop")


@pytest.mark.parametrize("name", MADE)
def test_a_rate_in_a_tensor_is_changed_in_place(name, torch):
    run = run_for(torch, "AdamW")

    def in_tensor(x):
        return torch.tensor(x, dtype=torch.float64)

    plain = Driven(torch, ours("AdamW"), MADE[name], run)
    held = Driven(torch, ours("AdamW"), MADE[name], run, in_tensor)
    rates = [group["lr"] for group in held.opt.param_groups]
    expected, got = plain.go(0, STEPS), held.go(0, STEPS)
    assert all(x is group["lr"] for x, group in zip(rates, held.opt.param_groups, strict=True))
    assert len({said[0]["lr"] for said in held.seen}) > 1
    assert run.distance(expected, got) <= 2e-6  # torch rounds some rates on the way otherwise


@pytest.mark.parametrize("name", MADE)
def test_resumed_is_uninterrupted(name, torch):
    run = run_for(torch, "SGD")

    def kind(params, lr):
        return ours("SGD")(params, lr=lr, momentum=0.9)

    whole = Driven(torch, kind, MADE[name], run)
    expected = whole.go(0, STEPS)
    first, second = (Driven(torch, kind, MADE[name], run) for _ in range(2))
    first.go(0, 17)
    with torch.no_grad():
        for p, q in zip(second.params, first.params, strict=True):
            p.copy_(q)
    second.opt.load_state_dict(copy.deepcopy(first.opt.state_dict()))
    second.scheduler.load_state_dict(copy.deepcopy(first.scheduler.state_dict()))
    assert all(map(torch.equal, expected, second.go(17, STEPS)))
    assert first.seen + second.seen == whole.seen


def test_a_warning_where_the_scheduler_steps_first(torch):
    driven = Driven(torch, ours("SGD"), MADE["StepLR"], run_for(torch, "SGD"))
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        driven.scheduler.step()


def test_copies_are_driven_no_more(torch):
    driven = Driven(torch, ours("AdamW"), MADE["ExponentialLR"], run_for(torch, "AdamW"))
    driven.go(0, 5)
    other = copy.deepcopy(driven.opt)
    rates = [group["lr"] for group in other.param_groups]
    driven.go(5, 9)
    assert [group["lr"] for group in other.param_groups] == rates
    other.step()


def test_a_rate_out_of_its_domain_is_refused_at_the_next_step(torch):
    run = run_for(torch, "AdamW")
    driven = Driven(torch, ours("AdamW"), lambda s, o: s.LambdaLR(o, lambda t: 1.0 - t), run)
    driven.go(0, 2)
    before = [p.detach().clone() for p in driven.params]
    with pytest.raises(ValueError, match=r"AdamW: param_groups\[0\]: lr must be in \[0, inf\)"):
        driven.go(2, 3)
    assert all(map(torch.equal, before, driven.params))
    driven.opt.param_groups[0]["lr"] = driven.opt.param_groups[1]["lr"] = 0.1
    driven.opt.step()
    assert not torch.equal(before[0], driven.params[0])


# ------------------------------------------------------------------------- averaged models


def network(torch):
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


@pytest.mark.parametrize("ema", [False, True])
def test_averaged_model(ema, torch):
    utils = torch.optim.swa_utils

    def trained(kind):
        model = network(torch)
        average = {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.9)} if ema else {}
        averaged = utils.AveragedModel(model, **average)
        opt = kind(model.parameters(), lr=0.01)
        scheduler = utils.SWALR(opt, swa_lr=0.005, anneal_epochs=5)
        x = torch.randn(20, 6)
        for _ in range(STEPS):
            opt.zero_grad()
            (model(x) - x[:, :2]).square().mean().backward()
            opt.step()
            averaged.update_parameters(model)
            scheduler.step()
        utils.update_bn([x], averaged)
        return averaged.state_dict()

    expected, got = trained(torch.optim.AdamW), trained(ours("AdamW"))
    for name, value in expected.items():
        assert float((value - got[name]).abs().max()) <= 1e-5 * float(value.abs().max()), name
