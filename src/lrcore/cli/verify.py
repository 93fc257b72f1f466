"""``lrcore verify``: the C kernels against the NumPy reference, on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from lrcore.cli._say import print_json, print_table


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "verify",
        help="compare every kernel with the reference, bit for bit, on this machine",
        description="Compare every rule, dtype and instruction set with the NumPy reference; "
        "exit status 1 on any difference.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer sizes and thread counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare, print, and answer 1 if any bit differs."""
    from lrcore import _verify

    results = _verify.run(quick=args.quick)
    faults = [result for result in results if not result["ok"]]
    if args.json:
        print_json({"ok": not faults, "compared": len(results), "results": results})
    else:
        _print_results(results, faults)
    return 1 if faults else 0


def _print_results(results: list[dict[str, Any]], faults: list[dict[str, Any]]) -> None:
    """One row a rule and dtype, one column an instruction set."""
    isas = list(dict.fromkeys(result["isa"] for result in results))
    cells: dict[tuple[str, str], dict[str, list[bool]]] = {}
    for result in results:
        row = cells.setdefault((result["rule"], result["dtype"]), {isa: [] for isa in isas})
        row[result["isa"]].append(result["ok"])
    rows = [
        (rule, dtype, *(_cell(row[isa]) for isa in isas)) for (rule, dtype), row in cells.items()
    ]
    print_table(("rule", "dtype", *isas), rows)
    for fault in faults[:10]:
        print(
            f"{fault['rule']} {fault['dtype']} {fault['isa']}, {fault['threads']} threads, "
            f"n = {fault['n']}: {fault['detail']}"
        )
    if faults:
        print(f"{len(faults)} of {len(results)} comparisons differ from the reference")
    else:
        print(f"all {len(results)} comparisons agree with the reference in every bit")


def _cell(outcomes: list[bool]) -> str:
    if not outcomes:
        return "-"
    wrong = outcomes.count(False)
    return f"{wrong} of {len(outcomes)} DIFFER" if wrong else f"same bits ({len(outcomes)})"
