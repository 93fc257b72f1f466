"""The command ``lrcore``: one module a command, each with ``add`` (its arguments) and ``run``.

What a command needs beyond NumPy is imported when that command runs.
"""

from __future__ import annotations

import argparse
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
    try:
        args = _parser().parse_args(words)
        status: int = args.run(args)
        sys.stdout.flush()
    except SystemExit as exit_:  # --help and --version
        return int(exit_.code or 0)
    except Refusal as refusal:
        print(f"{refusal.command or f'lrcore {args.command}'}: {refusal}", file=sys.stderr)
        return REFUSED_BY.get(words[0] if words else "", REFUSED)
    except KeyboardInterrupt:
        print("lrcore: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


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
