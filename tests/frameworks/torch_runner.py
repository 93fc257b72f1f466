"""What the programs of test_torch_distributed share: a model, comparisons, and the run of checks.

Each of two processes runs ``python PROGRAM RANK FOLDER [CHECK ...]``. All checks run in the same
order in both processes, since they exchange data; what a check raises is collected, and the next
one goes on.
"""

import json
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

import lrcore

WORLD = 2
STEPS = 6
CHECKS = {}


def check(function):
    """A function of the rank is one of the checks of the program that runs."""
    CHECKS[function.__name__] = function
    return function


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
