"""``lrcore bench``: the shell around the measuring program."""

from __future__ import annotations

import argparse
from typing import Any

from lrcore.cli._say import print_json, print_table


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "bench",
        help="measure the step against its limit and its rivals",
        description="Time the step beside the memory limit and whichever rivals are installed, "
        "in one run; every rival's result is checked first.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from lrcore import _bench

    report = _bench.run(quick=args.quick)
    rows = report.rows
    if args.json:
        print_json({"rows": rows, "left_out": report.left_out})
    else:
        header = ("case", "n", "dtype", "ours", "rival", "takes", "ratio", "spread", "target")
        print_table(header, [_cells(row) for row in rows], right=(1, 3, 5, 6, 7, 8))
        print("Times are of one step; ratio = rival / ours, so above 1 lrcore is the faster.")
        if report.left_out:
            print(f"Not installed, so left out: {', '.join(report.left_out)}.")
    return 0


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["case"],
        f"{row['n']:,}",
        row["dtype"],
        _time(row["ours_ns"]),
        row["rival"],
        _time(row["rival_ns"]),
        f"{row['ratio']:.2f}",
        f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}",
        "" if row["target"] is None else f"{row['target']:.2f}",
    )


def _time(ns: float) -> str:
    """Three figures and a unit that fits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"
