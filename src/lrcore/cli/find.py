"""``lrcore find``: a learning rate for a task, with a range and a reason."""

from __future__ import annotations

import argparse

from lrcore.cli import _finding, _jobs
from lrcore.cli._picture import check_output, save
from lrcore.cli._say import need, print_json, print_table

METHODS = ("gain", "valley", "steepest", "minimum")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "find",
        help="find a learning rate in a hundred updates",
        description="Try rates from small to large on a fresh model, and say which to train with, "
        "in which range, and whether to trust it.",
        epilog="Exit status: 0 if the rate is to be trusted, 1 if not, 2 if nothing could be done.",
    )
    _jobs.add_task_arguments(parser)
    group = parser.add_argument_group("what is tried")
    group.add_argument("--start", type=float, default=1e-7, metavar="RATE", help="(default: 1e-7)")
    group.add_argument("--end", type=float, default=10.0, metavar="RATE", help="(default: 10)")
    group.add_argument(
        "--steps", type=_jobs.count(10), default=100, metavar="N", help="rates (default: 100)"
    )
    group.add_argument(
        "--repeats", type=_jobs.count(1), default=1, metavar="N", help="(default: 1)"
    )
    group.add_argument("--method", choices=METHODS, default="gain", help="(default: gain)")
    _jobs.add_optimizer_arguments(parser, rate=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="draw what was found")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Find, then report."""
    import lrcore

    if args.output is not None:
        need("matplotlib", "find")
        check_output(args.output)
    job = _finding.constant_job(args)
    result = _finding.find(
        job,
        "find",
        start=args.start,
        end=args.end,
        steps=args.steps,
        repeats=args.repeats,
        method=args.method,
    )
    if args.json:
        named = {"task": job.task.name, "optimizer": job.settings["optimizer"], "seed": args.seed}
        print_json({**named, **result.to_dict()})
    else:
        print(f"{job.task.name}, {job.settings['optimizer']}\n\n{result}\n")
        rows = [(name, f"{rate:.3g}") for name, rate in result.suggestions.items()]
        print_table(("method", "rate"), rows, right=(1,))
    if args.output:
        save(lrcore.plot.lr_find(result).figure, args.output)
    return int(not result.reliable)
