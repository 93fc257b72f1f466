"""What test_torch_distributed runs in two processes of FSDP, and with DTensors."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch_runner import (
    STEPS,
    batches,
    check,
    close,
    equal,
    fit,
    main,
    model,
    params,
    same_everywhere,
)

import lrcore
import lrcore.torch
from lrcore._hyper import RULES


def looks_further(rule):
    row = RULES[getattr(lrcore, rule).rule]
    return row.sums > 0 or row.scope in ("row", "matrix", "factored")


ELEMENT = [rule for rule in lrcore.optimizers.__all__ if not looks_further(rule)]


def sharded(mesh=None, **options):
    net = model()
    mesh = mesh or init_device_mesh("cpu", (2,))
    for layer in net:
        if isinstance(layer, torch.nn.Linear):
            fully_shard(layer, mesh=mesh, **options)
    return fully_shard(net, mesh=mesh, **options)


def full(net):
    return [p.full_tensor().detach().clone() for p in net.parameters()]


@check
def fsdp2_equals_torchs(rank):
    for options in ({}, {"offload_policy": CPUOffloadPolicy(pin_memory=False)}):
        made = []
        for optim in (lrcore.torch, torch.optim):
            net = sharded(**options)
            opt = optim.AdamW(net.parameters(), lr=1e-2)
            fit(net, opt, batches(seed=rank))
            made.append(full(net))
            same_everywhere(made[-1])
        close(*made)
        assert isinstance(next(net.parameters()), DTensor)


@check
def fsdp2_equals_one_process(rank):
    for rule in ELEMENT:
        alone = model()
        fit(alone, getattr(lrcore.torch, rule)(alone.parameters()), batches())
        net = sharded()
        fit(net, getattr(lrcore.torch, rule)(net.parameters()), batches())
        close(full(net), params(alone))


@check
def fsdp2_clips_by_the_norm_of_all(rank):
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = sharded()
        opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        for x, y in batches(seed=rank):
            opt.zero_grad()
            torch.nn.functional.mse_loss(net(x), y).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            opt.step()
        made.append(full(net))
    close(*made)


@check
def fsdp2_under_a_scaler(rank):
    """An overflow in one process is a skip in both."""
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = sharded()
        opt, scaler = optim.AdamW(net.parameters(), lr=1e-2), torch.amp.GradScaler("cpu")
        for i, (x, y) in enumerate(batches(seed=rank)):
            opt.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss = loss * float("inf") if i == 2 and rank == 1 else loss
            scaler.scale(loss).backward()
            scaler.step(opt)
            scaler.update()
        made.append(full(net))
    close(*made)
    assert len({int(entry["step"]) for entry in opt.state.values()}) == 1


@check
def fsdp2_state_is_spread_as_the_parameters_are(rank):
    net = sharded()
    opt = lrcore.torch.AdamW(net.parameters(), lr=1e-2)
    fit(net, opt, batches(3))
    for p in net.parameters():
        entry = opt.state[p]
        assert entry["exp_avg"].placements == p.placements
        assert entry["exp_avg"].shape == p.shape
        before = entry["exp_avg"].to_local().clone()
        entry["exp_avg"].to_local().mul_(2)  # live: the memory that the step uses
        assert torch.equal(opt.state[p]["exp_avg"].to_local(), 2 * before)


def gathered(net, opt):
    """Weights and state as one process has them, sent to all."""
    whole = dcp.StateDictOptions(full_state_dict=True)
    weights = dcp.get_model_state_dict(net, options=whole)
    state = dcp.get_optimizer_state_dict(net, opt, options=whole)
    sent = [copy.deepcopy((weights, state))]
    dist.broadcast_object_list(sent, src=0)
    return sent[0]


def resumed(optim, weights, state):
    """A new model and optimizer that go on from these, after the second half of the steps."""
    whole = dcp.StateDictOptions(full_state_dict=True)
    net = sharded()
    dcp.set_model_state_dict(net, weights, options=whole)
    opt = optim.AdamW(net.parameters(), lr=0.5)
    dcp.set_optimizer_state_dict(net, opt, state, options=whole)
    fit(net, opt, batches(first=STEPS))
    return full(net)


@check
def fsdp2_goes_on_from_a_checkpoint(rank):
    """Gathered by torch.distributed.checkpoint; this library's and torch's are loaded here."""
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = sharded()
        opt = optim.AdamW(net.parameters(), lr=1e-2)
        fit(net, opt, batches())
        weights, state = gathered(net, opt)
        assert state["state"]["0.weight"]["exp_avg"].shape == (8, 6)
        fit(net, opt, batches(first=STEPS))
        made.append((full(net), resumed(lrcore.torch, weights, state)))
    assert all(torch.equal(a, b) for a, b in zip(*made[0], strict=True))
    close(made[1][1], made[1][0])


OPTIONS = {
    "clip_norm": 1.0,
    "agc": 0.1,
    "cautious": True,
    "nonfinite": "skip",
    "loss_scale": 2.0,
}


@check
def what_looks_at_more_than_elements_is_refused(rank):
    for rule in set(lrcore.optimizers.__all__) - set(ELEMENT):
        start = rf"{rule}: params\[0\]\[0\] must be all here, since the rule .*Shard\(dim=0\)"
        with pytest.raises(ValueError, match=start):
            getattr(lrcore.torch, rule)(sharded().parameters())
    for name, value in OPTIONS.items():
        start = rf"AdamW: {name} must be .* for params\[0\]\[0\], .* got {value!r}"
        with pytest.raises(ValueError, match=start):
            lrcore.torch.AdamW(sharded().parameters(), **{name: value})
    net = FSDP(model(), device_id=torch.device("cpu"))
    with pytest.raises(ValueError, match=r"Muon: .* FullyShardedDataParallel has flattened"):
        lrcore.torch.Muon(net.parameters())


def replicate(net, mesh):
    for module in net:
        for name, p in list(module.named_parameters()):
            whole = distribute_tensor(p.detach(), mesh, [Replicate()])
            setattr(module, name, torch.nn.Parameter(whole))
    return net


def fit_spread(net, opt, mesh, placement, told=False):
    for x, y in batches():
        opt.zero_grad()
        x, y = (distribute_tensor(t, mesh, [placement]) for t in (x, y))
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        opt.step(**({"loss": loss.full_tensor().item()} if told else {}))


@check
def replicas_are_whole(rank):
    """Every rule takes them, and makes the bits that it makes of plain tensors."""
    mesh = init_device_mesh("cpu", (2,))
    for rule in lrcore.optimizers.__all__:
        told = getattr(lrcore, rule).needs_loss
        alone, net = model(), replicate(model(), mesh)
        fit(alone, getattr(lrcore.torch, rule)(alone.parameters()), batches(), told=told)
        opt = getattr(lrcore.torch, rule)(net.parameters())
        fit_spread(net, opt, mesh, Replicate(), told)
        equal([p.to_local().detach() for p in net.parameters()], params(alone))


@check
def gradients_that_are_yet_to_be_summed_are(rank):
    mesh = init_device_mesh("cpu", (2,))
    for rule in ("SGD", "Adagrad", "AdamW"):
        made = []
        for optim in (lrcore.torch, torch.optim):
            net = replicate(model(), mesh)
            fit_spread(net, getattr(optim, rule)(net.parameters(), lr=0.05), mesh, Shard(0))
            assert any(p.grad.placements != p.placements for p in net.parameters())
            made.append([p.to_local().detach() for p in net.parameters()])
        close(*made)
        same_everywhere(made[0])


# --------------------------------------------------------------- FullyShardedDataParallel


@check
def fsdp1_equals_torchs(rank):
    """CPUOffload pins memory, for which there must be an accelerator: not tested."""
    for options in ({}, {"use_orig_params": True}):
        made = []
        for optim in (lrcore.torch, torch.optim):
            net = FSDP(model(), device_id=torch.device("cpu"), **options)
            opt = optim.AdamW(net.parameters(), lr=1e-2)
            fit(net, opt, batches(seed=rank))
            with FSDP.summon_full_params(net):
                made.append(params(net))
        close(*made)


@check
def fsdp1_under_its_scaler(rank):
    """Which tells all processes of an overflow only if it divides the gradients itself."""
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = FSDP(model(), device_id=torch.device("cpu"))
        opt, scaler = optim.AdamW(net.parameters(), lr=1e-2), ShardedGradScaler("cpu")
        for i, (x, y) in enumerate(batches(seed=rank)):
            opt.zero_grad()
            scaler.scale(torch.nn.functional.mse_loss(net(x), y)).backward()
            if i == 2 and rank == 1:
                next(net.parameters()).grad[0] = float("inf")
            scaler.step(opt)
            scaler.update()
        with FSDP.summon_full_params(net):
            made.append(params(net))
        assert [int(entry["step"]) for entry in opt.state.values()] == [STEPS - 1]
        same_everywhere([torch.tensor(scaler.get_scale())])
    close(*made)


@check
def fsdp1_goes_on_from_a_checkpoint(rank):
    """Not with use_orig_params: on the CPU, what torch gathers then is one state under all names."""
    made = []
    net = FSDP(model(), device_id=torch.device("cpu"))
    opt = lrcore.torch.AdamW(net.parameters(), lr=1e-2)
    fit(net, opt, batches())
    state = FSDP.optim_state_dict(net, opt)
    assert state["state"]["0.weight"]["exp_avg"].shape == (8, 6)
    weights = net.state_dict()
    again = FSDP(model(), device_id=torch.device("cpu"))
    again.load_state_dict(weights)
    other = lrcore.torch.AdamW(again.parameters(), lr=0.5)
    other.load_state_dict(FSDP.optim_state_dict_to_load(again, other, state))
    for one in ((net, opt), (again, other)):
        fit(*one, batches(first=STEPS))
        with FSDP.summon_full_params(one[0]):
            made.append(params(one[0]))
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))


if __name__ == "__main__":
    main()
