"""``lrcore verify``: the C kernels against the NumPy reference, on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from lrcore.cli._say import print_json, print_table, progress_bar


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "verify",
        help="compare every kernel with the reference, bit for bit, on this machine",
        description="Compare every rule, dtype and instruction set with the NumPy reference, and "
        "drawn combinations of storage formats and options; "
        "exit status 1 on any difference.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer cases and thread counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare, print, and answer 1 if any bit differs."""
    from lrcore import _verify

    with progress_bar("comparing") as show:
        results = _verify.run(show, args.quick)
    faults = [result for result in results if not result["ok"]]
    left_out = [] if _verify.has_bfloat16() else ["bfloat16"]
    if args.json:
        print_json({"ok": not faults, "left_out": left_out, "results": results})
    else:
        _print_results(results, faults)
        for name in left_out:
            print(f"{name} was left out, since ml_dtypes is not installed")
    return 1 if faults else 0


def _print_results(results: list[dict[str, Any]], faults: list[dict[str, Any]]) -> None:
    """One row a rule and dtype, one column an instruction set."""
    isas = list(dict.fromkeys(result["isa"] for result in results))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for result in results:
        row = cells.setdefault((result["rule"], result["dtype"]), dict.fromkeys(isas, "-"))
        if not result["ok"]:
            row[result["isa"]] = "DIFFERENT"
        elif row[result["isa"]] == "-":
            row[result["isa"]] = "same bits"
    rows = [(rule, dtype, *(row[isa] for isa in isas)) for (rule, dtype), row in cells.items()]
    print_table(("rule", "dtype", *isas), rows)
    print()
    for fault in faults:
        threads = f"{fault['threads']} thread{'s' * (fault['threads'] > 1)}"
        print(f"{fault['isa']}, {threads}: {fault['detail']}")
    compared = sum(result["n"] for result in results)
    threads = ", ".join(str(n) for n in sorted({result["threads"] for result in results}))
    print(
        f"{len(faults)} of {len(results)} comparisons with the reference found a difference"
        if faults
        else f"all {compared:,} numbers are the reference's, bit for bit, with {threads} threads"
    )
