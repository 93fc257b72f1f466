"""The command ``lrcore``: one module a command, each with ``add`` (its arguments) and ``run``.

What a command needs beyond NumPy is imported when that command runs.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from lrcore import __version__
from lrcore.cli import (
    bench,
    compare,
    diagnose,
    find,
    info,
    schedule,
    sweep,
    train,
    verify,
    watch,
)
from lrcore.cli._say import Refusal

REFUSED = 2
#: Of these 2 means that a run diverged, so that a request that cannot be met has another number.
REFUSED_BY = {"diagnose": 64, "watch": 64}

COMMANDS = (train, find, sweep, compare, diagnose, watch, schedule, info, verify, bench)


class _Parser(argparse.ArgumentParser):
    """One sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise Refusal(f"{message}; see {self.prog} --help", command=self.prog)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the name of the program; those of the process if not given.

    Returns
    -------
    int
        0 if all went well, 1 if the work found a fault (a difference of bits, a run that
        diverged), 2 if the request cannot be met, 130 after Ctrl-C. Those of ``diagnose`` and
        ``watch`` are in their help.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    refused = REFUSED_BY.get(words[0] if words else "", REFUSED)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # Chinese, where the encoding has none
    try:
        args = _parser().parse_args(words)
        status: int = args.run(args)
        if sys.stdout is not None:  # None: it was closed before the start
            sys.stdout.flush()
    except SystemExit as exit_:  # --help and --version
        return int(exit_.code or 0)
    except Refusal as refusal:
        print(f"{refusal.command or f'lrcore {args.command}'}: {refusal}", file=sys.stderr)
        return refused
    except KeyboardInterrupt:
        print("lrcore: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has left
        _write_what_can_be()
        return 0
    except OSError as error:  # such as a full disk
        _write_what_can_be()
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"lrcore {words[0]}: {where}{error.strerror or error}", file=sys.stderr)
        return refused
    return status


def _write_what_can_be() -> None:
    """Let go what stdout cannot take, or Python would try again at its end, and fail."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lrcore",
        description="Optimizer steps with the same bits everywhere, and what they do on real data.",
    )
    parser.add_argument("--version", action="version", version=f"lrcore {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    for command in COMMANDS:
        command.add(commands)
    return parser
