"""A rate found for a task: what ``lrcore find`` and ``lrcore train --lr auto`` share."""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcore.cli._jobs import Job, make_job
from lrcore.cli._say import Refusal, need

if TYPE_CHECKING:
    from lrcore import LRFindResult
    from lrcore.tasks import Data, Params, Task


class Batches:
    """The batches of a task, epoch after epoch without end; every iteration starts anew."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __iter__(self) -> Iterator[Data]:
        for epoch in count(1):
            yield from self.task.batches(epoch)


def constant_job(args: argparse.Namespace) -> Job:
    """Return the job at a constant rate, which the finder moves."""
    changed = copy.copy(args)
    vars(changed).update(lr=None, schedule="constant", warmup="0")
    return make_job(changed)


def find(job: Job, command: str, **options: Any) -> LRFindResult:
    """Look for the rate of a job made by `constant_job`; its parameters are left as they are."""
    import lrcore

    threadpoolctl = need("threadpoolctl", command)
    task, params = job.task, job.params

    def loss_and_grads(batch: Data) -> tuple[float, Params]:
        return task.loss_and_grads(params, batch)

    with threadpoolctl.threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"):
        try:
            return lrcore.lr_find(job.opt, loss_and_grads, Batches(task), **options)
        except ValueError as error:
            raise Refusal(str(error)) from None


def auto(args: argparse.Namespace) -> LRFindResult:
    """Find the rate for ``--lr auto`` and put it into the arguments.

    If it is not to be trusted, the rate that suits the task is taken, and that is said.
    """
    job = constant_job(args)
    found = find(job, args.command)
    low, high = found.interval
    if found.reliable:
        args.lr = float(f"{found.suggested:.3g}")
        said = f"rate found: {args.lr:g} (from {low:.3g} to {high:.3g})"
    else:
        args.lr = None
        said = f"no rate found ({found.reasons[0]}): {job.settings['lr']:g} is taken"
    print(said, file=sys.stderr if args.json else sys.stdout)
    return found
