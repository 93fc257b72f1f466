"""What test_torch_distributed runs in two processes of DDP and ZeroRedundancyOptimizer."""

from copy import deepcopy

import pytest
import torch
import torch.distributed as dist
from torch.distributed.algorithms.join import Join
from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager
from torch.distributed.optim import PostLocalSGDOptimizer, ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.optim import lr_scheduler
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
from lrcore import schedules
from lrcore._hyper import RULES


def kind(rule):
    return getattr(lrcore.torch, rule)


def of_groups(rule):
    """Whether a rule looks at all parameters of a group together."""
    row = RULES[getattr(lrcore, rule).rule]
    return row.scope == "group" and row.sums > 0


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


if __name__ == "__main__":
    main()
