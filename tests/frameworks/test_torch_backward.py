"""in_backward: the bits of step() after backward(), a parameter at a time."""

import copy
import gc
import pickle
import warnings

import numpy as np
import pytest
from oracles.harness import framework
from support import message_of

import lrcore
from lrcore import schedules
from lrcore._hyper import RULES

pytestmark = pytest.mark.frameworks
torch = framework("torch")
lt = framework("lrcore.torch")

KINDS = [getattr(lt, name) for name in lrcore.optimizers.__all__]
ALONE = [kind for kind in KINDS if RULES[kind.kind.rule].scope != "group"]
TOGETHER = [kind for kind in KINDS if kind not in ALONE]
X = torch.linspace(-2, 2, 160).reshape(16, 10).sin()
Y = torch.arange(16) % 3


def network():
    """A small network with matrices, vectors and an image kernel."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(10, 16),
        torch.nn.Tanh(),
        torch.nn.Unflatten(1, (1, 4, 4)),
        torch.nn.Conv2d(1, 2, 3),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    )


def loss_of(model, x=X, y=Y):
    return torch.nn.functional.cross_entropy(model(x), y)


def plainly(model, opt, steps=5):
    for _ in range(steps):
        opt.zero_grad()
        loss_of(model).backward()
        opt.step()


def in_backward(model, steps=5):
    for _ in range(steps):
        loss_of(model).backward()


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


# --------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("kind", ALONE, ids=lambda kind: kind.__name__)
def test_every_rule_of_parameters_has_the_bits_of_the_plain_optimizer(kind):
    a, b = network(), network()
    plain, opt = kind(a.parameters()), lt.in_backward(b, kind)
    assert isinstance(opt, kind)
    assert type(opt).__name__ == kind.__name__
    plainly(a, plain)
    in_backward(b)
    assert same(a, b)
    assert not same(a, network())
    assert all(p.grad is None for p in b.parameters())
    ours, theirs = opt.state_dict(), plain.state_dict()
    assert str(ours["state"]) == str(theirs["state"])
    # either goes on from the other's checkpoint
    c, d = copy.deepcopy(a), copy.deepcopy(a)
    crossed, back = lt.in_backward(c, kind), kind(d.parameters())
    crossed.load_state_dict(theirs)
    back.load_state_dict(ours)
    plainly(a, plain)
    in_backward(c)
    plainly(d, back)
    assert same(a, c)
    assert same(a, d)


@pytest.mark.parametrize("kind", TOGETHER, ids=lambda kind: kind.__name__)
def test_rules_of_groups_are_refused_by_name(kind):
    model = network()
    with pytest.raises(TypeError, match=f"in_backward: {kind.__name__} keeps .* for a whole group"):
        lt.in_backward(model, kind)
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"ema": 0.9},
        {"lookahead": 2},
        {"clip_value": 0.01},
        {"agc": 0.1},
        {"cautious": True},
        {"grams": True},
        {"maximize": True},
        {"loss_scale": 2.0},
        {"decay_mask": "*.weight", "weight_decay": 0.5},
        {"decay_mask": lrcore.matrices_only, "weight_decay": 0.5},
        {"lr_scale": {"0.weight": 0.1, "*bias": 2.0}},
        {"lr": schedules.Cosine(0.1, steps=6, warmup=2)},
        {"backend": "numpy"},
    ],
    ids=str,
)
def test_options_have_the_bits_of_the_plain_optimizer(options):
    a, b = network(), network()
    plain = lt.AdamW(a.named_parameters(), **options)
    opt = lt.in_backward(b, lt.AdamW, **options)
    plainly(a, plain)
    in_backward(b)
    assert same(a, b)
    if "ema" in options:
        with plain.averaged(), opt.averaged():
            assert same(a, b)
            assert not same(a, network())
        assert same(a, b)
    assert opt.param_groups[0]["lr"] == plain.param_groups[0]["lr"]


def test_groups_and_schedulers_of_torch():
    def groups(m):
        return [{"params": [m[0].weight, m[0].bias], "lr": 0.1}, {"params": [m[3].weight]}]

    a, b = network(), network()
    plain, opt = lt.SGD(groups(a), lr=0.01), lt.in_backward(groups(b), lt.SGD, lr=0.01)
    made = [torch.optim.lr_scheduler.StepLR(o, 2, 0.5) for o in (plain, opt)]
    for o, m in ((plain, a), (opt, b)):
        o.add_param_group({"params": [m[5].weight], "lr": 0.2})
        made[o is opt].base_lrs.append(0.2)
    for _ in range(6):
        plainly(a, plain, 1)
        made[0].step()
        in_backward(b, 1)
        opt.step()  # has nothing left to do
        opt.zero_grad()
        made[1].step()
    assert same(a, b)
    assert opt.param_groups[0]["lr"] == 0.1 * 0.5**3
    assert b[5].bias.grad is not None
    with pytest.raises(TypeError, match=r"params\[3\]\[1\] must be float16"):
        opt.add_param_group({"params": [b[5].bias, torch.zeros(3, dtype=torch.int64)]})
    assert not b[5].bias._post_accumulate_grad_hooks
    assert len(opt.param_groups) == len(opt.state_dict()["param_groups"]) == 3


def test_a_scheduler_of_torch_needs_no_call_of_step():
    model = network()
    opt = lt.in_backward(model, lt.SGD, lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(opt, 1)
    in_backward(model, 1)
    scheduler.step()  # would warn that step() was not called
    assert opt.param_groups[0]["lr"] == pytest.approx(0.01)


# ----------------------------------------------------------------- what backward can be like


def test_micro_batches_add_up_in_paused():
    a, b, c = network(), network(), network()
    plain = lt.AdamW(a.parameters())
    opt, last = lt.in_backward(b, lt.AdamW), lt.in_backward(c, lt.AdamW)
    for _ in range(3):
        plain.zero_grad()
        for x, y in zip(X.chunk(4), Y.chunk(4), strict=True):
            (loss_of(a, x, y) / 4).backward()
        plain.step()
        with opt.paused():
            for x, y in zip(X.chunk(4), Y.chunk(4), strict=True):
                (loss_of(b, x, y) / 4).backward()
        opt.step()
        for i, (x, y) in enumerate(zip(X.chunk(4), Y.chunk(4), strict=True)):
            if i < 3:
                with last.paused():
                    (loss_of(c, x, y) / 4).backward()
            else:
                (loss_of(c, x, y) / 4).backward()
    assert same(a, b)
    assert same(a, c)
    assert {int(e["step"]) for e in opt.state.values()} == {3}


class Tied(torch.nn.Module):
    """A matrix that is used twice, as in a language model."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(12, 8)
        self.inner = torch.nn.Linear(8, 8)
        self.head = torch.nn.Linear(8, 12, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(torch.tanh(self.inner(self.inner(self.table(x)))))


def test_a_parameter_that_is_used_twice_is_stepped_once():
    a, b = Tied(), Tied()
    plain, opt = lt.AdamW(a.parameters()), lt.in_backward(b, lt.AdamW)
    words, next_words = torch.arange(10), torch.arange(1, 11)
    for _ in range(4):
        plain.zero_grad()
        loss_of(a, words, next_words).backward()
        plain.step()
        loss_of(b, words, next_words).backward()
    assert same(a, b)
    assert [int(e["step"]) for e in opt.state.values()] == [4, 4, 4]


def test_sparse_gradients():
    torch.manual_seed(0)
    a = torch.nn.Embedding(20, 4, sparse=True)
    b = copy.deepcopy(a)
    plain, opt = lt.Adagrad(a.parameters()), lt.in_backward(b, lt.Adagrad)
    for _ in range(3):
        for table in (a, b):
            table(torch.tensor([1, 3, 3])).square().sum().backward()
        plain.step()
        plain.zero_grad()
    assert same(a, b)
    assert b.weight.grad is None
    assert len(opt.state) == 1


def test_a_second_backward_through_the_same_graph_is_refused_by_torch():
    model = network()
    lt.in_backward(model, lt.SGD, lr=0.1).remove()
    opt = lt.in_backward(model, lt.SGD, lr=0.1, momentum=0.9)
    loss = loss_of(model)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    assert len(opt.state) == 6


def test_gradients_of_gradients():
    a, b = network(), network()
    given = {"lr": 0.1, "momentum": 0.9}
    plain, opt = lt.SGD(a.parameters(), **given), lt.in_backward(b, lt.SGD, **given)
    for model in (a, b):
        grads = torch.autograd.grad(loss_of(model), [*model.parameters()], create_graph=True)
        penalty = sum(g.square().sum() for g in grads)
        (loss_of(model) + penalty).backward()
    plain.step()
    assert same(a, b)
    assert len(opt.state) == 6


def test_parameters_without_a_gradient_keep_their_own_count():
    torch.manual_seed(0)
    model = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
    rate = schedules.Linear(1.0, steps=10)
    opt = lt.in_backward(model, lt.SGD, lr=rate)
    x = torch.ones(2, 4)
    for i in range(4):
        out = model[0](x) if i % 2 else model[1](model[0](x))
        out.sum().backward()
    saved = opt.state_dict()
    assert saved["param_groups"][0]["own_t"] == [4, 4, 2, 2]
    assert saved["param_groups"][0]["t"] == 4
    other = copy.deepcopy(model)
    resumed = lt.in_backward(other, lt.SGD, lr=rate)
    resumed.load_state_dict(saved)
    before = other[1].bias.detach().clone()
    for m in (model, other):
        m[1](m[0](x)).sum().backward()
    assert same(model, other)
    torch.testing.assert_close(before - other[1].bias, torch.full((4,), 2 * rate(2)))
    plain = lt.SGD(other.parameters(), lr=rate)
    plain.load_state_dict(opt.state_dict())  # has one count for all
    assert "own_t" not in plain.param_groups[0]


def test_frozen_parameters_begin_where_they_are_thawed():
    model = network()
    model[0].requires_grad_(False)
    opt = lt.in_backward(model, lt.AdamW)
    assert not model[0].weight.requires_grad
    in_backward(model, 2)
    assert len(opt.state) == 4
    model[0].requires_grad_(True)
    in_backward(model, 1)
    assert model[0].weight.grad is None
    assert int(opt.state[model[0].weight]["step"]) == 1
    assert int(opt.state[model[5].weight]["step"]) == 3


def test_memory_that_was_replaced_is_followed():
    a, b = network(), network()
    plain, opt = lt.AdamW(a.parameters()), lt.in_backward(b, lt.AdamW)
    for model in (a, b):
        for p in model.parameters():
            p.data = p.data.clone()
    plainly(a, plain)
    in_backward(b)
    assert same(a, b)
    assert len(opt.state) == 6


def test_a_closure():
    a, b = network(), network()
    plain, opt = lt.Adam(a.parameters()), lt.in_backward(b, lt.Adam)

    def closure():
        opt.zero_grad()
        loss = loss_of(b)
        loss.backward()
        return loss

    losses = [opt.step(closure).item() for _ in range(3)]
    plainly(a, plain, 3)
    assert same(a, b)
    assert losses[2] < losses[0]


def test_a_checkpoint_of_torch_goes_on_inside_of_backward_and_back():
    a, b = network(), network()
    theirs = torch.optim.AdamW(a.parameters(), weight_decay=0.1)
    plainly(a, theirs, 3)
    b.load_state_dict(a.state_dict())
    opt = lt.in_backward(b, lt.AdamW)
    opt.load_state_dict(theirs.state_dict())
    in_backward(b, 3)
    plainly(a, theirs, 3)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(q, p, rtol=1e-5, atol=1e-7)
    again = torch.optim.AdamW(b.parameters())
    again.load_state_dict(opt.state_dict())
    assert {int(e["step"]) for e in again.state.values()} == {6}


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda s: s["state"][5].update(exp_avg=torch.zeros(5)), r"5\.bias.* must have the shape"),
        (lambda s: s["state"][5].pop("exp_avg"), r"5\.bias.* must have \['exp_avg'"),
        (lambda s: s["param_groups"][0].update(lr=-1.0), "lr must be in"),
        (lambda s: s["param_groups"][0]["params"].pop(), "must have 6 parameters, got 5"),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(spoil, text):
    model = network()
    opt = lt.in_backward(model, lt.AdamW)
    in_backward(model, 1)
    bad = copy.deepcopy(opt.state_dict())
    in_backward(model, 1)
    before = str(opt.state_dict())
    spoil(bad)
    with pytest.raises(ValueError, match=text):
        opt.load_state_dict(bad)
    assert str(opt.state_dict()) == before


# ---------------------------------------------------------------------- lifetime and copies


def test_hooks_end_with_the_optimizer():
    model = network()
    opt = lt.in_backward(model, lt.SGD, lr=0.1)
    in_backward(model, 1)
    kept = copy.deepcopy(model.state_dict())
    del opt
    gc.collect()
    in_backward(model, 1)
    assert not model[0].weight._post_accumulate_grad_hooks
    for name, x in model.state_dict().items():
        assert torch.equal(x, kept[name])
    assert model[0].weight.grad is not None


def test_an_optimizer_that_nobody_keeps_warns():
    model = network()
    with pytest.warns(UserWarning, match="keep what in_backward returns"):
        lt.in_backward(model, lt.SGD)
    with warnings.catch_warnings(record=True) as seen:
        lt.in_backward(model, lt.SGD).remove()
    assert not seen


def test_after_remove_it_is_a_plain_optimizer():
    a, b = network(), network()
    plain, opt = lt.AdamW(a.parameters()), lt.in_backward(b, lt.AdamW)
    in_backward(b, 2)
    opt.remove()
    plainly(a, plain)
    plainly(b, opt, 3)
    assert same(a, b)
    assert b[0].weight.grad is None


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_steps_what_was_copied_with_it(how):
    model = network()
    opt = lt.in_backward(model, lt.AdamW, lr=0.01)
    in_backward(model, 2)
    other, copied = how((model, opt))
    assert isinstance(copied, lt.AdamW)
    in_backward(other, 2)
    assert not same(model, other)
    in_backward(model, 2)
    assert same(model, other)
    assert int(copied.state[other[0].weight]["step"]) == 4
    pickle.loads(pickle.dumps(model))


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"clip_norm": 1.0}, "clip_norm of AdamW must not be given"),
        ({"stats": True}, "stats of AdamW must not be given"),
        ({"state_file": "x"}, "state_file of AdamW must not be given"),
        ({"nonfinite": "skip"}, 'nonfinite of AdamW must be "ignore"'),
        ({"loss_scale": lrcore.LossScaler()}, "loss_scale of AdamW must be a number"),
        ({"capturable": True}, "capturable"),
        ({"seed": -1}, "seed must be"),
        ({"lr": -1.0}, "lr must be"),
    ],
    ids=str,
)
def test_options_that_look_at_all_gradients(options, text):
    model = network()
    with pytest.raises((TypeError, ValueError), match=text) as error:
        lt.in_backward(model, lt.AdamW, **options)
    message_of(error)
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_a_limit_of_a_group():
    model = network()
    with pytest.raises(ValueError, match=r"clip_norm of param_groups\[0\] must be None"):
        lt.in_backward([{"params": [*model.parameters()], "clip_norm": 1.0}], lt.AdamW)
    opt = lt.in_backward(model, lt.AdamW)
    opt.param_groups[0]["clip_norm"] = 1.0
    with pytest.raises(ValueError, match=r"clip_norm of param_groups\[0\] must be None"):
        loss_of(model).backward()
    assert same(model, network())
    assert len(opt.state) == 0
    opt.remove()


def test_what_is_no_model_and_no_kind():
    with pytest.raises(TypeError, match="kind must be a class of"):
        lt.in_backward(network(), torch.optim.AdamW)
    with pytest.raises(TypeError, match="kind must be a class of"):
        lt.in_backward(network(), lt.Optimizer)
    with pytest.raises(TypeError, match="there is no argument 'foo'"):
        lt.in_backward(network(), lt.AdamW, foo=1)
    wrapper = torch.nn.parallel.DistributedDataParallel
    wrapped = wrapper.__new__(wrapper)
    torch.nn.Module.__init__(wrapped)
    with pytest.raises(TypeError, match="must not be inside DistributedDataParallel"):
        lt.in_backward(torch.nn.Sequential(wrapped), lt.AdamW)


def test_a_model_that_is_wrapped_for_several_processes_later():
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model, alone = network(), network()
        opt, other = lt.in_backward(model, lt.SGD, lr=0.1), lt.in_backward(alone, lt.SGD, lr=0.1)
        wrapped = torch.nn.parallel.DistributedDataParallel(model)
        with pytest.raises(TypeError, match="must not be inside DistributedDataParallel"):
            loss_of(wrapped).backward()
        assert same(model, network())
        in_backward(alone, 1)
        assert not same(alone, model)
        assert not other.state  # this rule keeps nothing
        opt.remove()
        opt.zero_grad()
        loss_of(wrapped).backward()
        opt.step()
        assert same(model, alone)
    finally:
        torch.distributed.destroy_process_group()


def test_a_tensor_of_several_processes():
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
        whole = torch.distributed.tensor.distribute_tensor(torch.ones(4), mesh)
        with pytest.raises(TypeError, match=r"params\[0\]\[0\] must be a tensor of this process"):
            lt.in_backward([torch.nn.Parameter(whole)], lt.SGD)
    finally:
        torch.distributed.destroy_process_group()


def test_two_for_one_parameter():
    model = network()
    opt = lt.in_backward(model, lt.SGD, lr=0.1)
    with pytest.raises(ValueError, match="must not be stepped by two optimizers"):
        lt.in_backward(model, lt.SGD)
    opt.remove()
    again = lt.in_backward(model, lt.SGD, lr=0.1, momentum=0.9)
    in_backward(model, 1)
    assert len(again.state) == 6
    assert len(opt.state) == 0


def test_a_gradient_that_cannot_be_used_is_named():
    model = network()
    opt = lt.in_backward(model, lt.AdamW, weight_decay=0.1)
    model[5].weight.register_post_accumulate_grad_hook(lambda p: None)
    opt.remove()
    model[5].weight.grad = torch.zeros(3, 8).to_sparse().to(torch.float32)
    with pytest.raises(TypeError, match=r"params\[0\]\[4\] \(5\.weight\) must be dense"):
        opt.step()


def test_a_scaler_of_gradients():
    model = network()
    opt = lt.in_backward(model, lt.AdamW)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(loss_of(model)).backward()
    with pytest.raises((ValueError, AssertionError), match=r"GradScaler|No inf checks"):
        scaler.step(opt)


def test_what_looks_at_all_parameters():
    opt = lt.in_backward(network(), lt.AdamW)
    opt.remove()
    with pytest.raises(TypeError, match="has one of this library for each parameter"):
        _ = opt.lrcore


def test_stochastic_rounding_is_resumed():
    model = network().to(torch.bfloat16)
    x = X.to(torch.bfloat16)
    opt = lt.in_backward(model, lt.AdamW, lr=1e-3, rounding="stochastic", seed=2**64 - 2)
    for _ in range(3):
        loss_of(model, x).backward()
    other = copy.deepcopy(model)
    resumed = lt.in_backward(other, lt.AdamW, lr=1e-3, rounding="stochastic", seed=2**64 - 2)
    resumed.load_state_dict(opt.state_dict())
    for _ in range(3):
        loss_of(model, x).backward()
        loss_of(other, x).backward()
    assert same(model, other)
    # other parameters draw other bits
    pair = [torch.nn.Parameter(torch.ones(1000, dtype=torch.bfloat16)) for _ in range(2)]
    drawn = lt.in_backward(pair, lt.Signum, lr=1e-3, rounding="stochastic")
    for p in pair:
        p.sum().backward()
    assert len(drawn.state) == 2
    assert not np.array_equal(pair[0].detach().float(), pair[1].detach().float())
