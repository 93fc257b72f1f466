"""Meaning: an optimizer of lrcore.torch takes part in all that a torch.optim.Optimizer does."""

import copy
import pickle
from importlib import import_module

import pytest
from torch_tools import ours

import lrcore

pytestmark = pytest.mark.frameworks

EACH = pytest.mark.parametrize("rule", lrcore.optimizers.__all__)


def network(torch):
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


def loss_of(torch, model, t=0):
    x = torch.linspace(-1, 1, 60).view(10, 6) + t
    return (model(x) - x[:, :2].sin()).square().mean()


def trained(torch, kind, steps=6, **options):
    """The parameters of a small network after training it the usual way."""
    model = network(torch)
    opt = kind(model.parameters(), lr=0.01, **options)
    for t in range(steps):
        opt.zero_grad()
        loss_of(torch, model, t).backward()
        opt.step()
    return [p.detach() for p in model.parameters()]


def assert_close(some, others, within=1e-6):
    for a, b in zip(some, others, strict=True):
        assert float((a - b).abs().max()) <= within * float(a.abs().max())


@pytest.fixture
def pair(torch):
    """A parameter with a gradient, and its optimizer."""
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    p.grad = torch.tensor([0.5, -0.5])
    return p, ours("AdamW")([p], lr=0.1)


# ---------------------------------------------------------------------------------- what it is


@EACH
def test_each_rule_is_a_class_of_torch(rule, torch):
    kind = ours(rule)
    opt = kind([torch.nn.Parameter(torch.ones(2, 3))])
    assert isinstance(opt, torch.optim.Optimizer)
    assert (kind.__name__, kind.__module__) == (rule, "lrcore.torch")
    assert kind.__doc__.startswith(getattr(lrcore, rule).__doc__.partition("\n")[0])
    assert "iterable of Tensor" in kind.__doc__
    assert repr(opt).startswith(f"{rule} (\nParameter Group 0\n")
    assert type(pickle.loads(pickle.dumps(opt))) is kind


def test_the_class_that_all_share_makes_none(torch):
    with pytest.raises(TypeError, match="take one of them"):
        ours("Optimizer")([torch.nn.Parameter(torch.ones(2))])


# ------------------------------------------------------------------------------------ closures


@EACH
def test_a_closure(rule, torch):
    def walked(closure):
        torch.manual_seed(0)
        model = network(torch)
        opt = ours(rule)(model.parameters())
        seen = []

        def again():
            opt.zero_grad()
            loss = loss_of(torch, model)
            loss.backward()
            seen.append(loss)
            return loss

        for _ in range(4):
            if closure:
                with torch.no_grad():
                    assert opt.step(again) is seen[-1]
            else:
                assert opt.step(loss=again().item()) is None
        assert len(seen) == 4
        return [p.detach() for p in model.parameters()]

    assert all(map(torch.equal, walked(True), walked(False)))


def test_a_step_under_no_grad_and_inference_mode(torch, pair):
    p, opt = pair
    with torch.no_grad():
        opt.step()
    assert opt.made
    assert p.requires_grad
    with torch.inference_mode():
        opt.step()
    assert opt.state[p]["step"] == 2


# --------------------------------------------------------------------------------------- hooks


def test_hooks_around_a_step(torch, pair):
    p, opt = pair
    every, said = import_module("torch.optim.optimizer"), []

    def before(name):
        return lambda o, args, kwargs: said.append((name, o is opt, p.tolist() == [1, 2]))

    handles = [
        every.register_optimizer_step_pre_hook(before("global before")),
        every.register_optimizer_step_post_hook(before("global after")),
        opt.register_step_pre_hook(before("before")),
        opt.register_step_post_hook(before("after")),
    ]
    opt.step()
    assert said == [
        ("global before", True, True), ("before", True, True),
        ("after", True, False), ("global after", True, False),
    ]  # fmt: skip
    for handle in handles:
        handle.remove()
    opt.step()
    assert len(said) == 4


def test_a_hook_may_replace_the_arguments(torch, pair):
    _, opt = pair
    opt.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7.0), {}))
    assert opt.step() == 7.0
    opt.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        opt.step()


def test_hooks_around_saving_and_loading(torch, pair):
    _, opt = pair
    opt.step()
    said = []
    opt.register_state_dict_pre_hook(lambda o: said.append("saving"))
    opt.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    opt.register_load_state_dict_pre_hook(lambda o, state: dict(state))
    opt.register_load_state_dict_post_hook(lambda o: said.append("loaded"))
    state = opt.state_dict()
    assert state.pop("more") == 1
    opt.load_state_dict(state)
    assert said == ["saving", "loaded"]


def test_the_profiler_names_the_step(torch, pair):
    _, opt = pair
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        opt.step()
    assert "Optimizer.step#AdamW.step" in {event.key for event in profile.key_averages()}


def test_zero_grad(torch, pair):
    p, opt = pair
    opt.step()
    moved = p.detach().clone()
    opt.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    opt.step()  # by its momentum
    assert not torch.equal(p, moved)
    opt.zero_grad()
    assert p.grad is None
    moved = p.detach().clone()
    opt.step()
    assert torch.equal(p, moved)
    assert opt.state[p]["step"] == 2


# ---------------------------------------------------------------------------------- autograd


@pytest.mark.parametrize("module", ["torch.optim", "lrcore.torch"])
def test_backward_through_old_weights_is_noticed(module, torch):
    model = network(torch)
    kind = torch.optim.AdamW if module == "torch.optim" else ours("AdamW")
    opt = kind(model.parameters())
    loss = loss_of(torch, model)
    loss.backward(retain_graph=True)
    versions = [p._version for p in model.parameters()]
    opt.step()
    assert all(p._version > v for p, v in zip(model.parameters(), versions, strict=True))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_was_not_updated_is_no_newer(torch):
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    opt = ours("AdamW")([a, b])
    a.grad = torch.ones(2)
    opt.step()
    assert (a._version > 0, b._version) == (True, 0)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_training_step(backend, torch):
    def walked(compiled):
        model = network(torch)
        opt = ours("AdamW")(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)

        def step():
            opt.zero_grad()
            loss = loss_of(torch, model)
            loss.backward()
            opt.step()
            scheduler.step()
            return loss

        go = torch.compile(step, backend=backend) if compiled else step
        for _ in range(4):
            go()
        return [p.detach() for p in model.parameters()]

    try:
        assert all(map(torch.equal, walked(True), walked(False)))
    finally:
        torch._dynamo.reset()


# --------------------------------------------------------------------------------- parameters


def test_layers_that_are_unfrozen_later(torch):
    def walked(kind):
        model = network(torch)
        head, body = model[2], model[0]
        for p in body.parameters():
            p.requires_grad_(False)
        opt = kind(head.parameters(), lr=0.01)
        for t in range(8):
            if t == 3:
                for p in body.parameters():
                    p.requires_grad_(True)
                opt.add_param_group({"params": list(body.parameters()), "lr": 0.003})
            opt.zero_grad()
            loss_of(torch, model, t).backward()
            opt.step()
        assert [g["lr"] for g in opt.param_groups] == [0.01, 0.003]
        return [p.detach() for p in model.parameters()]

    assert_close(walked(torch.optim.AdamW), walked(ours("AdamW")))


def test_parameters_that_are_frozen_stay(torch):
    model = network(torch)
    model[0].requires_grad_(False)
    before = [p.detach().clone() for p in model.parameters()]
    opt = ours("AdamW")(model.parameters(), lr=0.1)
    for _ in range(3):
        opt.zero_grad()
        loss_of(torch, model).backward()
        opt.step()
    same = [torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)]
    assert same == [True, True, False, False]
    assert len(opt.state) == 2


def test_names_choose_what_decays(torch):
    def walked(make):
        model = network(torch)
        opt = make(model)
        for t in range(4):
            opt.zero_grad()
            loss_of(torch, model, t).backward()
            opt.step()
        return opt, [p.detach() for p in model.parameters()]

    def by_groups(model):
        weights = [p for p in model.parameters() if p.ndim > 1]
        biases = [p for p in model.parameters() if p.ndim == 1]
        return torch.optim.AdamW([{"params": weights}, {"params": biases, "weight_decay": 0}],
                                 weight_decay=0.5)  # fmt: skip

    def by_names(model):
        return ours("AdamW")(model.named_parameters(), weight_decay=0.5, decay_mask=["*.weight"])

    (_, expected), (opt, got) = walked(by_groups), walked(by_names)
    assert_close(expected, got)
    assert opt.param_groups[0]["param_names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert set(opt.lrcore.state) == {"0.0.weight", "0.0.bias", "0.2.weight", "0.2.bias"}


def test_thousands_of_parameters(torch):
    torch.manual_seed(0)
    start = [torch.randn(1 + i % 5) for i in range(3000)]

    def walked(kind):
        params = [p.clone().requires_grad_() for p in start]
        opt = kind(params, lr=0.1)
        for t in range(3):
            for p, a in zip(params, start, strict=True):
                p.grad = a + t
            opt.step()
        return torch.cat([p.detach() for p in params])

    assert_close([walked(torch.optim.AdamW)], [walked(ours("AdamW"))])


def test_a_copy_goes_its_own_way(torch):
    model = network(torch)
    opt = ours("AdamW")(model.parameters(), lr=0.1)
    loss_of(torch, model).backward()
    opt.step()
    other_model, other = copy.deepcopy((model, opt))
    loss_of(torch, other_model).backward()
    other.step()
    opt.step()
    opt.step()
    assert [o.lrcore.t for o in (opt, other)] == [3, 2]
    mine = {id(p) for p in model.parameters()}
    assert mine.isdisjoint(id(p) for g in other.param_groups for p in g["params"])


# ---------------------------------------------------------------------- values of the groups


def test_whatever_way_a_group_is_changed_the_next_step_knows(torch, pair):
    p, opt = pair
    group = opt.param_groups[0]

    def told(name):
        opt.step()
        return opt.lrcore.param_groups[0][name]

    assert "clip_value" not in group
    group["clip_value"] = 0.125
    assert told("clip_value") == 0.125
    group["lr"] = 0.2
    assert told("lr") == 0.2
    group["lr"] = rate = torch.tensor(0.25)
    assert told("lr") == 0.25
    rate.fill_(0.5)
    assert told("lr") == 0.5
    group["betas"] = both = [0.5, 0.9]
    assert told("betas") == (0.5, 0.9)
    both[0] = 0.75
    assert told("betas") == (0.75, 0.9)
    group["initial_lr"] = 7  # of a scheduler
    group["amsgrad"] = True
    assert told("amsgrad") is True
    assert "max_exp_avg_sq" in opt.state[p]
    group.update(lr=0.125, maximize=True, cautious=True)
    before = p.detach().clone()
    assert told("maximize") is True
    assert (opt.lrcore.param_groups[0]["lr"], opt.lrcore.param_groups[0]["cautious"]) == (
        0.125,
        True,
    )
    assert not torch.equal(p, before)


@pytest.mark.parametrize(
    "change",
    [{"lr": 0.5}, {"betas": (0.5, 0.6)}, {"eps": 0.1}, {"weight_decay": 0.5}, {"amsgrad": True},
     {"maximize": True}, {"clip_value": 0.1}, {"clip_norm": 0.1}, {"cautious": True},
     {"agc": 0.01}, {"lr": lrcore.schedules.Cosine(0.5, 4), "maximize": True}],
    ids=str,
)  # fmt: skip
def test_what_a_group_is_told_later_is_what_it_is_told_at_once(change, torch):
    def walked(at_once, later):
        params = [torch.linspace(0.5, 2, n).requires_grad_() for n in (5, 3)]
        opt = ours("AdamW")([{"params": [params[0]], **at_once}, {"params": [params[1]]}], lr=0.1)
        opt.param_groups[0].update(later)
        for t in range(3):
            for p in params:
                p.grad = (p.detach() + t).cos() * 0.01**t
            opt.step()
        return [p.detach() for p in params]

    expected = walked(change, {})
    assert all(map(torch.equal, expected, walked({}, change)))
    same = [torch.equal(a, b) for a, b in zip(expected, walked({}, {}), strict=True)]
    assert same == [False, True]


def test_a_refused_value_changes_nothing_until_it_is_repaired(torch, pair):
    p, opt = pair
    opt.step()
    before, group = p.detach().clone(), opt.param_groups[0]
    for name, value in [("lr", -1.0), ("betas", (1.0, 0.9)), ("lr", torch.ones(2)),
                        ("grams", 3), ("state_dtype", "bfloat16"), ("capturable", True)]:  # fmt: skip
        kept = dict(group)
        group.update({"eps": 0.5, name: value})
        for _ in range(2):
            with pytest.raises((TypeError, ValueError), match=rf"{name}.* (must|cannot) be"):
                opt.step()
        group.clear()
        group.update(kept)
        assert torch.equal(p, before)
        assert opt.lrcore.param_groups[0]["eps"] == 1e-8
    opt.step()
    assert not torch.equal(p, before)
    assert opt.state[p]["step"] == 2


def test_training_is_that_of_torch(torch):
    assert_close(trained(torch, torch.optim.AdamW), trained(torch, ours("AdamW")))
