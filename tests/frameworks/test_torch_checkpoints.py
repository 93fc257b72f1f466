"""Checkpoints of lrcore.torch: torch's, both ways, and all that is kept, bit for bit."""

import copy
import pickle
from contextlib import nullcontext
from importlib import import_module

import numpy as np
import pytest
from torch_state_tools import (
    assert_same,
    bits,
    clones,
    distance,
    grouped,
    ours,
    parameters,
    stored,
    train,
)
from torch_tools import scalars_in_float64, unrounded

import lrcore
from lrcore import schedules

pytestmark = pytest.mark.frameworks

#: Arguments of rules that torch has, too.
BOTH = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"amsgrad": True}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adagrad", {"initial_accumulator_value": 0.1}),
    ("Adadelta", {"lr": 0.5}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adamax", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 3}),
    ("Rprop", {}),
    ("Adafactor", {}),
    ("Muon", {"momentum": 0.9}),
]
IDS = [f"{name}-{'-'.join(given)}" for name, given in BOTH]

#: Options that keep something, and rules that take them.
KEEPING = [
    ("AdamW", {"ema": 0.9}, "float32"),
    ("SGD", {"swa": 2, "lr": 0.1}, "float32"),
    ("SGD", {"lookahead": 3, "lr": 0.1, "momentum": 0.9}, "float64"),
    ("AdamW", {"state_dtype": "bfloat16"}, "float32"),
    ("AdamW", {"state_dtype": "int8"}, "float32"),
    ("AdamW", {"state_dtype": "float32"}, "float64"),
    ("AdamW", {"master": "split"}, "bfloat16"),
    ("AdamW", {"master": "float32"}, "bfloat16"),
    ("SGD", {"lr": 0.01, "rounding": "stochastic", "seed": 3}, "bfloat16"),
    ("Signum", {"lr": 0.01, "rounding": "stochastic"}, "float16"),
    ("Adam", {"loss_scale": lrcore.options.LossScaler(init=4.0, every=2)}, "float32"),
    ("Lion", {"stats": True, "clip_norm": 0.5}, "float32"),
    ("Adam", {"lr": schedules.Cosine(0.1, 20, warmup=3), "cautious": True}, "float32"),
    ("Adam", {"betas": (schedules.Linear(0.5, 10, end=0.9), 0.99)}, "float32"),
    ("AdamW", {"agc": 0.01, "clip_value": schedules.Constant(0.5)}, "float32"),
    ("AdamW", {"decay_mask": "1", "lr_scale": {"1": 0.5}}, "float32"),
    ("PolyakSGD", {}, "float32"),
    ("Prodigy", {}, "float32"),
]


# --------------------------------------------------------------------- as torch has them


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "given"), BOTH, ids=IDS)
def test_checkpoints_of_torch_go_on_here_and_the_other_way_round(torch, name, given, dtype):
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    exact = scalars_in_float64 if dtype == "float64" else nullcontext
    with exact(*[torch] * (dtype == "float64")), unrounded(torch):
        theirs, mine = getattr(torch.optim, name), ours(name)
        whole = parameters(torch, name, dtype)
        train(theirs(grouped(whole), **given), whole, 0, 10)
        kept = {}
        for first, second in ((theirs, mine), (mine, theirs), (mine, mine)):
            params = parameters(torch, name, dtype)
            opt = first(grouped(params), **given)
            train(opt, params, 0, 5)
            kept[first] = state = stored(torch, opt)
            again = clones(torch, params)
            other = second(grouped(again), **given)
            other.load_state_dict(state)
            train(other, again, 5, 10)
            assert distance(again, whole) < tolerance
    extra = {"t", *(() if name != "Muon" else ("maximize",))}
    extra |= set(mine.hypers) - set(kept[theirs]["param_groups"][0])
    for a, b in zip(kept[theirs]["param_groups"], kept[mine]["param_groups"], strict=True):
        assert set(a) == set(b) - extra
        assert a["params"] == b["params"]
    assert list(kept[theirs]["state"]) == list(kept[mine]["state"])
    for key, entry in kept[theirs]["state"].items():
        found = kept[mine]["state"][key]
        assert set(entry) == set(found)
        for part, value in entry.items():
            assert value.shape == found[part].shape
            assert value.dtype == found[part].dtype or not value.ndim
            if value.numel():
                assert distance([found[part]], [value]) < 1e-5


@pytest.mark.parametrize(
    "order", [("torch.optim", "lrcore.torch"), ("lrcore.torch", "torch.optim")]
)
def test_names_of_parameters_are_kept(torch, order):
    first, second = (import_module(module).AdamW for module in order)
    model = torch.nn.Linear(3, 2)
    opt = first(model.named_parameters())
    model(torch.ones(1, 3)).sum().backward()
    opt.step()
    other = second(model.named_parameters())
    other.load_state_dict(stored(torch, opt))
    assert other.param_groups[0]["param_names"] == ["weight", "bias"]
    plain = second(model.parameters())
    plain.load_state_dict(stored(torch, opt))
    assert len(plain.state) == 2


def test_checkpoints_of_older_versions(torch):
    p = torch.nn.Parameter(torch.ones(3))
    mean, square = torch.full((3,), 0.1), torch.full((3,), 0.01)
    group = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "params": [7]}
    group["amsgrad"] = False
    old = {"step": 5, "exp_avg": mean, "exp_avg_sq": square}
    opt = ours("Adam")([p])
    opt.load_state_dict({"state": {7: old}, "param_groups": [group]})
    assert opt.state[p]["step"] == 5
    assert opt.param_groups[0]["maximize"] is False
    assert opt.lrcore.t == 5
    group = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0, "params": [0]}
    group["nesterov"] = False
    opt = ours("SGD")([p], lr=1.0)
    opt.load_state_dict({"state": {0: {"momentum_buffer": None}}, "param_groups": [group]})
    p.grad = torch.ones(3)
    opt.step()
    assert opt.state[p]["momentum_buffer"].tolist() == [1, 1, 1]  # the first is not dampened


def test_a_checkpoint_of_a_run_on_another_device_goes_on(torch):
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    opt = torch.optim.AdamW([p])
    opt.step()
    state = opt.state_dict()
    state["param_groups"][0].update(capturable=True, fused=True)
    mine = ours("AdamW")([p])
    mine.load_state_dict(state)
    mine.step()
    assert mine.param_groups[0]["capturable"] is False
    assert mine.param_groups[0]["fused"] is True


def test_flags_of_a_checkpoint_switch_states_on(torch):
    params = parameters(torch, "AdamW", "float32")
    opt = torch.optim.AdamW(params, amsgrad=True)
    train(opt, params, 0, 3)
    mine = ours("AdamW")(params)
    mine.load_state_dict(opt.state_dict())
    assert mine.param_groups[0]["amsgrad"]
    assert_same(
        torch, [mine.state[params[0]]["max_exp_avg_sq"]], [opt.state[params[0]]["max_exp_avg_sq"]]
    )


def test_narrow_parameters_go_to_torch_and_back(torch):
    params = parameters(torch, "AdamW", "bfloat16")
    opt = ours("AdamW")(params)
    train(opt, params, 0, 3)
    theirs = torch.optim.AdamW(params)
    theirs.load_state_dict(stored(torch, opt))
    assert theirs.state[params[0]]["exp_avg"].dtype == torch.bfloat16
    opt.load_state_dict(stored(torch, theirs))
    assert opt.state[params[0]]["exp_avg"].dtype == torch.float32
    assert opt.state[params[0]]["step"] == 3


# -------------------------------------------------------------------------- all that is kept


@pytest.mark.parametrize("name", lrcore.optimizers.__all__)
def test_every_rule_goes_on_bit_for_bit(torch, name):
    whole, cut = (parameters(torch, name, "float32") for _ in range(2))
    opt, first = ours(name)(whole), ours(name)(cut)
    train(opt, whole, 0, 10)
    train(first, cut, 0, 5)
    again = clones(torch, cut)
    other = ours(name)(again)
    other.load_state_dict(stored(torch, first))
    train(other, again, 5, 10)
    assert_same(torch, again, whole)
    assert bits(torch, other.state_dict()) == bits(torch, opt.state_dict())


@pytest.mark.parametrize(("name", "given", "dtype"), KEEPING)
@pytest.mark.parametrize("how", ["file", "pickle", "deepcopy", "state"])
def test_options_go_on_bit_for_bit(torch, name, given, dtype, how):
    def made(params):
        groups = [{"params": params[:3]}, {"params": params[3:], "maximize": True}]
        return ours(name)(groups, **given)

    shaped = "Adafactor" if "agc" in given else name  # agc looks at rows
    whole, cut = (parameters(torch, shaped, dtype) for _ in range(2))
    opt, first = made(whole), made(cut)
    train(opt, whole, 0, 10)
    train(first, cut, 0, 5)
    if how == "pickle":
        again, other = pickle.loads(pickle.dumps((cut, first)))
    elif how == "deepcopy":
        again, other = copy.deepcopy((cut, first))
    else:
        again = clones(torch, cut)
        other = made(again)
        other.load_state_dict(stored(torch, first))
        if how == "state":
            other.state = {p: other.state[p] for p in again}
    train(other, again, 5, 10)
    assert_same(torch, again, whole)
    assert bits(torch, other.state_dict()) == bits(torch, opt.state_dict())
    if "ema" in given or "swa" in given:
        theirs, mine = (x.lrcore.averages() for x in (opt, other))
        np.testing.assert_equal(mine, theirs)


def test_storage_stays_as_it_is_here(torch):
    params = parameters(torch, "AdamW", "float32")
    opt = ours("AdamW")(params, state_dtype="int8")
    train(opt, params, 0, 3)
    wide = ours("AdamW")(clones(torch, params))
    wide.load_state_dict(stored(torch, opt))
    assert wide.state[wide.param_groups[0]["params"][0]]["exp_avg"].dtype == torch.float32
    assert wide.param_groups[0].get("state_dtype") is None
    back = ours("AdamW")(params, state_dtype="int8")
    back.load_state_dict(stored(torch, wide))
    entry, before = back.state[params[0]], opt.state[params[0]]
    assert_same(torch, [entry["exp_avg"]], [before["exp_avg"]])


def test_eight_bits_in_another_order(torch):
    p = torch.nn.Parameter(torch.randn(40, 30).t())
    p.grad = torch.randn(30, 40)
    opt = ours("AdamW")([p], state_dtype="int8")
    opt.step()
    other = torch.nn.Parameter(p.detach().clone(memory_format=torch.contiguous_format))
    rows = ours("AdamW")([other], state_dtype="int8")
    rows.load_state_dict(stored(torch, opt))
    wide, first = ours("AdamW")([other]), ours("AdamW")([p])
    wide.load_state_dict(stored(torch, rows))
    first.load_state_dict(stored(torch, opt))
    there, here = wide.state[other]["exp_avg"], first.state[p]["exp_avg"]
    assert float((there - here).abs().max()) < 0.01 * float(here.abs().max())


def test_schedules_are_saved_as_plain_data(torch):
    p = torch.nn.Parameter(torch.ones(2))
    opt = ours("SGD")([p], lr=schedules.Linear(1.0, 4, end=0.5))
    p.grad = torch.ones(2)
    opt.step()
    other = ours("SGD")([p], lr=0.1)
    other.load_state_dict(stored(torch, opt))
    assert other.param_groups[0]["lr"] == schedules.Linear(1.0, 4, end=0.5)
    assert other.lrcore.lr == opt.lrcore.lr == 0.875


def test_a_plateau_is_still_the_one_that_is_told_the_metric(torch):
    p = torch.nn.Parameter(torch.ones(2))
    first, plateau = (schedules.Plateau(1.0, patience=0) for _ in range(2))
    opt = ours("SGD")([p], lr=first)
    for _ in range(3):
        first.update(1.0)
    other = ours("SGD")([p], lr=plateau)
    other.load_state_dict(stored(torch, opt))
    assert other.param_groups[0]["lr"] is plateau
    assert other.lrcore.lr == opt.lrcore.lr < 1.0
    plateau.update(1.0)
    assert other.lrcore.lr < opt.lrcore.lr


def test_a_function_must_be_there_already(torch):
    p = torch.nn.Parameter(torch.ones(2))
    rate = schedules.Lambda(lambda t: 1 / (t + 1))
    opt = ours("SGD")([p], lr=rate)
    p.grad = torch.ones(2)
    opt.step()
    state = stored(torch, opt)
    other = ours("SGD")([p], lr=rate)
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] is rate
    assert other.lrcore.lr == 0.5
    plain = ours("SGD")([p], lr=0.1)
    with pytest.raises(
        ValueError, match=r"param_groups\[0\]\['lr'\] was a schedule made of a Python"
    ):
        plain.load_state_dict(state)
    assert plain.param_groups[0]["lr"] == 0.1
    assert copy.deepcopy((p, opt))[1].lrcore.lr == 0.5


@pytest.mark.parametrize("evaluating", [True, False])
def test_where_parameters_are_evaluated(torch, evaluating):
    params = parameters(torch, "ScheduleFreeSGD", "float32")
    opt = ours("ScheduleFreeSGD")(params, lr=0.1)
    train(opt, params, 0, 3)
    if evaluating:
        opt.eval()
    again = clones(torch, params)
    other = ours("ScheduleFreeSGD")(again, lr=0.1)
    other.load_state_dict(stored(torch, opt))
    for x in (opt, other):
        x.train()
    assert_same(torch, again, params)


@pytest.mark.parametrize("name", ["SGD", "Muon"])
def test_ages_that_torch_does_not_keep(torch, name):
    """Where a parameter missed updates, and what is drawn, or corrected, goes by those it had."""
    given = {"lr": 0.01, "rounding": "stochastic"}
    params = [torch.nn.Parameter(torch.randn(300).bfloat16()) for _ in range(2)]
    opt = ours(name)(params, **given)
    train(opt, [*params, None], 0, 2)
    train(opt, [params[0], None], 2, 3)
    params[1].grad = None
    opt.step()
    again = clones(torch, params)
    other = ours(name)(again, **given)
    other.load_state_dict(stored(torch, opt))
    train(opt, [*params, None], 4, 7)
    train(other, [*again, None], 4, 7)
    assert_same(torch, again, params)
