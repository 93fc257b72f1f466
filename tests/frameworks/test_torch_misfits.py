"""Checkpoints, groups and graphs that do not fit lrcore.torch, and what it is told of them."""

import copy
from contextlib import nullcontext

import pytest
from oracles.harness import framework

pytestmark = pytest.mark.frameworks
torch = framework("torch")
lt = framework("lrcore.torch")


@pytest.fixture
def run():
    """Two parameters in two groups, and an optimizer that has made two steps."""
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 2), (4,))]
    opt = lt.AdamW([{"params": [p]} for p in params], lr=0.1)
    for _ in range(2):
        step(params, opt)
    return params, opt


def step(params, opt):
    for p in params:
        p.grad = torch.ones_like(p)
    opt.step()


def entry(i, **values):
    return lambda s: s["state"][i].update(values)


def group(i, **values):
    return lambda s: s["param_groups"][i].update(values)


# -------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (entry(1, exp_avg=torch.zeros(3)), r"params\[1\]\[0\]: exp_avg must have the shape \(4,\)"),
        (entry(1, exp_avg=None), r"params\[1\]\[0\] must have \['exp_avg', 'exp_avg_sq'\]"),
        (entry(1, exp_avg=7.0), "exp_avg must be a tensor, got float"),
        (entry(0, momentum_buffer=torch.zeros(3, 2)), "another rule or was made with other"),
        (entry(0, step=torch.tensor(float("nan"))), "step must be a whole number, got nan"),
        (entry(0, step="2"), "step must be a number or a tensor of one"),
        (group(1, lr=-1.0), r"param_groups\[1\]: lr must be in"),
        (group(1, lr="1e-3"), r"param_groups\[1\]: lr must be a number"),
        (group(1, betas=(0.9,)), r"betas"),
        (group(0, t=-1), "t must be a whole number, got -1"),
        (group(0, t="2"), "t must be a number or a tensor of one, got '2'"),
        (group(0, momentum=0.9), "has 'momentum', which AdamW does not have"),
        (group(1, params=[1, 2]), r"param_groups\[1\] must have 1 parameters, got 2"),
        (lambda s: s["param_groups"][0].pop("betas"), "must have 'betas'.* of another rule"),
        (lambda s: s["param_groups"][0].pop("params"), r"\[0\] must be a dict with 'params', got"),
        (lambda s: s["param_groups"].__setitem__(1, 7), r"param_groups\[1\] must be a dict .* int"),
        (lambda s: s["param_groups"].pop(), "param_groups must be a list of 2, got 1"),
        (lambda s: s.pop("state"), "must have the key 'state'"),
        (lambda s: s.update(state=[1]), "the state must be a dict, got list"),
        (lambda s: s["state"].update({0: 7}), "must be a dict, got int"),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(run, spoil, text):
    params, opt = run
    bad = copy.deepcopy(opt.state_dict())
    step(params, opt)
    before = str((params, opt.state_dict()))
    spoil(bad)
    with pytest.raises((TypeError, ValueError), match=text):
        opt.load_state_dict(bad)
    assert str((params, opt.state_dict())) == before


# ------------------------------------------------------------------------------------- groups


def test_groups_that_come_and_go(run):
    params, opt = run
    before = copy.deepcopy(params)
    last = opt.param_groups.pop()
    opt.param_groups[0]["lr"] = 0.5
    with pytest.raises(ValueError, match="param_groups must keep their 2 groups, got 1; add_param"):
        step(params, opt)
    opt.param_groups += [last, {**last, "params": []}]
    with pytest.raises(ValueError, match="param_groups must keep their 2 groups, got 3; add_param"):
        step(params, opt)
    assert all(map(torch.equal, params, before))
    opt.param_groups.pop()
    step(params, opt)
    assert opt.state[params[0]]["step"] == 3


def test_an_option_is_seen_that_takes_the_place_of_another_key():
    p = torch.nn.Parameter(torch.zeros(4))
    opt = lt.SGD([{"params": [p], "mine": 1}], lr=1.0)
    step([p], opt)
    del opt.param_groups[0]["mine"]
    opt.param_groups[0]["clip_norm"] = 1.0
    step([p], opt)
    torch.testing.assert_close(p.detach(), torch.full((4,), -1.5))


# -------------------------------------------------------------------------------------- names


def named(names, values, make=lt.SGD, **options):
    params = [torch.nn.Parameter(torch.full((2,), v)) for v in values]
    return params, make(list(zip(names, params, strict=True)), lr=1.0, **options)


@pytest.mark.parametrize("inside", [False, True])
def test_two_parameters_of_one_name_are_both_stepped(inside):
    make = (lambda p, **o: lt.in_backward(p, lt.SGD, **o)) if inside else lt.SGD
    params, opt = named("aab", [1.0, 2.0, 3.0], make)
    sum(p.sum() * (i + 1) for i, p in enumerate(params)).backward()
    opt.step()
    assert [p[0].item() for p in params] == [0.0, 0.0, 0.0]
    opt.load_state_dict(opt.state_dict())
    assert opt.param_groups[0]["param_names"] == list("aab")


@pytest.mark.parametrize("names", ["ba", "xy"])
@pytest.mark.parametrize("how", ["loaded", "written"])
def test_other_names_change_no_step(names, how):
    params, opt = named("ab", [1.0, 2.0])
    if how == "loaded":
        opt.load_state_dict(named(names, [1.0, 2.0])[1].state_dict())
    else:
        opt.param_groups[0]["param_names"][:] = names
    assert opt.param_groups[0]["param_names"] == list(names)
    for p, g in zip(params, (0.5, 0.25), strict=True):
        p.grad = torch.full((2,), g)
    opt.step()
    assert [p[0].item() for p in params] == [0.5, 1.75]
    again, other = copy.deepcopy((params, opt))
    for p, q in zip(params, again, strict=True):
        q.grad = p.grad
    other.step()
    assert [p[0].item() for p in again] == [0.0, 1.5]


# ---------------------------------------------------------------------------------- autograd


@pytest.mark.parametrize("way", ["step", "averaged", "eval", "train"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_graph_of_other_values_is_refused(way, inside):
    model = torch.nn.Linear(3, 1)
    kind, options = lt.ScheduleFreeAdamW, {}
    if way == "averaged":
        kind, options = lt.AdamW, {"ema": 0.5}
    opt = lt.in_backward(model, kind, **options) if inside else kind(model.parameters(), **options)

    def loss():
        return model(torch.ones(2, 3)).square().sum() * model.weight.square().sum()

    loss().backward()
    opt.step()
    opt.zero_grad()
    if way == "train":
        opt.eval()
    old = loss()
    other = nullcontext()
    if way == "step":
        loss().backward()
        opt.step()
    elif way == "averaged":
        other = opt.averaged()
    else:
        getattr(opt, way)()
    with other, pytest.raises(RuntimeError, match="modified by an inplace operation"):
        old.backward()


def test_a_mode_that_moves_nothing_leaves_graphs_alone():
    model = torch.nn.Linear(3, 1)
    opt = lt.AdamW(model.parameters())
    loss = model(torch.ones(2, 3)).square().sum() * model.weight.sum()
    opt.eval()
    opt.train()
    loss.backward()


# ------------------------------------------------------------------------------------- hooks


def test_hooks_are_told_what_step_was_given(run):
    _, opt = run
    seen = []
    opt.register_step_pre_hook(lambda o, args, kwargs: seen.append((args, kwargs)))
    opt.step()
    opt.step(float)
    opt.step(loss=2.0)
    assert seen == [((opt,), {}), ((opt, float), {}), ((opt,), {"loss": 2.0})]


def test_a_hook_may_give_a_closure():
    p = torch.nn.Parameter(torch.zeros(2))
    opt = lt.SGD([p], lr=1.0)

    def closure():
        p.grad = torch.ones(2)
        return 3.0

    opt.register_step_pre_hook(lambda o, args, kwargs: (args, {"closure": closure}))
    assert opt.step() == 3.0
    assert torch.equal(p.detach(), -torch.ones(2))


# ----------------------------------------------------------------------------- default devices


def test_what_is_saved_does_not_go_by_the_default_device(run):
    _, opt = run
    with torch.device("meta"):
        saved = opt.state_dict()
    assert saved["state"][0]["step"] == 2
