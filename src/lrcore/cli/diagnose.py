"""``lrcore diagnose``: what the log of a run says about its learning rate."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lrcore.cli import _choices
from lrcore.cli._page import check_page, write_page
from lrcore.cli._picture import check_output, save
from lrcore.cli._say import Refusal, need, print_json
from lrcore.instruments import logs

if TYPE_CHECKING:
    from lrcore import Diagnosis

#: Exit status of each verdict that is not a warning.
STATUS = {"healthy": 0, "converged": 0, "inconclusive": 0, "diverged": 2, "not_enough_data": 3}
WARNING = 1
EPILOG = (
    "Exit status: 0 nothing to act on (healthy, converged, or the log does not say), 1 a warning, "
    "2 diverged, 3 not enough data, 64 the request or the file cannot be used."
)
LANGUAGES = ("en", "zh")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "diagnose",
        help="say what the log of a run tells about its learning rate",
        description="Read the log of a run, of any framework (CSV, JSON, JSON lines, printed "
        "text), and say what it tells about the learning rate.",
        epilog=EPILOG,
    )
    add_log_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument(
        "-o", "--output", metavar="FILE.png", help="draw the run and what was found"
    )
    parser.add_argument("--html", metavar="FILE.html", help="write a page with all of it")
    parser.set_defaults(run=run)


def add_log_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file, its columns, and the language."""
    parser.add_argument("file", metavar="FILE", help="the log; - reads the standard input")
    group = parser.add_argument_group("columns (guessed if not given; none leaves one out)")
    for name in ("loss", "lr", "val-loss", "step"):
        group.add_argument(f"--{name}", metavar="COLUMN")
    parser.add_argument("--rule", metavar="NAME", help="the optimizer of the run, such as AdamW")
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="(default: en)")


def run(args: argparse.Namespace) -> int:
    """Read, judge, report."""
    if args.output is not None:
        need("matplotlib", "diagnose")
        check_output(args.output)
    if args.html is not None:
        check_page(args.html)
    try:
        log = logs.read(args.file, **columns(args))
    except logs.LogError as error:
        raise Refusal(str(error)) from None
    found = log.diagnose(rule=rule(args), lang=args.lang)
    status = STATUS.get(found.verdict, WARNING)
    if args.json:
        print_json(as_object(log, found, status))
    else:
        print(f"{log.source}: {log}\n\n{found.text(args.lang)}")
    if args.output:
        save(found.plot().figure, args.output)
    if args.html:
        write_page(
            args.html,
            log.source,
            args.lang,
            diagnosis=found,
            losses=log.losses,
            lrs=log.lrs,
            val_losses=log.val_losses,
            settings={"format": log.kind, "columns": log.columns, "notes": "; ".join(log.notes)},
        )
    return status


def columns(args: argparse.Namespace) -> dict[str, str | None]:
    """Return the columns that were given, as `logs.read` takes them."""
    return {"loss": args.loss, "lr": args.lr, "val_loss": args.val_loss, "step": args.step}


def rule(args: argparse.Namespace) -> str | None:
    """Return the name of the optimizer as the library has it."""
    return None if args.rule is None else _choices.find_optimizer(args.rule).__name__


def as_object(log: logs.Log, found: Diagnosis, status: int) -> dict[str, Any]:
    """Return everything about the log and the diagnosis, for JSON."""
    return {
        "file": log.source,
        "format": log.kind,
        "columns": log.columns,
        "columns_found": list(log.found),
        "notes": list(log.notes),
        "exit_status": status,
        **found.to_dict(),
    }
