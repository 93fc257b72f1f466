"""What test_torch_distributed runs in two processes of FSDP: see torch_processes."""

import copy

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffload, CPUOffloadPolicy, fully_shard
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch_processes import STEPS, batches, check, close, fit, main, model, params, same_everywhere

import lrcore
import lrcore.torch
from lrcore._hyper import RULES

ELEMENT = [
    r
    for r in lrcore.optimizers.__all__
    if RULES[getattr(lrcore, r).rule].scope in ("element", "tensor")
    and not RULES[getattr(lrcore, r).rule].sums
]


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


if __name__ == "__main__":
    main()
