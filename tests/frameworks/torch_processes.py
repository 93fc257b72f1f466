"""What test_torch_distributed runs in each of two processes: ``python torch_processes.py``.

A check is a function of the rank. All checks run in the same order in both processes, since they
exchange data; what a check raises is collected, and the next one goes on.
"""

import json
import sys
import traceback
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.algorithms.join import Join
from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager
from torch.distributed.optim import PostLocalSGDOptimizer, ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.optim import lr_scheduler

import lrcore
import lrcore.torch
from lrcore import schedules
from lrcore._hyper import RULES

WORLD = 2
STEPS = 6
CHECKS = {}


def check(function):
    """A function of the program that runs is one of its checks."""
    if function.__module__ == "__main__":
        CHECKS[function.__name__] = function
    return function


def kind(rule):
    return getattr(lrcore.torch, rule)


def of_groups(rule):
    """Whether a rule looks at all parameters of a group together."""
    row = RULES[getattr(lrcore, rule).rule]
    return row.scope == "group" and row.sums > 0


def model():
    torch.manual_seed(5)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 5), torch.nn.Linear(5, 3)
    )


def batches(steps=STEPS, *, seed=6, first=0):
    """The same in every process with the same seed."""
    draw = torch.Generator().manual_seed(seed)
    for i in range(first + steps):
        x, y = torch.randn(16, 6, generator=draw), torch.randn(16, 3, generator=draw)
        if i >= first:
            yield x, y


def fit(net, opt, data, *, sched=None, told=False):
    """Train; `told` passes the loss to the step."""
    for x, y in data:
        opt.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        if told:
            opt.step(loss=loss.item())
        else:
            opt.step()
        if sched is not None:
            sched.step()


def params(net):
    return [p.detach().clone() for p in net.parameters()]


def equal(ours, alone):
    """In all bits, and trained."""
    for i, (a, b, start) in enumerate(zip(ours, alone, params(model()), strict=True)):
        assert torch.equal(a, b), f"parameter {i} differs by {(a - b).abs().max().item()}"
        assert not torch.equal(a, start), f"parameter {i} was not trained"


def close(ours, theirs, within=1e-6):
    """To so much of the largest element, and trained."""
    for i, (a, b, start) in enumerate(zip(ours, theirs, params(model()), strict=True)):
        error = ((a - b).abs().max() / b.abs().max()).item()
        assert error <= within, f"parameter {i} differs by {error} of its largest element"
        assert not torch.equal(a, start), f"parameter {i} was not trained"


def same_everywhere(tensors):
    for i, t in enumerate(tensors):
        found = [torch.empty_like(t) for _ in range(WORLD)]
        dist.all_gather(found, t.contiguous())
        assert all(torch.equal(found[0], x) for x in found), f"tensor {i} differs between processes"


# ------------------------------------------------------------------------------------ DDP


@check
def ddp_equals_one_process(rank):
    """Both see the same data, and g/2 + g/2 is g: the mean of the gradients rounds nothing."""
    ways = [{}, {"gradient_as_bucket_view": True}, {"static_graph": True}]
    for i, rule in enumerate(lrcore.optimizers.__all__):
        told = getattr(lrcore, rule).needs_loss
        alone = model()
        fit(alone, kind(rule)(alone.parameters()), batches(), told=told)
        net = DDP(model(), **ways[i % len(ways)])
        fit(net, kind(rule)(net.parameters()), batches(), told=told)
        equal(params(net), params(alone))


@check
def ddp_with_other_data_in_each(rank):
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = DDP(model(), gradient_as_bucket_view=True)
        opt = optim.AdamW(net.parameters(), lr=1e-2)
        fit(net, opt, batches(seed=rank), sched=lr_scheduler.CosineAnnealingLR(opt, STEPS))
        same_everywhere(params(net))
        made.append(params(net))
    close(*made)


@check
def ddp_clips_and_skips_together(rank):
    """Every process has the same gradients and parameters: it comes to the same decisions."""
    net = DDP(model())
    opt = lrcore.torch.AdamW(net.parameters(), clip_norm=0.1, nonfinite="skip")
    made = []
    for i, (x, y) in enumerate(batches(seed=rank)):
        opt.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        if i == 2 and rank == 1:
            loss = loss * float("inf")
        loss.backward()
        opt.step()
        made.append(opt.made)
    assert made == [True, True, False, True, True, True]
    same_everywhere(params(net))


# ------------------------------------------------------------------ ZeroRedundancyOptimizer


def zero(net, rule, **options):
    return ZeroRedundancyOptimizer(net.parameters(), optimizer_class=kind(rule), **options)


@check
def zero_equals_one_process(rank):
    """As under DDP; each process steps half of the parameters and sends them to the other."""
    for i, rule in enumerate(r for r in lrcore.optimizers.__all__ if not of_groups(r)):
        alone = model()
        fit(alone, kind(rule)(alone.parameters()), batches())
        net = DDP(model())
        fit(net, zero(net, rule, parameters_as_bucket_view=i % 2 == 0), batches())
        equal(params(net), params(alone))


@check
def zero_driven_by_schedulers(rank):
    def two(opt):
        first = lr_scheduler.LinearLR(opt, total_iters=3)
        return lr_scheduler.SequentialLR(opt, [first, lr_scheduler.ExponentialLR(opt, 0.5)], [3])

    for make in (two, lambda opt: lr_scheduler.OneCycleLR(opt, 0.1, total_steps=STEPS + 1)):
        alone = model()
        opt = lrcore.torch.AdamW(alone.parameters(), lr=0.05, betas=(0.9, 0.99))
        fit(alone, opt, batches(), sched=make(opt))
        net = DDP(model())
        opt = zero(net, "AdamW", lr=0.05, betas=(0.9, 0.99), parameters_as_bucket_view=True)
        fit(net, opt, batches(), sched=make(opt))
        equal(params(net), params(alone))


SCHEDULED = {"lr": schedules.Cosine(0.05, steps=2 * STEPS, warmup=2), "weight_decay": 0.1}


@check
def zero_goes_on_from_a_checkpoint(rank):
    """With a rate by the number of the update, which the state of the parameters says."""
    alone = model()
    opt = lrcore.torch.AdamW(alone.parameters(), **SCHEDULED)
    fit(alone, opt, batches(2 * STEPS))

    net = DDP(model())
    opt = zero(net, "AdamW", **SCHEDULED)
    fit(net, opt, batches())
    opt.consolidate_state_dict(to=0)
    sent = [opt.state_dict() if rank == 0 else None]
    dist.broadcast_object_list(sent, src=0)
    assert sorted(sent[0]["state"]) == list(range(6))

    again = model()
    again.load_state_dict(net.module.state_dict())
    again = DDP(again)
    opt = zero(again, "AdamW", parameters_as_bucket_view=True, **SCHEDULED)
    opt.load_state_dict(deepcopy(sent[0]))
    fit(again, opt, batches(first=STEPS))
    equal(params(again), params(alone))

    single = model()  # the checkpoint of two processes goes on in one
    single.load_state_dict(net.module.state_dict())
    opt = lrcore.torch.AdamW(single.parameters(), **SCHEDULED)
    opt.load_state_dict(sent[0])
    fit(single, opt, batches(first=STEPS))
    equal(params(single), params(alone))


@check
def zero_takes_another_group(rank):
    def go(net, opt):
        fit(net, opt, batches(3))
        opt.add_param_group({"params": list(net.parameters())[-2:], "lr": 0.2})
        fit(net, opt, batches(3, first=3))

    made = []
    for make in (lambda p: zero_of(p), lambda p: lrcore.torch.AdamW(p, lr=0.01)):
        net = model()
        go(net, make(list(net.parameters())[:-2]))
        made.append(params(net))
    equal(*made)


def zero_of(some):
    return ZeroRedundancyOptimizer(
        some, optimizer_class=lrcore.torch.AdamW, lr=0.01, parameters_as_bucket_view=True
    )


@check
def zero_of_fewer_parameters_than_processes(rank):
    made = []
    for make in (zero_of, lambda p: lrcore.torch.AdamW(p, lr=0.01)):
        torch.manual_seed(7)
        p = torch.nn.Parameter(torch.randn(4))
        opt = make([p])
        for _ in range(3):
            p.grad = p.detach() * 2
            opt.step()
        made.append(p.detach().clone())
    assert torch.equal(*made)


@check
def zero_under_a_scaler(rank):
    """Every process has the gradients of all parameters, and sees the same overflow."""
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = DDP(model())
        opt = ZeroRedundancyOptimizer(net.parameters(), optimizer_class=optim.AdamW, lr=0.01)
        scaler = torch.amp.GradScaler("cpu")
        for i, (x, y) in enumerate(batches(seed=rank)):
            opt.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss = loss * float("inf") if i == 2 and rank == 1 else loss
            scaler.scale(loss).backward()
            scaler.step(opt)
            scaler.update()
        assert [int(entry["step"]) for entry in opt.optim.state.values()] == [STEPS - 1] * 3
        same_everywhere(params(net))
        made.append(params(net))
    close(*made)


@check
def zero_where_one_process_has_less_data(rank):
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = DDP(model())
        opt = ZeroRedundancyOptimizer(net.parameters(), optimizer_class=optim.AdamW, lr=0.01)
        with Join([net, opt]):
            fit(net, opt, batches(STEPS - 2 * rank, seed=rank))
        same_everywhere(params(net))
        made.append(params(net))
    close(*made)


@check
def local_steps_and_now_and_then_the_mean_of_the_models(rank):
    made = []
    for optim in (lrcore.torch, torch.optim):
        net = model()
        opt = PostLocalSGDOptimizer(
            optim.AdamW(net.parameters(), lr=0.01), PeriodicModelAverager(period=2)
        )
        fit(net, opt, batches(STEPS + 1, seed=rank))
        same_everywhere(params(net))
        opt.load_state_dict(opt.state_dict())
        fit(net, opt, batches(1, seed=rank))
        made.append(params(net))
    close(*made)


@check
def zero_with_overlap_is_for_torchs_functional_optimizers(rank):
    with pytest.raises(ValueError, match="no supported functional"):
        zero(DDP(model()), "AdamW", overlap_with_ddp=True)


# -------------------------------------------------------------------------------- the program


def main():
    rank, folder = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=WORLD,
        timeout=timedelta(seconds=60),
    )
    torch.set_num_threads(1)
    lrcore.set_num_threads(1)
    found = {}
    for name in sys.argv[3:] or CHECKS:
        try:
            CHECKS[name](rank)
            found[name] = ""
        except Exception:
            found[name] = traceback.format_exc()
            traceback.print_exc()
    (Path(folder) / f"found{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
