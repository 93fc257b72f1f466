"""``optimizer.state`` of lrcore.torch, and its checkpoints: torch's, both ways, bit for bit."""

import collections
import copy
import io
import pickle
from contextlib import nullcontext
from importlib import import_module

import numpy as np
import pytest
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
SMALL = {"lr": 0.01}
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


def ours(name):
    return getattr(import_module("lrcore.torch"), name)


def parameters(torch, name, dtype):
    """Of every layout; the last never gets a gradient."""
    torch.manual_seed(1)
    kind = getattr(torch, dtype)
    if name in ("Muon", "Shampoo", "SOAP"):
        shapes = [(4, 3), (5, 5), (2, 5)]
    elif name in ("Adafactor", "RowwiseAdagrad"):  # torch's divides by the number of elements
        shapes = [(4, 3), (5,), (), (2, 3, 4), (3,)]
    else:
        shapes = [(4, 3), (5,), (), (0, 3), (2, 3, 4, 4), (6, 4), (3,)]
    made = [torch.randn(shape).to(kind) for shape in shapes]
    if len(made) == 7:
        made[4], made[5] = made[4].to(memory_format=torch.channels_last), made[5].t()
    return [torch.nn.Parameter(p) for p in made]


def grouped(params):
    return [{"params": params[:2]}, {"params": params[2:], "lr": 0.01}]


def train(opt, params, first, last):
    """Updates with gradients that follow from their number; a closure gives the loss."""
    torch = import_module("torch")
    for i in range(first, last):
        drawn = torch.Generator().manual_seed(i)
        for p in params[:-1]:
            p.grad = torch.randn(p.shape, generator=drawn).to(p.dtype)
        opt.step(lambda i=i: torch.tensor(1.0 + 1 / (i + 1)))


def stored(torch, opt):
    """The checkpoint, through a file that may hold plain data alone."""
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def clones(torch, params):
    return [torch.nn.Parameter(p.detach().clone()) for p in params]


def distance(some, others):
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(some, others, strict=True)]
    far = [(a - b).abs().max() / (b.abs().max() or 1) for a, b in pairs if a.numel()]
    assert all(x.isfinite() for x in far)
    return float(max(far))


def bits(torch, x):
    """Something to compare, of tensors in any structure."""
    if isinstance(x, torch.Tensor):
        return (
            x.dtype,
            tuple(x.shape),
            x.detach().contiguous().reshape(-1).view(torch.uint8).tolist(),
        )
    if isinstance(x, dict):
        return {k: bits(torch, v) for k, v in x.items() if k != "params"}
    return [bits(torch, v) for v in x] if isinstance(x, (list, tuple)) else x


def assert_same(torch, some, others):
    assert [bits(torch, p) for p in some] == [bits(torch, p) for p in others]


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
    extra = {"t", "eps_inside"}  # ours alone
    if name == "Muon":
        extra = set(kept[mine]["param_groups"][0]) - set(mine.hypers[:7])
    for a, b in zip(kept[theirs]["param_groups"], kept[mine]["param_groups"], strict=True):
        assert set(a) == set(b) - extra | (set(a) & extra)
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
    old = {"step": 5, "exp_avg": mean, "exp_avg_sq": square}
    opt = ours("Adam")([p])
    opt.load_state_dict({"state": {7: old}, "param_groups": [group]})
    assert opt.state[p]["step"] == 5
    assert opt.param_groups[0]["amsgrad"] is False
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
