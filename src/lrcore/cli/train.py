"""``lrcore train``: a real job from start to end."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from lrcore.cli import _jobs, _report
from lrcore.cli._jobs import Job
from lrcore.cli._picture import check_output
from lrcore.cli._say import Refusal, need

if TYPE_CHECKING:
    from lrcore.tasks import Run

DIVERGED = 2.0  # a training loss this many times its first value is not learning


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "train",
        help="train on real digits, text, speech, ..., or your own CSV file",
        description="Train a small model with an lrcore optimizer, and report on it.",
        epilog="Needs the demo extra. Ctrl-C stops and reports what was reached.",
    )
    _jobs.add_task_arguments(parser)
    _jobs.add_optimizer_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="draw loss and learning rate")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, then report."""
    need("rich", "train")
    if args.output is not None:
        need("matplotlib", "train")
        check_output(args.output)
    try:
        return _train(args)
    except MemoryError:
        raise Refusal(
            "does not fit in memory; give fewer hidden units with --hidden, or fewer rows"
        ) from None


def _train(args: argparse.Namespace) -> int:
    job = _jobs.make_job(args)
    if not args.json:
        _report.announce(job)
    done, interrupted = _fit(job, quiet_stdout=args.json)
    if args.json:
        _report.print_object(job, done, "interrupted" if interrupted else done.stopped)
    elif done.losses and done.stopped != "diverged":
        _report.print_summary(job, done)
    if args.output and done.losses:
        from lrcore.cli._picture import draw

        draw(job, done, args.output)
    if interrupted:
        print("lrcore train: interrupted", file=sys.stderr)
        return 130
    return _complain_if_diverged(job, done)


def _fit(job: Job, *, quiet_stdout: bool) -> tuple[Run, bool]:
    """Train under a progress bar; the second value says whether Ctrl-C ended it.

    BLAS gets one thread: these products are too small to share, and with one their bits do not
    depend on how many there are.
    """
    threadpoolctl = need("threadpoolctl", "train")
    from lrcore.cli._progress import Bar
    from lrcore.tasks import fit

    with ExitStack() as stack:
        stack.enter_context(threadpoolctl.threadpool_limits(1, user_api="blas"))
        bar = stack.enter_context(Bar(job, stderr=quiet_stdout))
        interrupted = stack.enter_context(_ctrl_c())

        def on_step(run: Run) -> bool:
            bar.show(run)
            return interrupted()

        done = fit(job.task, job.params, job.opt, job.epochs, on_step=on_step)
    return done, interrupted()


@contextmanager
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed; a second one interrupts at once."""
    pressed = False

    def handler(signum: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _complain_if_diverged(job: Job, run: Run) -> int:
    lr = job.settings["lr"]
    if run.stopped == "diverged":
        print(
            f"lrcore train: diverged: the gradient of update {job.opt.t + 1} is not finite; "
            f"lower --lr (now {lr:g})",
            file=sys.stderr,
        )
        return 1
    first, last = run.history[0]["train_loss"], run.final["train_loss"]
    if not last <= DIVERGED * first:
        print(
            f"lrcore train: diverged: the loss went from {first:.3g} to {last:.3g}; "
            f"lower --lr (now {lr:g})",
            file=sys.stderr,
        )
        return 1
    return 0
