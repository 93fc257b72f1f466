"""The table of docs/performance.md: lrcore bench --json | python bench/table.py."""

import json
import sys


def size(n: int) -> str:
    """Elements, in words."""
    for unit, word in ((1_000_000, "M"), (1000, "k")):
        if n >= unit:
            return f"{n / unit:g} {word}"
    return str(n)


def duration(ns: float) -> str:
    """Three figures and a unit."""
    for unit, word in ((1e6, "ms"), (1e3, "us")):
        if ns >= unit:
            return f"{ns / unit:.3g} {word}"
    return f"{ns:.3g} ns"


def main() -> None:
    """Print a row a comparison."""
    report = json.load(sys.stdin)
    print("| case | elements | lrcore | rival | takes | ratio (quartiles) | aim |")
    print("|---|---|---|---|---|---|---|")
    for r in report["rows"]:
        spread = f"{r['ratio']:.2f} ({r['ratio_low']:.2f}-{r['ratio_high']:.2f})"
        aim = "" if r["target"] is None else f"{r['target']:g}"
        cells = (r["case"], size(r["n"]), duration(r["ours_ns"]), r["rival"])
        print("|", " | ".join((*cells, duration(r["rival_ns"]), spread, aim)), "|")
    for name in report["left_out"]:
        print(f"\nNot installed, so left out: {name}.")


if __name__ == "__main__":
    main()
