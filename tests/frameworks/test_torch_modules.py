"""lrcore.torch and what is done to modules: memory moved, shared or replaced, weights made of
others, loops without a module, and processes."""

import copy
import os
import sys

import pytest
from oracles.harness import framework
from support import run

import lrcore

pytestmark = pytest.mark.frameworks
torch = framework("torch")
framework("lrcore.torch")
utils = torch.nn.utils
prune = framework("torch.nn.utils.prune")


def model():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))


def fit(net, opt, steps=3):
    draw = torch.Generator().manual_seed(4)
    for _ in range(steps):
        opt.zero_grad()
        x, y = torch.randn(16, 6, generator=draw), torch.randn(16, 3, generator=draw)
        torch.nn.functional.mse_loss(net(x), y).backward()
        opt.step()


def params(net):
    return [p.detach().clone() for p in net.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(params(a), params(b), strict=True))


# ------------------------------------------------------------------- memory in other places


def share(net):
    net.share_memory()


def views_of_one_vector(net):
    vector = utils.parameters_to_vector(net.parameters()).clone()
    utils.vector_to_parameters(vector, net.parameters())


def emptied_and_filled(net):
    weights = copy.deepcopy(net.state_dict())
    net.to_empty(device="cpu")
    net.load_state_dict(weights)


def swapped(net):
    """What is in the Parameters is exchanged; they are the same objects."""
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        net.load_state_dict(copy.deepcopy(net.state_dict()), assign=True)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


MOVES = [share, views_of_one_vector, emptied_and_filled, swapped]


@pytest.mark.parametrize("rule", lrcore.optimizers.__all__)
@pytest.mark.parametrize("move", MOVES, ids=lambda f: f.__name__)
def test_parameters_are_followed_with_their_state(move, rule):
    told = {"loss": 1.0} if getattr(lrcore, rule).needs_loss else {}
    nets = [model(), model()]
    opts = [getattr(lrcore.torch, rule)(net.parameters()) for net in nets]
    old = [p.data_ptr() for p in nets[1].parameters()]
    for step in range(4):
        if step == 2:
            move(nets[1])
            assert all(p.data_ptr() != at for p, at in zip(nets[1].parameters(), old, strict=True))
        for net, opt in zip(nets, opts, strict=True):
            opt.zero_grad()
            net(torch.ones(2, 6)).square().sum().backward()
            opt.step(**told)
    assert same(*nets)
    assert not same(nets[0], model())


def test_the_format_may_change_before_the_first_step_and_not_after():
    net = model()
    opt = lrcore.torch.AdamW(net.parameters())
    net.double()
    net(torch.ones(2, 6).double()).sum().backward()
    opt.step()
    first = next(net.parameters())
    assert opt.state[first]["exp_avg"].dtype == torch.float64
    net.float()
    opt.zero_grad()
    net(torch.ones(2, 6)).sum().backward()
    before = params(net)
    with pytest.raises(ValueError, match=r"AdamW: params\[0\]\[0\] must keep shape, dtype and mem"):
        opt.step()
    assert all(torch.equal(a, b) for a, b in zip(before, params(net), strict=True))


@pytest.mark.parametrize("optim", [lrcore.torch, torch.optim], ids=lambda m: m.__name__)
def test_parameters_that_are_other_objects_are_not_the_optimizers(optim):
    """As torch's: assign=True makes new ones, and an optimizer goes on with those it was given."""
    net = model()
    opt = optim.AdamW(net.parameters())
    fit(net, opt)
    net.load_state_dict(copy.deepcopy(net.state_dict()), assign=True)
    before = params(net)
    fit(net, opt)
    assert all(torch.equal(a, b) for a, b in zip(before, params(net), strict=True))


# ----------------------------------------------------------- the same training as by torch's


def plain(net, make):
    fit(net, make(net.parameters()))


def tied(net, make):
    net.append(torch.nn.Linear(3, 8)).append(torch.nn.Tanh()).append(torch.nn.Linear(8, 3))
    net[5].weight = net[2].weight
    assert len(list(net.parameters())) == 7
    fit(net, make(net.parameters()))


def parametrized(net, make):
    utils.parametrizations.weight_norm(net[0])
    utils.parametrizations.orthogonal(net[2])
    fit(net, make(net.parameters()))
    utils.parametrize.remove_parametrizations(net[0], "weight")
    fit(net, make(net.parameters()))


def pruned(net, make):
    prune.l1_unstructured(net[0], "weight", 0.3)
    fit(net, make(net.parameters()))
    assert (net[0].weight == 0).sum() >= 14
    prune.remove(net[0], "weight")
    fit(net, make(net.parameters()))


def recurrent(net, make):
    layer = torch.nn.LSTM(6, 6, batch_first=True)
    opt = make([*layer.parameters(), *net.parameters()])
    layer.flatten_parameters()
    for step in range(3):
        opt.zero_grad()
        net(layer(torch.full((2, 4, 6), 0.5 * step))[0]).square().mean().backward()
        opt.step()


def clipped(net, make):
    opt = make(net.parameters())
    for step in range(4):
        opt.zero_grad()
        net(torch.full((4, 6), step - 1.5)).square().sum().backward()
        utils.clip_grad_value_(net.parameters(), 0.5)
        assert utils.clip_grad_norm_(net.parameters(), 0.3, foreach=step % 2 == 0) > 0.3
        opt.step()


def functional(net, make):
    """Gradients of torch.func, which are nobody's .grad until they are put there."""
    named = dict(net.named_parameters())
    opt = make(named.values())

    def loss(values, x):
        return torch.func.functional_call(net, values, (x,)).square().sum()

    for step in range(3):
        values = {k: p.detach() for k, p in named.items()}
        x = torch.full((2, 6), 1.0 + step)
        per_sample = torch.func.vmap(torch.func.grad(loss), (None, 0))(values, x)
        for name, p in named.items():
            p.grad = per_sample[name].mean(0)
        opt.step()


def averaged(net, make):
    opt = make(net.parameters())
    mean = torch.optim.swa_utils.AveragedModel(net, use_buffers=True)
    sched = torch.optim.swa_utils.SWALR(opt, swa_lr=0.05, anneal_epochs=3)
    for _ in range(4):
        fit(net, opt, 1)
        mean.update_parameters(net)
        sched.step()
    net.load_state_dict(mean.module.state_dict())
    fit(net, opt)


@pytest.mark.parametrize(
    "train",
    [plain, tied, parametrized, pruned, recurrent, clipped, functional, averaged],
    ids=lambda f: f.__name__,
)
def test_training_is_torchs(train):
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = model()
        train(net, lambda p, optim=optim: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01))
        made.append(params(net))
    for a, b, start in zip(*made, params(model()), strict=False):
        assert (a - b).abs().max() <= 1e-6 * b.abs().max()
        assert a.shape != start.shape or not torch.equal(a, start)


# --------------------------------------------------------------------------------- processes

FORKED = """
import os, warnings
import torch, lrcore, lrcore.torch
warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
lrcore.set_num_threads(2)
p = torch.nn.Parameter(torch.zeros(3_000_000))
p.grad = torch.ones_like(p)
opt = lrcore.torch.AdamW([p], lr=1.0, weight_decay=0.0)
opt.step()
child = os.fork()
if child == 0:
    opt.step()
    os._exit(7 if abs(p[-1].item() + 2) < 1e-3 else 8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert abs(p[-1].item() + 1) < 1e-3  # memory of its own
opt.step()
assert abs(p[-1].item() + 2) < 1e-3
"""

LOADED = """
import warnings
import torch, lrcore, lrcore.torch
from torch.utils.data import DataLoader, TensorDataset
warnings.simplefilter("ignore", DeprecationWarning)
lrcore.set_num_threads(2)
made = []
for workers in (0, 2):
    torch.manual_seed(0)
    net = torch.nn.Linear(600, 600)
    opt = lrcore.torch.AdamW(net.parameters())
    data = TensorDataset(torch.randn(16, 600), torch.randn(16, 600))
    for epoch in range(2):
        for x, y in DataLoader(data, 4, num_workers=workers, multiprocessing_context="fork" if workers else None):
            opt.zero_grad()
            torch.nn.functional.mse_loss(net(x), y).backward()
            opt.step()
    made.append(net.weight.detach())
assert torch.equal(*made)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("code", [FORKED, LOADED], ids=["step", "DataLoader"])
def test_a_fork_is_safe(code):
    run(sys.executable, "-c", code, timeout=120)


def worker(net, opt):
    """What a process of Hogwild does."""
    torch.set_num_threads(1)
    fit(net, opt or lrcore.torch.SGD(net.parameters(), lr=0.02), 10)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("hand_over", [False, True], ids=["own optimizers", "the parent's"])
def test_processes_train_shared_parameters(hand_over):
    """Hogwild: moved to shared memory once the optimizer is there, stepped by all."""
    net = model()
    opt = lrcore.torch.SGD(net.parameters(), lr=0.02, momentum=0.5)
    fit(net, opt)
    net.share_memory()
    before = params(net)
    start = torch.multiprocessing.get_context("fork").Process
    others = [start(target=worker, args=(net, opt if hand_over else None)) for _ in range(2)]
    for one in others:
        one.start()
    for one in others:
        one.join(60)
        assert one.exitcode == 0
    after = params(net)
    assert all((a - b).abs().max() > 0.01 for a, b in zip(before, after, strict=True))
    fit(net, opt)  # goes on from where the others were
    assert not any(torch.equal(a, b) for a, b in zip(after, params(net), strict=True))
