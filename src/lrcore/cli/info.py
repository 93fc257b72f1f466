"""``lrcore info``: what is installed, and what it runs on."""

from __future__ import annotations

import argparse
import platform
from typing import Any

import numpy as np

import lrcore
from lrcore.cli._say import print_json, print_table


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "info",
        help="version, instruction sets, threads, how it was compiled",
        description="Say what is installed, how it was compiled, and what it uses here.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the facts."""
    facts = gather()
    if args.json:
        print_json(facts)
    else:
        rows = [(name.replace("_", " "), _shown(value)) for name, value in facts.items()]
        print_table(("", ""), rows)
    return 0


def gather() -> dict[str, Any]:
    """Return the facts by name; instruction sets are in order, the fastest first."""
    from lrcore._core import build_info

    return {
        "lrcore": lrcore.__version__,
        "numpy": np.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "instruction_sets": list(lrcore.isas()),
        "instruction_set_in_use": lrcore.get_isa(),
        "threads": lrcore.get_num_threads(),
        **{name: value for name, value in build_info().items() if name != "version"},
    }


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
