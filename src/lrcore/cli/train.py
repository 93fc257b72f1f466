"""``lrcore train``: a real job from start to end."""

from __future__ import annotations

import argparse
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from lrcore.cli import _choices, _report
from lrcore.cli._job import Job
from lrcore.cli._picture import check_output
from lrcore.cli._say import Refusal, need

if TYPE_CHECKING:
    from lrcore.tasks import Run, Task

MAX_SEED = 2**32 - 1  # scikit-learn, which holds rows out, takes no larger one
DIVERGED = 2.0  # a training loss this many times its first value is not learning


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "train",
        help="train on real digits, a line, or your own CSV file",
        description="Train a small model with an lrcore optimizer, and report on it.",
        epilog="Needs the demo extra. Ctrl-C stops and reports what was reached.",
    )
    parser.add_argument(
        "task",
        nargs="?",
        default="digits",
        metavar="digits | linear | FILE.csv",
        help="what to learn (default: digits)",
    )
    add_task_arguments(parser)
    add_optimizer_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="draw loss and learning rate")
    parser.set_defaults(run=run)


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what makes a task."""
    data = parser.add_argument_group("data and model")
    data.add_argument("--target", metavar="NAME", help="column of FILE.csv to predict")
    data.add_argument(
        "--kind",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="of FILE.csv (default: decided from the target)",
    )
    data.add_argument("--hidden", type=_count(0), metavar="N", help="hidden units, 0: linear model")
    data.add_argument("--batch-size", type=_count(1), metavar="N", help="rows per update")
    data.add_argument(
        "--seed", type=_count(0, MAX_SEED), default=0, metavar="N", help="(default: 0)"
    )


def add_optimizer_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what makes an optimizer and its schedule."""
    rules = ", ".join(_choices.optimizer_classes())
    curves = ", ".join(_choices.schedule_classes())
    group = parser.add_argument_group("optimizer")
    group.add_argument("--optimizer", metavar="NAME", help=f"{rules} (linear: SGD, others: AdamW)")
    group.add_argument("--lr", type=float, metavar="RATE", help="(default: one that suits)")
    group.add_argument(
        "--schedule", default="cosine", metavar="NAME", help=f"{curves} (default: cosine)"
    )
    group.add_argument(
        "--warmup", default="5%", metavar="N", help="updates, or a share such as 5%% (the default)"
    )
    group.add_argument("--weight-decay", type=float, metavar="RATE")
    group.add_argument("--clip-norm", type=float, metavar="NORM", help="clip gradients to it")
    group.add_argument("--epochs", type=_count(1), metavar="N", help="passes over the data")
    group.add_argument("--backend", choices=("c", "numpy"), default="c", help="(default: c)")


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
    job = make_job(args)
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


def make_task(args: argparse.Namespace) -> Task:
    """Return the task the arguments ask for."""
    from lrcore.tasks import DataError

    known = args.task in BUILT_IN
    if not known and args.target is None:
        if not Path(args.task).exists():
            raise Refusal(f"{args.task}: no such task or file; choose digits, linear or a CSV file")
        raise Refusal(f"{args.task}: say which column to predict with --target NAME")
    if known and (args.target is not None or args.kind != "auto"):
        raise Refusal(f"--target and --kind go with a CSV file, not with {args.task}")
    try:
        return BUILT_IN.get(args.task, _table)(args)
    except DataError as error:
        raise Refusal(str(error)) from None


def make_job(args: argparse.Namespace) -> Job:
    """Return the task, and the optimizer made for it."""
    task = make_task(args)
    kind = args.task if args.task in BUILT_IN else "table"
    line = kind == "linear"
    rule = _choices.find_optimizer(args.optimizer or ("SGD" if line else "AdamW"))
    epochs = args.epochs or task.epochs
    lr = _choices.default_lr(rule, kind) if args.lr is None else args.lr
    steps = epochs * task.updates_per_epoch
    warmup = _warmup(args.warmup, steps)
    options: dict[str, Any] = {"clip_norm": args.clip_norm, "backend": args.backend}
    decay = 0.0 if line and args.weight_decay is None else args.weight_decay
    has_decay = "weight_decay" in inspect.signature(rule).parameters
    if has_decay and decay is not None:
        options["weight_decay"] = decay
    if decay and not has_decay:
        raise Refusal(f"{rule.__name__} has no weight decay; leave --weight-decay out")
    _check_memory(task)
    params = task.init()
    try:
        schedule = _choices.make_schedule(args.schedule, lr, steps=steps, warmup=warmup)
        opt = _choices.make_optimizer(rule, params, schedule, **options)
    except (ValueError, TypeError) as error:
        raise Refusal(str(error)) from None
    settings = {
        "optimizer": rule.__name__,
        "lr": lr,
        "schedule": repr(schedule),
        "seed": args.seed,
        "epochs": epochs,
        "batch_size": task.batch_size,
        **options,
    }
    return Job(task, params, opt, epochs, settings)


def _digits(args: argparse.Namespace) -> Task:
    need("sklearn", "train")
    from lrcore.tasks import digits

    return digits.load(seed=args.seed, batch_size=args.batch_size, hidden=args.hidden)


def _linear(args: argparse.Namespace) -> Task:
    from lrcore.tasks import linear

    if args.hidden is not None:
        raise Refusal("--hidden does not go with linear, which is a straight line")
    return linear.load(seed=args.seed, batch_size=args.batch_size)


def _table(args: argparse.Namespace) -> Task:
    need("pandas", "train")
    need("sklearn", "train")
    from lrcore.tasks import table

    return table.load(
        args.task,
        args.target,
        kind=args.kind,
        seed=args.seed,
        batch_size=args.batch_size,
        hidden=args.hidden,
    )


BUILT_IN = {"digits": _digits, "linear": _linear}


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


def _check_memory(task: Task) -> None:
    """Refuse a network that this machine cannot hold, before any of it is made."""
    from lrcore.tasks._network import Network

    if not isinstance(task.model, Network):
        return
    needed, there = task.model.least_bytes(len(task.train.y)), _physical_bytes()
    if needed > there:
        hidden = sum(task.model.sizes[1:-1])
        raise Refusal(
            f"--hidden {hidden} does not fit in memory: it takes {needed / 1e9:,.0f} GB or more, "
            f"and there are {there / 1e9:,.0f}; give fewer hidden units"
        )


def _physical_bytes() -> int:
    """Return the memory of this machine; where it does not say, what can be addressed."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return sys.maxsize


def _warmup(text: str, steps: int) -> int:
    """Return a number of updates from ``"200"`` or ``"5%"``."""
    share = text.rstrip("%")
    try:
        warmup = round(steps * float(share) / 100) if share != text else int(text)
    except (ValueError, OverflowError):
        raise Refusal(
            f"--warmup must be a number of updates or a share such as 5%, got {text!r}"
        ) from None
    if not 0 <= warmup < steps:
        raise Refusal(f"--warmup must be in [0, {steps}), the updates of this run, got {text}")
    return warmup


def _count(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a converter to int that refuses less than `least` and more than `most`."""
    span = f"from {least}" if most is None else f"from {least} to {most}"

    def convert(text: str) -> int:
        try:
            value = int(text) if text.lstrip("+-").isdecimal() else None
        except ValueError:  # two signs, or more digits than Python reads
            value = None
        if value is None or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"must be an integer {span}, got {text!r}")
        return value

    return convert
