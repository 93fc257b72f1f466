"""What a command that trains is to do: its arguments, and the `Job` made of them."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcore import tasks
from lrcore.cli import _choices
from lrcore.cli._say import Refusal

if TYPE_CHECKING:
    import lrcore
    from lrcore.tasks import Params, Task

AUTO = "auto"
#: What the final scores are called in a sentence.
SCORES = {"test_loss": "loss on held-out data", "train_loss": "loss on the training data"}
MAX_SEED = 2**32 - 1  # scikit-learn, which holds rows out, takes no larger one


@dataclass
class Job:
    """A task and the optimizer that is to do it."""

    task: Task
    params: Params
    opt: lrcore.Optimizer
    epochs: int
    settings: dict[str, Any]


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the task and what makes it."""
    parser.add_argument(
        "task",
        nargs="?",
        default="digits",
        metavar="TASK",
        help=f"what to learn: {', '.join(tasks.names())}, or FILE.csv (default: digits)",
    )
    data = parser.add_argument_group("data and model")
    data.add_argument("--target", metavar="NAME", help="column of FILE.csv to predict")
    data.add_argument(
        "--kind",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="of FILE.csv (default: decided from the target)",
    )
    data.add_argument("--hidden", type=count(0), metavar="N", help="hidden units, 0: linear model")
    data.add_argument("--batch-size", type=count(1), metavar="N", help="rows per update")
    data.add_argument(
        "--seed", type=count(0, MAX_SEED), default=0, metavar="N", help="(default: 0)"
    )


def add_optimizer_arguments(
    parser: argparse.ArgumentParser, *, rule: bool = True, rate: bool = True
) -> None:
    """Declare what makes an optimizer and its schedule; `rule` and `rate`: whether they do."""
    rules = ", ".join(_choices.optimizer_classes())
    curves = ", ".join(_choices.schedule_classes())
    group = parser.add_argument_group("optimizer")
    if rule:
        group.add_argument("--optimizer", metavar="NAME", help=f"{rules} (default: one that suits)")
    if rate:
        group.add_argument(
            "--lr",
            type=_rate,
            metavar="RATE",
            help="or auto: found before the training (default: one that suits)",
        )
    group.add_argument(
        "--schedule", default="cosine", metavar="NAME", help=f"{curves} (default: cosine)"
    )
    group.add_argument(
        "--warmup", default="5%", metavar="N", help="updates, or a share such as 5%% (the default)"
    )
    group.add_argument("--weight-decay", type=float, metavar="RATE")
    group.add_argument("--clip-norm", type=float, metavar="NORM", help="clip gradients to it")
    group.add_argument("--epochs", type=count(1), metavar="N", help="passes over the data")
    group.add_argument("--backend", choices=("c", "numpy"), default="c", help="(default: c)")


def make_task(args: argparse.Namespace) -> Task:
    """Return the task the arguments ask for."""
    known = args.task in tasks.names()
    if not known and args.target is None:
        if not Path(args.task).exists():
            choices = ", ".join(tasks.names())
            raise Refusal(f"{args.task}: no such task or file; choose {choices} or a CSV file")
        raise Refusal(f"{args.task}: say which column to predict with --target NAME")
    if known and (args.target is not None or args.kind != "auto"):
        raise Refusal(f"--target and --kind go with a CSV file, not with {args.task}")
    options = {"seed": args.seed, "batch_size": args.batch_size, "hidden": args.hidden}
    if known and not tasks.has_hidden(args.task):
        if args.hidden is not None:
            raise Refusal(f"--hidden does not go with {args.task}, which has no hidden layer")
        del options["hidden"]
    try:
        if known:
            return tasks.load(args.task, **options)
        from lrcore.tasks import table

        return table.load(args.task, args.target, kind=args.kind, **options)
    except (ValueError, ModuleNotFoundError) as error:
        raise Refusal(str(error)) from None


def make_job(args: argparse.Namespace) -> Job:
    """Return the task, and the optimizer made for it."""
    task = make_task(args)
    rule = _choices.find_optimizer(args.optimizer or task.optimizer)
    epochs = args.epochs or task.epochs
    lr = _choices.default_lr(rule, task) if args.lr is None else args.lr
    steps = epochs * task.updates_per_epoch
    warmup = _warmup(args.warmup, steps)
    options: dict[str, Any] = {"clip_norm": args.clip_norm, "backend": args.backend}
    decay = task.weight_decay if args.weight_decay is None else args.weight_decay
    has_decay = "weight_decay" in inspect.signature(rule).parameters
    if has_decay and decay is not None:
        options["weight_decay"] = decay
    if args.weight_decay and not has_decay:
        raise Refusal(f"{rule.__name__} has no weight decay; leave --weight-decay out")
    _check_memory(task, args.hidden)
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


def _check_memory(task: Task, hidden: int | None) -> None:
    """Refuse a network that this machine cannot hold, before any of it is made."""
    if hidden is None or not hasattr(task.model, "least_bytes"):
        return
    needed, there = task.model.least_bytes(len(task.train.y)), _physical_bytes()
    if needed > there:
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


def _rate(text: str) -> float | str:
    """Return the rate, or ``"auto"``."""
    try:
        return AUTO if text == AUTO else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number or {AUTO}, got {text!r}") from None


def count(least: int, most: int | None = None) -> Callable[[str], int]:
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
