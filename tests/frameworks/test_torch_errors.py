"""Parameters and arguments that lrcore.torch refuses, and changes of them that it follows."""

import numpy as np
import pytest
from torch_state_tools import clones, gradients, ours, refused, seen, stored, two_steps

import lrcore

pytestmark = pytest.mark.frameworks


@pytest.fixture
def run(torch):
    """Parameters and an optimizer that has made two steps, and gradients for another."""
    return two_steps(torch)


# -------------------------------------------------------------------- parameters to begin with


def not_a_parameter(torch):
    """Parameters that cannot be used, why, and the error."""
    ones = torch.ones
    flat = torch.zeros(20)
    return [
        ("complex", ones(2, dtype=torch.complex64), TypeError, "must be real, got a complex one"),
        ("integer", torch.ones(2, dtype=torch.int32), TypeError, "must be float16, .*got torch.int32"),
        ("meta", torch.empty(2, device="meta"), ValueError, "must be on the CPU, got a meta tensor"),
        ("sparse", ones(2, 2).to_sparse(), TypeError, "must be dense, got one that is sparse"),
        ("gaps", flat[::2], ValueError, "must fill its memory without gaps or overlaps"),
        ("expanded", ones(3, 1).expand(3, 4), ValueError, "without gaps or overlaps"),
        ("expanded to nothing else", ones(1).expand(4), ValueError, "without gaps or overlaps"),
        ("overlapping", flat.as_strided((3, 3), (1, 1)), ValueError, "without gaps or overlaps"),
        ("negative", torch._neg_view(ones(3)), ValueError, "got a negative view"),
        ("lazy", torch.nn.parameter.UninitializedParameter(), ValueError, "must be initialized; run"),
        ("freed", freed(torch), TypeError, "a tensor with memory of its own"),
        ("float8", ones(2).to(torch.float8_e4m3fn), TypeError, "must be float16, bfloat16, float32"),
    ]  # fmt: skip


def freed(torch):
    p = torch.ones(3)
    p.untyped_storage().resize_(0)
    return p


@pytest.mark.parametrize("i", range(12))
def test_parameters_that_cannot_be_used(torch, i):
    what, bad, error, match = not_a_parameter(torch)[i]
    good = torch.nn.Parameter(torch.ones(2))
    for given in ([bad], [good, bad], [{"params": [good]}, {"params": [bad]}]):
        with pytest.raises(error, match=match) as raised:
            ours("SGD")(given, lr=0.1)
        assert str(raised.value).startswith("SGD: params["), what
    opt = ours("SGD")([good], lr=0.1)
    with refused(torch, opt, error, match):
        opt.add_param_group({"params": [bad]})
    assert len(opt.param_groups) == 1
    good.grad = torch.ones(2)
    opt.step()


def test_what_is_no_list_of_parameters(torch):
    p = torch.nn.Parameter(torch.ones(2))
    make = ours("AdamW")
    with pytest.raises(
        TypeError, match="params argument given to the optimizer should be an iterable"
    ):
        make(p)
    with pytest.raises(TypeError, match="ordered collections"):
        make([{"params": {p}}])
    with pytest.raises(ValueError, match="empty parameter list"):
        make([])
    with pytest.raises(TypeError):
        make([np.ones(2)])
    with pytest.raises(ValueError, match="non-leaf"):
        make([p * 2])


def test_one_parameter_twice(torch):
    p, q = (torch.nn.Parameter(torch.ones(6)) for _ in range(2))
    make = ours("SGD")
    with (
        pytest.warns(UserWarning, match="duplicate parameters"),
        pytest.raises(
            ValueError, match=r"SGD: params\[0\]\[1\] must have memory of its own, .*same memory as"
        ),
    ):
        make([p, p], lr=0.1)
    with pytest.raises(ValueError, match="more than one parameter group"):
        make([{"params": [p]}, {"params": [p]}], lr=0.1)
    twin = torch.nn.Parameter(p.data)
    with pytest.raises(ValueError, match="one that is the same memory as params"):
        make([p, twin], lr=0.1)
    part = torch.nn.Parameter(p.data[2:4])
    with pytest.raises(ValueError, match=r"one that overlaps params\[0\]\[0\]"):
        make([p, part], lr=0.1)
    opt = make([p, q], lr=0.1)
    with refused(torch, opt, ValueError, "overlaps params"):
        opt.add_param_group({"params": [part]})
    halves = [torch.nn.Parameter(p.data[:3]), torch.nn.Parameter(p.data[3:])]
    make(halves, lr=0.1)


def test_tied_weights_are_one_parameter(torch):
    model = torch.nn.ModuleList([torch.nn.Linear(3, 3, bias=False) for _ in range(2)])
    model[1].weight = model[0].weight
    opt = ours("SGD")(model.parameters(), lr=1.0)
    x = torch.ones(1, 3)
    before = model[0].weight.detach().clone()
    model[1](model[0](x)).sum().backward()
    grad = model[0].weight.grad.clone()
    opt.step()
    assert torch.equal(model[1].weight, before - grad)


# ------------------------------------------------------------------------------- arguments


BAD = [
    ({"lr": -1.0}, ValueError, r"AdamW: lr must be in \[0, inf\), got -1.0"),
    ({"lr": float("nan")}, ValueError, "AdamW: lr must be"),
    ({"betas": (1.0, 0.999)}, ValueError, r"AdamW: betas\[0\] must be in \[0, 1\), got 1.0"),
    ({"betas": (0.9,)}, ValueError, "AdamW: betas must"),
    ({"betas": 0.9}, (TypeError, ValueError), "AdamW: betas must"),
    ({"eps": -1e-8}, ValueError, "AdamW: eps must be"),
    ({"weight_decay": "much"}, (TypeError, ValueError), "AdamW: weight_decay must be"),
    ({"nonfinite": "hope"}, ValueError, 'AdamW: nonfinite must be one of "raise"'),
    ({"momentum": 0.9}, TypeError, "AdamW: there is no argument 'momentum'; there are"),
    (
        {"capturable": True},
        ValueError,
        "AdamW: capturable must be False, since there are no graphs",
    ),
    ({"differentiable": True}, ValueError, "AdamW: differentiable must be False, since steps are"),
    ({"ema": 2.0}, ValueError, "AdamW: "),
    ({"state_dtype": "int4"}, ValueError, "AdamW: state_dtype must be one of"),
    ({"master": "split"}, ValueError, "AdamW: master must be None for params"),
    ({"cautious": True, "grams": True}, ValueError, "cautious and grams must not both be True"),
    ({"lr_scale": {"nobody": -1.0}}, ValueError, "AdamW: "),
]


@pytest.mark.parametrize(("given", "error", "match"), BAD, ids=[str([*g]) for g, _, _ in BAD])
def test_arguments_that_are_refused(torch, given, error, match):
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(error, match=match):
        ours("AdamW")([p], **given)


GROUPS = [x for x in BAD if next(iter(x[0])) not in ("nonfinite", "momentum", "ema", "lr_scale")]


@pytest.mark.parametrize(("given", "error", "match"), GROUPS, ids=[str([*g]) for g, _, _ in GROUPS])
def test_groups_that_are_refused(torch, run, given, error, match):
    _, opt = run
    new = torch.nn.Parameter(torch.ones(2))
    match = match.partition("AdamW: ")[2] or match
    with refused(torch, opt, error, match):
        opt.add_param_group({"params": [new], **given})
    assert len(opt.param_groups) == 1
    opt.step()
    assert opt.made


@pytest.mark.parametrize(("given", "error", "match"), GROUPS, ids=[str([*g]) for g, _, _ in GROUPS])
def test_values_that_are_assigned(torch, run, given, error, match):
    params, opt = run
    group = opt.param_groups[0]
    missing = object()
    before = {name: group.get(name, missing) for name in given}
    start = seen(torch, opt)
    group.update(given)
    if "state_dtype" in given or "master" in given:
        match = "must be one of|cannot be changed"
    with refused(torch, opt, error, match.partition("AdamW: ")[2] or match):
        opt.step()
    for name, value in before.items():
        group.pop(name) if value is missing else group.update({name: value})
    assert seen(torch, opt) == start
    opt.step()
    assert opt.made
    assert opt.state[params[0]]["step"] == 3


def test_a_value_that_is_deleted(torch, run):
    _, opt = run
    lr = opt.param_groups[0].pop("lr")
    with refused(torch, opt, ValueError, r"AdamW: param_groups\[0\] must have the key 'lr'"):
        opt.step()
    opt.param_groups[0]["lr"] = lr
    opt.step()


MASKS = [
    ("lr_scale", None, {"*": 0.5}),
    ("lr_scale", {"*": 0.5}, None),
    ("lr_scale", {"a": 0.5, "*": 0.1}, {"*": 0.1, "a": 0.5}),  # the first match counts
    ("lr_scale", 0.5, 0.25),
    ("decay_mask", None, lrcore.matrices_only),
    ("decay_mask", lrcore.matrices_only, lambda path, array: array.ndim > 1),
    ("decay_mask", ["a"], ["b"]),
    ("decay_mask", "a", "b"),
]


def of_two(torch, in_backward, **options):
    """An optimizer of two groups that made a step, the second with options; and gradients."""
    groups = [[(x, torch.nn.Parameter(torch.ones(4, 3))) for x in xs] for xs in ("c", "ab")]
    given = [{"params": groups[0]}, {"params": groups[1], **options}]
    if in_backward:
        opt = lrcore.torch.in_backward(given, ours("AdamW"))
        opt.remove()
    else:
        opt = ours("AdamW")(given)
    params = [p for group in groups for _, p in group]
    gradients(torch, params)
    opt.step()
    gradients(torch, params)
    return opt


def masked(name, mask):
    return {} if mask is None else {name: mask}


@pytest.mark.parametrize("in_backward", [False, True])
@pytest.mark.parametrize(("name", "given", "later"), MASKS)
def test_a_mask_that_is_assigned_later(torch, name, given, later, in_backward):
    opt = of_two(torch, in_backward, **masked(name, given))
    group = opt.param_groups[1]
    group[name] = later
    if in_backward:  # where each parameter has a step of its own
        opt.param_groups[0]["params"][0].grad = None
    must = (
        rf"AdamW: {name} of param_groups\[1\] must stay .*, as it was when the group was made, got"
    )
    with refused(torch, opt, ValueError, must):
        opt.step()
    group[name] = given
    opt.step()


@pytest.mark.parametrize("in_backward", [False, True])
@pytest.mark.parametrize("change", [{"a": 0.25}, {"b": 0.5}])
def test_a_mask_that_is_written_into(torch, change, in_backward):
    opt = of_two(torch, in_backward, lr_scale={"a": 0.5})
    opt.param_groups[1]["lr_scale"].update(change)
    opt.param_groups[0]["params"][0].grad = None
    with refused(torch, opt, ValueError, r"lr_scale of param_groups\[1\] must stay {'a': 0.5}, as"):
        opt.step()


def test_a_mask_that_is_the_same_again(torch):
    opt = of_two(torch, False, lr_scale={"a": 0.5}, decay_mask=["a"])
    opt.param_groups[1].update(lr_scale={"a": 0.5}, decay_mask=["a"])
    opt.step()
    state = opt.state_dict()
    state["param_groups"][1].update(lr_scale={"a": 0.5}, decay_mask=["a"])
    opt.load_state_dict(state)
    opt.step()


@pytest.mark.parametrize(("name", "given", "later"), MASKS)
def test_a_mask_that_is_loaded(torch, name, given, later):
    opt = of_two(torch, False, **masked(name, given))
    state = opt.state_dict()
    state["param_groups"][1][name] = later
    with refused(torch, opt, ValueError, rf"param_groups\[1\]\['{name}'\] must be .* as here, got"):
        opt.load_state_dict(state)
    del state["param_groups"][1][name]
    opt.load_state_dict(state)
    opt.step()


def test_an_option_that_is_given_later(torch, run):
    params, opt = run
    opt.param_groups[0]["maximize"] = True
    opt.param_groups[0]["clip_norm"] = 1e-9
    opt.param_groups[0]["weight_decay"] = 0.0
    # to look it up sends what was changed
    assert opt.lrcore.param_groups[0]["clip_norm"] == 1e-9
    twin = clones(torch, params)
    given = {"lr": 0.1, "maximize": True, "clip_norm": 1e-9, "weight_decay": 0.0}
    other = ours("AdamW")([{"params": twin, **given}])
    other.load_state_dict(opt.state_dict())
    for p, q in zip(params, twin, strict=True):
        q.grad = p.grad.clone()
    opt.step()
    other.step()
    assert all(map(torch.equal, params, twin))


def test_a_scheduler_that_leaves_the_domain(torch, run):
    _, opt = run
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda t: 1.0 - t)
    opt.step()
    sched.step()
    opt.step()
    gradients(torch, opt.param_groups[0]["params"])
    sched.step()
    with refused(torch, opt, ValueError, "lr must be in"):
        opt.step()


def test_a_rate_of_two_numbers(torch, run):
    params, opt = run
    two = torch.tensor([0.1, 0.2])
    message = r"AdamW: lr must be a number or a tensor of one, got shape \(2,\)"
    with pytest.raises(ValueError, match=message):
        ours("AdamW")(params, lr=two)
    opt.param_groups[0]["lr"] = two
    with refused(
        torch, opt, ValueError, r"AdamW: lr must be a number or a tensor of one, got shape"
    ):
        opt.step()
    opt.param_groups[0]["lr"] = torch.tensor(0.1)
    opt.step()


# ----------------------------------------------------- parameters that were changed since


def moved_elsewhere(p):
    p.data = p.data.clone()


def moved_by_set(p):
    p.data.set_(p.data.clone())


def turned_over(p):
    p.data = p.data.clone().t().contiguous().t()


FOLLOWED = [moved_elsewhere, moved_by_set]


@pytest.mark.parametrize("change", FOLLOWED)
def test_other_memory_is_followed(torch, run, change):
    params, opt = run
    twin = clones(torch, params)
    other = ours("AdamW")(twin, lr=0.1)
    other.load_state_dict(stored(torch, opt))
    old = params[0].data
    before = old.clone()
    for p in params:
        change(p)
    moved = old.data_ptr() != params[0].data_ptr()
    for p, q in zip(params, twin, strict=True):
        q.grad = p.grad = p.grad.clone()
    opt.step()
    other.step()
    assert all(map(torch.equal, params, twin))
    if moved:
        assert torch.equal(old, before)


def half(torch, p):
    p.data, p.grad = p.data.half(), None
    p.grad = torch.ones(p.shape, dtype=torch.float16)


def longer(torch, p):
    p.data, p.grad = torch.zeros(9, 3), None
    p.grad = torch.ones(9, 3)


def other_order(torch, p):
    p.data = p.data.t().contiguous().t()


def with_gaps(torch, p):
    p.data = torch.zeros(4, 6)[:, ::2]


AFTER = [
    (half, "must keep shape, dtype and memory order, since it has had 2 updates"),
    (longer, "must keep shape, dtype and memory order"),
    (with_gaps, "must fill its memory without gaps or overlaps"),
]


@pytest.mark.parametrize(("change", "match"), AFTER)
def test_what_cannot_be_followed(torch, run, change, match):
    params, opt = run
    kept = params[0].data.clone()
    change(torch, params[0])
    for call in (opt.step, lambda: opt.load_state_dict(opt.state_dict()), opt.eval, opt.resync):
        with refused(torch, opt, (ValueError, TypeError), rf"AdamW: params\[0\]\[0\] .*{match}"):
            call()
    params[0].data, params[0].grad = kept, None
    params[0].grad = torch.ones(4, 3)
    opt.step()
    assert opt.state[params[0]]["step"] == 3


def channels_last(p):
    p.data = p.data.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def turned(p):
    p.data = p.data.transpose(0, 1).contiguous().transpose(0, 1)


ORDERS = [
    ((4, 3), turned),
    ((3, 3), turned),
    ((5, 4, 3, 2), channels_last),
    ((3, 3, 3, 3), channels_last),
]


@pytest.mark.parametrize(("shape", "change"), ORDERS)
@pytest.mark.parametrize(
    "options",
    [{}, {"amsgrad": True, "ema": 0.9}, {"stats": True}],
    ids=str,
)
def test_another_memory_order_is_followed(torch, shape, change, options):
    start = torch.randn(shape)
    params = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    opts = [ours("AdamW")([p], lr=0.1, **options) for p in params]
    for t in range(5):
        g = torch.randn(shape)
        if t == 2:
            change(params[1])
            assert not params[1].is_contiguous()
        if t == 4:
            params[1].data = params[1].data.contiguous()
        for p, opt in zip(params, opts, strict=True):
            p.grad = g.clone()
            opt.step()
        assert torch.equal(*params)
    a, b = (opt.state[p] for p, opt in zip(params, opts, strict=True))
    assert a["step"] == b["step"] == 5
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_8_bits_keep_their_memory_order(torch):
    p = torch.nn.Parameter(torch.randn(4, 3))
    opt = ours("AdamW")([p], state_dtype="int8")
    p.grad = torch.ones(4, 3)
    opt.step()
    turned(p)
    with refused(torch, opt, ValueError, "must keep shape, dtype and memory order"):
        opt.step()


@pytest.mark.parametrize("change", [half, longer, other_order])
def test_before_the_first_update_all_is_followed(torch, change):
    p = torch.nn.Parameter(torch.randn(4, 3))
    opt = ours("AdamW")([p], lr=0.1, weight_decay=0.0)
    p.grad = torch.ones(4, 3)
    change(torch, p)
    before = p.detach().clone()
    opt.step()
    assert torch.allclose(p, before - 0.1, atol=1e-3)
    assert opt.state[p]["exp_avg"].shape == p.shape


def test_a_model_may_be_made_narrow_before_the_first_update(torch):
    model = torch.nn.Linear(3, 2)
    opt = ours("SGD")(model.parameters(), lr=0.5)
    model.bfloat16()
    model(torch.ones(1, 3, dtype=torch.bfloat16)).sum().backward()
    before = model.bias.detach().clone()
    opt.step()
    assert model.bias.dtype == torch.bfloat16
    assert torch.equal(model.bias, before - 0.5)
    model.double()
    with pytest.raises(ValueError, match="must keep shape, dtype and memory order"):
        opt.step()


@pytest.mark.parametrize("change", ["shorter", "longer"])
def test_groups_of_another_length(torch, run, change):
    params, opt = run
    more = [*params, torch.nn.Parameter(torch.ones(2))]
    opt.param_groups[0]["params"] = params[:1] if change == "shorter" else more
    with pytest.raises(
        ValueError, match=r"AdamW: param_groups must keep their 2 parameters, got [13]"
    ):
        opt.step()
    opt.param_groups[0]["params"] = params
    opt.step()
    assert opt.state[params[0]]["step"] == 3
