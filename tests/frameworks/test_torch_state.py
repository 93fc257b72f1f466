"""``optimizer.state`` of lrcore.torch: what may be done with it, and with a group's parameters."""

import collections
import copy
import pickle
from importlib import import_module

import pytest
from torch_state_tools import assert_same, bits, clones, distance, ours, stored, train

from lrcore import schedules

pytestmark = pytest.mark.frameworks


# --------------------------------------------------------------------------- a live mapping


@pytest.fixture
def run(torch):
    """Parameters and an optimizer that has made two steps."""
    params = [torch.nn.Parameter(torch.randn(3, 2)) for _ in range(3)]
    opt = ours("Adam")(params, lr=0.1)
    train(opt, params, 0, 2)
    return params, opt


def test_the_state_is_a_mapping(torch, run):
    params, opt = run
    assert list(opt.state) == params[:2]
    assert len(opt.state) == 2
    assert params[0] in opt.state
    assert params[2] not in opt.state
    assert opt.state[params[2]] == {}
    assert opt.state.get(params[2]) is None
    assert opt.state.get(params[1])["step"] == 2
    assert torch.ones(1) not in opt.state
    with pytest.raises(KeyError, match="the optimizer has no such parameter"):
        opt.state[torch.ones(1)]
    assert [p for p, _ in opt.state.items()] == params[:2]
    assert all(set(e) == {"step", "exp_avg", "exp_avg_sq"} for e in opt.state.values())
    assert repr(opt.state) == repr({p: dict(opt.state[p]) for p in params[:2]})


def test_what_is_kept_is_live(torch, run):
    params, opt = run
    entry = opt.state[params[0]]
    entry["exp_avg"].zero_()
    assert not opt.state[params[0]]["exp_avg"].any()
    entry["exp_avg"] = torch.ones(3, 2)
    entry["step"] += 5
    assert opt.state[params[0]]["exp_avg"].all()
    assert opt.state[params[0]]["step"] == 7
    entry.update(exp_avg_sq=torch.zeros(3, 2), step=3)
    entry |= {"step": 4}
    assert not opt.state[params[0]]["exp_avg_sq"].any()
    assert opt.state[params[0]]["step"] == entry["step"] == 4
    assert entry.setdefault("step", 9) == 4
    nadam = ours("NAdam")([params[0]])
    nadam.step()
    nadam.state[params[0]]["mu_product"] = 0.25
    assert nadam.state[params[0]]["mu_product"] == 0.25
    train(opt, params, 0, 1)
    assert_same(torch, [entry["exp_avg"]], [opt.state[params[0]]["exp_avg"]])


def test_the_rate_goes_by_the_updates_of_the_parameters(torch, run):
    params, opt = run
    other = ours("Adam")(clones(torch, params), lr=schedules.Linear(1.0, 4))
    other.state[other.param_groups[0]["params"][0]] = dict(opt.state[params[0]])
    assert other.lrcore.t == 2
    assert other.lrcore.lr == 0.5
    other.state[other.param_groups[0]["params"][0]]["step"] = 3
    assert other.lrcore.lr == 0.25
    other.state.clear()
    assert other.lrcore.t == 3


def test_to_delete_lets_a_parameter_begin_anew(torch, run):
    params, opt = run
    entry = opt.state[params[0]]
    before = entry["exp_avg"].clone()
    del opt.state[params[0]]
    assert params[0] not in opt.state
    assert_same(torch, [entry["exp_avg"]], [before])  # what was looked up stays
    entry["exp_avg"] = torch.zeros(1)  # and is nobody's any more
    with pytest.raises(KeyError, match="the parameter has no state"):
        del opt.state[params[0]]
    fresh = clones(torch, params)
    first = ours("Adam")(fresh, lr=0.1)
    train(opt, params, 2, 3)
    train(first, fresh, 2, 3)
    assert_same(torch, params[:1], fresh[:1])
    assert opt.state[params[1]]["step"] == 3
    popped = opt.state.pop(params[1])
    assert popped["step"] == 3
    opt.state[params[0]].clear()
    assert len(opt.state) == 0
    assert opt.state.pop(params[1], None) is None


@pytest.mark.parametrize("how", ["clear", "defaultdict", "dict"])
def test_a_reset(torch, run, how):
    params, opt = run
    if how == "clear":
        opt.state.clear()
    else:
        opt.state = {} if how == "dict" else collections.defaultdict(dict)
    assert len(opt.state) == 0
    fresh = clones(torch, params)
    first = ours("Adam")(fresh, lr=0.1)
    train(opt, params, 0, 3)
    train(first, fresh, 0, 3)
    assert_same(torch, params, fresh)


def test_a_state_that_is_put_aside_comes_back(torch, run):
    params, opt = run
    twin, other = copy.deepcopy((params, opt))
    aside = opt.state
    entry = aside[params[0]]
    values = entry["exp_avg"].clone()
    opt.state = collections.defaultdict(dict)
    assert len(opt.state) == 0
    assert len(aside) == 2
    train(opt, params, 5, 6)
    assert_same(torch, [aside[params[0]]["exp_avg"], entry["exp_avg"]], [values, values])
    with torch.no_grad():
        for p, q in zip(params, twin, strict=True):
            p.copy_(q)
    opt.state = aside
    train(opt, params, 2, 4)
    train(other, twin, 2, 4)
    assert_same(torch, params, twin)


def test_two_states_change_places(torch, run):
    params, opt = run
    a, b = opt.state[params[0]], opt.state[params[1]]
    before = a["exp_avg"].clone(), b["exp_avg"].clone()
    opt.state[params[0]], opt.state[params[1]] = b, a
    after = (opt.state[params[1]]["exp_avg"], opt.state[params[0]]["exp_avg"])
    assert_same(torch, after, before)


def test_a_checkpoint_of_its_own_in_another_order(torch, run):
    params, opt = run
    before = [opt.state[p]["exp_avg"].clone() for p in params[:2]]
    state = opt.state_dict()
    state["state"] = {0: state["state"][1], 1: state["state"][0]}
    opt.load_state_dict(state)
    assert_same(torch, [opt.state[p]["exp_avg"] for p in params[1::-1]], before)


def test_copies_of_the_state_are_dicts(torch, run):
    params, opt = run
    for made in (
        copy.deepcopy(opt.state),
        pickle.loads(pickle.dumps(opt.state)),
        copy.copy(opt.state),
    ):
        assert type(made) is dict
        assert {type(e) for e in made.values()} <= {dict, type(opt.state[params[0]])}
    entry = copy.deepcopy(opt.state[params[0]])
    assert type(entry) is dict
    entry["exp_avg"].zero_()
    assert opt.state[params[0]]["exp_avg"].any()


def test_a_shallow_copy_is_refused(run):
    with pytest.raises(TypeError, match="a shallow copy would share parameters and state"):
        copy.copy(run[1])


def test_a_copy_of_the_optimizer_alone_has_parameters_of_its_own(torch, run):
    params, opt = run
    other = copy.deepcopy(opt)
    mine = other.param_groups[0]["params"]
    assert all(p is not q for p, q in zip(mine, params, strict=True))
    train(other, mine, 2, 4)
    assert opt.state[params[0]]["step"] == 2
    train(opt, params, 2, 4)
    assert_same(torch, mine, params)


def test_no_optimizer_is_kept_alive(run):
    import weakref

    params, opt = run
    seen = weakref.ref(opt)
    assert len(opt.state) == 2
    opt.state[params[0]]["step"] = 5
    opt.state_dict()
    assert list(run)[1] is opt
    made = ours("Adam")(params)
    made.step()
    made.state.clear()
    gone = weakref.ref(made)
    del made
    assert gone() is None
    assert seen() is opt


# ------------------------------------------------------------- other parameters in a group


def test_another_parameter_begins_anew(torch, run):
    params, opt = run
    new = torch.nn.Parameter(torch.zeros(7))
    opt.param_groups[0]["params"] = [new, *params[1:]]
    new.grad = torch.ones(7)
    opt.step()
    assert opt.state[new]["step"] == 1
    assert opt.state[params[1]]["step"] == 3
    assert params[0] not in opt.state


def test_parameters_take_their_state_along(torch, run):
    params, opt = run
    twin, other = copy.deepcopy((params, opt))
    opt.param_groups[0]["params"] = params[::-1]
    train(opt, params, 2, 4)
    train(other, twin, 2, 4)
    assert_same(torch, params, twin)


def test_points_are_pruned_and_added(torch, run):
    params, opt = run
    theirs = clones(torch, params)
    reference = torch.optim.Adam(theirs, lr=0.1)
    reference.load_state_dict(stored(torch, opt))
    for own, group in ((params, opt), (theirs, reference)):
        state = group.state.get(own[0])
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = torch.cat([state[name][1:], torch.zeros(3, 2)])
        new = torch.nn.Parameter(torch.cat([own[0].detach()[1:], torch.ones(3, 2)]))
        del group.state[own[0]]
        group.param_groups[0]["params"][0] = own[0] = new
        group.state[new] = state
    assert opt.state[params[0]]["exp_avg"].shape == (5, 2)
    train(opt, params, 2, 5)
    train(reference, theirs, 2, 5)
    assert distance(params, theirs) < 1e-6


def test_a_state_that_does_not_fit_its_parameter(torch, run):
    params, opt = run
    before = bits(torch, params)
    opt.state[params[0]]["exp_avg"] = torch.zeros(5, 2)
    message = r"Adam: the state 'exp_avg' of params\[0\]\[0\] must keep its shape, got .*\(5, 2\)"
    for call in (opt.step, opt.state_dict):
        with pytest.raises(ValueError, match=message):
            call()
    assert bits(torch, params) == before
    opt.state[params[0]]["exp_avg"] = torch.zeros(3, 2)
    opt.step()
    assert opt.state[params[0]]["step"] == 3


# ------------------------------------------------------------------ torch's own tools for it


def test_distributed_checkpoints_of_a_plain_module(torch):
    tools = import_module("torch.distributed.checkpoint.state_dict")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    opt = ours("AdamW")(model.parameters(), lr=0.1)
    x = torch.randn(5, 3)

    def steps(model, opt):
        for _ in range(3):
            opt.zero_grad()
            model(x).square().sum().backward()
            opt.step()

    steps(model, opt)
    saved = copy.deepcopy(tools.get_optimizer_state_dict(model, opt))
    assert "0.weight" in saved["state"]
    again = copy.deepcopy(model)
    other = ours("AdamW")(again.parameters(), lr=0.5)
    tools.set_optimizer_state_dict(again, other, saved)
    assert other.param_groups[0]["lr"] == 0.1
    steps(model, opt)
    steps(again, other)
    assert_same(torch, list(again.parameters()), list(model.parameters()))


def linear(torch, kind, lr):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    return model, kind(model.parameters(), lr=lr)


def three_steps(torch, model, opt):
    for i in range(3):
        opt.zero_grad()
        model(torch.arange(3.0) + i).square().sum().backward()
        opt.step()


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_distributed_checkpoints_of_torch_go_on_here(torch, tmp_path):
    """With what the planner is told to leave as it is, the number of steps is that of the state."""
    tools = import_module("torch.distributed.checkpoint")
    of_opt = import_module("torch.distributed.checkpoint.state_dict")
    model, opt = linear(torch, torch.optim.AdamW, 0.1)
    three_steps(torch, model, opt)
    tools.save(of_opt.get_optimizer_state_dict(model, opt), checkpoint_id=tmp_path, no_dist=True)
    again, other = linear(torch, ours("AdamW"), 0.5)
    again.load_state_dict(model.state_dict())
    state = of_opt.get_optimizer_state_dict(again, other)
    with pytest.raises(tools.api.CheckpointException, match=r"param_groups\.(weight|0)\.t"):
        tools.load(state, checkpoint_id=tmp_path, no_dist=True)
    planner = tools.DefaultLoadPlanner(allow_partial_load=True)
    tools.load(state, checkpoint_id=tmp_path, no_dist=True, planner=planner)
    of_opt.set_optimizer_state_dict(again, other, state)
    assert other.lrcore.t == 3
    assert other.param_groups[0]["lr"] == 0.1
    three_steps(torch, model, opt)
    three_steps(torch, again, other)
    assert distance(list(again.parameters()), list(model.parameters())) < 1e-6


def test_distributed_checkpoints_go_on_in_torch_without_the_number_of_steps(torch):
    tools = import_module("torch.distributed.checkpoint.state_dict")
    whole = tools.StateDictOptions(full_state_dict=True)
    model, opt = linear(torch, ours("AdamW"), 0.1)
    three_steps(torch, model, opt)
    state = copy.deepcopy(tools.get_optimizer_state_dict(model, opt, options=whole))
    again, other = linear(torch, torch.optim.AdamW, 0.5)
    again.load_state_dict(model.state_dict())
    for group in state["param_groups"]:
        assert group.pop("t") == 3
    tools.set_optimizer_state_dict(again, other, state, options=whole)
    three_steps(torch, model, opt)
    three_steps(torch, again, other)
    assert distance(list(again.parameters()), list(model.parameters())) < 1e-6


def test_hooks_around_saving_and_loading(torch, run):
    params, opt = run
    seen = []
    opt.register_state_dict_pre_hook(lambda o: seen.append("before"))
    opt.register_state_dict_post_hook(lambda o, d: {**d, "extra": 1})
    opt.register_load_state_dict_pre_hook(lambda o, d: {k: d[k] for k in d if k != "extra"})
    opt.register_load_state_dict_post_hook(lambda o: seen.append("after"))
    state = opt.state_dict()
    assert state["extra"] == 1
    opt.load_state_dict(state)
    assert seen == ["before", "after"]
    assert opt.state[params[0]]["step"] == 2
