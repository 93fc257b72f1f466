"""What commands that train many times share: the rates, the seeds, the processes."""

from __future__ import annotations

import argparse
import copy
import math
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lrcore.cli import _jobs
from lrcore.cli._jobs import Job, count, make_job
from lrcore.cli._say import Refusal, need, progress_bar
from lrcore.instruments import rates

WIDTH = 10**1.5  # the usual grid goes from the usual rate over this to the rate times this
PER_DECADE = 2


def add_grid_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which rates are tried, how often, and on how many processes."""
    group = parser.add_argument_group("what is tried")
    group.add_argument(
        "--lrs",
        metavar="A,B,...",
        type=_rates,
        help="the rates (default: a grid round one that suits)",
    )
    group.add_argument("--from", dest="low", metavar="RATE", type=_rate, help="start of a grid")
    group.add_argument("--to", dest="high", metavar="RATE", type=_rate, help="its end")
    group.add_argument(
        "--per-decade",
        metavar="N",
        type=count(1, 100),
        help=f"rates per factor of ten (default: {PER_DECADE})",
    )
    group.add_argument(
        "--seeds", metavar="N", type=count(1), default=3, help="runs of each rate (default: 3)"
    )
    group.add_argument(
        "--jobs", metavar="N", type=count(1), default=1, help="processes (default: 1)"
    )


def grid(args: argparse.Namespace, usual: float) -> tuple[float, ...]:
    """Return the rates that the arguments ask for; `usual` is the middle if they say nothing."""
    if args.lrs is not None:
        if (args.low, args.high, args.per_decade) != (None, None, None):
            raise Refusal("--lrs goes without --from, --to and --per-decade")
        chosen: tuple[float, ...] = args.lrs
        return chosen
    low = usual / WIDTH if args.low is None else args.low
    high = usual * WIDTH if args.high is None else args.high
    if not low < high:
        raise Refusal(f"--to must be above --from = {low:g}, got {high:g}")
    return tuple(float(f"{lr:.4g}") for lr in rates(low, high, args.per_decade or PER_DECADE))


def seeds(args: argparse.Namespace) -> range:
    """Return the seeds that the arguments ask for."""
    if args.seed + args.seeds - 1 > _jobs.MAX_SEED:
        raise Refusal(f"--seed must be at most {_jobs.MAX_SEED - args.seeds + 1}, got {args.seed}")
    return range(args.seed, args.seed + args.seeds)


def first_job(args: argparse.Namespace, **changes: Any) -> Job:
    """Return the job as the first run would have it, so that what is wrong is said before."""
    need("threadpoolctl", args.command)
    return make_job(_changed(args, **changes))


@dataclass(frozen=True)
class Trial:
    """Train a task at a rate with a seed; a process can be sent it.

    Attributes
    ----------
    args : argparse.Namespace
        What ``lrcore train`` would be told.
    score : str
        Which of the final scores is returned.
    """

    args: argparse.Namespace
    score: str

    def __call__(self, lr: float, seed: int) -> float:
        """Return the score, or infinity if the run diverged."""
        return self._trained(lr=lr, seed=seed)

    def of(self, name: str, lr: float, seed: int) -> float:
        """Return the score of the optimizer called `name`."""
        return self._trained(optimizer=name, lr=lr, seed=seed)

    def _trained(self, **changes: Any) -> float:
        from lrcore.tasks import fit

        threadpoolctl = need("threadpoolctl", self.args.command)
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            job = make_job(_changed(self.args, **changes))
            run = fit(job.task, job.params, job.opt, job.epochs)
        return math.inf if run.stopped else run.final[self.score]


def score_of(job: Job) -> str:
    """Return which score is compared: the loss on held-out rows, if there are any."""
    return "test_loss" if job.task.test is not None else "train_loss"


def plain(args: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments of a training alone, which can be sent to another process."""
    functions = {name for name, value in vars(args).items() if callable(value)}
    return argparse.Namespace(**{k: v for k, v in vars(args).items() if k not in functions})


def ignore_ctrl_c() -> None:
    """Leave Ctrl-C, which reaches all processes of a terminal, to the one that started them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def processes(jobs: int) -> Iterator[Executor | None]:
    """Give a pool of that many processes, or None for this one alone."""
    if jobs == 1:
        yield None
        return
    import multiprocessing

    context = multiprocessing.get_context("spawn")  # threads of BLAS do not survive a fork
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=ignore_ctrl_c)
    try:
        yield pool
        pool.shutdown()
    except BaseException:  # such as a second Ctrl-C, which waits for nobody
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(cancel_futures=True)
        raise


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[..., None]]:
    """Give a function to be told of each run, which draws a bar on stderr."""
    with progress_bar(what) as show:
        done = 0

        def on_run(*run: object) -> None:
            nonlocal done
            done += 1
            if show is not None:
                show(done, total)

        yield on_run


def failed(command: str, error: Exception) -> int:
    """Say why no run ended, and return the exit status."""
    print(f"lrcore {command}: {error}", file=sys.stderr)
    return 1


def _changed(args: argparse.Namespace, **changes: Any) -> argparse.Namespace:
    changed = copy.copy(args)
    vars(changed).update(changes)
    return changed


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number in (0, inf), got {text!r}")
    return value


def _rates(text: str) -> tuple[float, ...]:
    values = tuple(_rate(word) for word in text.replace(",", " ").split())
    if not values:
        raise argparse.ArgumentTypeError(f"must be rates such as 0.01,0.03,0.1, got {text!r}")
    if len(set(values)) < len(values):
        raise argparse.ArgumentTypeError(f"must be distinct rates, got {text!r}")
    return values
