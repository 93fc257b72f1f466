"""``lrcore train``: a real job from start to end."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from lrcore.cli import _finding, _jobs, _record, _report
from lrcore.cli._jobs import Job
from lrcore.cli._page import check_page, write_page
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
    parser.add_argument("--html", metavar="FILE.html", help="write a page with all of it")
    parser.add_argument("--log", metavar="FILE.csv", help="write each update, for lrcore watch")
    parser.add_argument(
        "--diagnose", action="store_true", help="print the whole diagnosis, not its first line"
    )
    parser.add_argument(
        "--until-diverged", action="store_true", help="end as soon as the run has diverged"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, then report."""
    need("rich", "train")
    if args.output is not None:
        need("matplotlib", "train")
        check_output(args.output)
    if args.html is not None:
        check_page(args.html)
    try:
        return _train(args)
    except MemoryError:
        raise Refusal(
            "does not fit in memory; give fewer hidden units with --hidden, or fewer rows"
        ) from None


def _train(args: argparse.Namespace) -> int:
    tried = _finding.auto(args) if args.lr == _jobs.AUTO else None
    job = _jobs.make_job(args)
    if not args.json:
        _report.announce(job)
    with _record.log_file(args.log) as file:
        record = _record.Record(job, file, until_diverged=args.until_diverged)
        done, interrupted = _fit(job, record, quiet_stdout=args.json)
        if record.ended:
            done.stopped = "diverged"
        found = record.report(done)
    extra: dict[str, Any] = {} if tried is None else {"find": tried}
    if args.json:
        stopped = "interrupted" if interrupted else done.stopped
        both = {"diagnosis": found, **extra}
        _report.print_object(job, done, stopped, {k: v.to_dict() for k, v in both.items()})
    elif done.losses:
        if done.stopped != "diverged":
            _report.print_summary(job, done)
        _report.print_verdict(found, whole=args.diagnose)
    if args.html:
        write_page(args.html, job.task.name, **_record.page_parts(job, done, found, extra))
    if args.output and done.losses:
        from lrcore.cli._picture import draw

        draw(job, done, args.output)
    if interrupted:
        print("lrcore train: interrupted", file=sys.stderr)
        return 130
    return _complain_if_diverged(job, done, record.ended)


def _fit(job: Job, record: _record.Record, *, quiet_stdout: bool) -> tuple[Run, bool]:
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
            return record.on_step(run) or interrupted()

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


def _complain_if_diverged(job: Job, run: Run, ended: bool) -> int:
    lr = job.settings["lr"]
    if ended:
        print(
            f"lrcore train: diverged: ended after update {len(run.losses)}, where the loss is "
            f"{run.losses[-1]:.3g}; lower --lr (now {lr:g})",
            file=sys.stderr,
        )
        return 1
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
