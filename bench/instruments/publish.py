"""Measure the instruments, and fill the tables of docs/instruments.md with what came out.

``python bench/instruments/publish.py RUNS KEPT``: RUNS is the folder of `runs.py`, with and without
``--unseen``; what takes long is kept in KEPT, and not made again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import finder
import numpy as np
import runs
import scores
import synthetic
import verdicts
from problems import problems
from unseen import problems as unseen

import lrcore
from lrcore.instruments.diagnosis import rate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "instruments.md"
MARKED = re.compile(r"(<!-- runs: (\w+) -->\n?).*?(<!-- end of runs -->)", re.DOTALL)
CURVES = 3000
#: Columns of the table of verdicts.
MEASURED = {
    "accuracy": "right",
    "accuracy off the borderline": "right, off the borderline",
    "wrong direction": "wrong direction",
    "asserted": "verdict asserts a side",
    "precision": "and is right",
    "false alarm": "good run flagged",
}


class Found(NamedTuple):
    """Everything that was measured."""

    verdicts: dict[str, Any]
    unseen_verdicts: dict[str, Any]
    synthetic: dict[str, Any]
    good: finder.Rows
    bad: finder.Rows
    unseen_good: finder.Rows
    unseen_bad: finder.Rows


def measure(folder: Path, kept: Path) -> Found:
    """Make what is not kept."""
    kept.mkdir(parents=True, exist_ok=True)
    lrcore.set_num_threads(1)

    def once(name: str, make: Callable[[], Any]) -> Any:
        file = kept / f"{name}.json"
        if not file.exists():
            file.write_text(json.dumps(make(), indent=1))
        return json.loads(file.read_text())

    def judged(is_unseen: bool) -> dict[str, Any]:
        many = [
            case
            for shape in verdicts.TUNED
            for case in scores.cases(folder, shape)
            if case.kind in runs.KINDS
        ]
        rows = verdicts.collect(folder, many, 1, is_unseen)
        return {name: verdicts.summary(answers) for name, answers in rows.items()}

    with np.errstate(all="ignore"):
        return Found(
            once("verdicts", lambda: judged(False)),
            once("unseen-verdicts", lambda: judged(True)),
            once("synthetic", lambda: synthetic.measure(CURVES)),
            finder.all_good(folder, kept, problems()),
            finder.all_bad(folder, kept, problems()),
            finder.all_good(folder, kept, unseen()),
            finder.all_bad(folder, kept, unseen()),
        )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, figures to the right."""
    lines = [header, ("---", *("---:" for _ in header[1:])), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def percent(x: float) -> str:
    """One decimal."""
    return f"{100 * x:.1f}"


def what(found: Found) -> str:
    """How many, when, with what."""
    count = found.verdicts["everything"]["runs"]
    finds = len(found.good) + len(found.unseen_good)
    return (
        f"{count:,} diagnosed runs, {finds} finder runs, "
        f"{datetime.date.today():%-d %B %Y}, lrcore {lrcore.__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}."
    )


def verdict_table(found: Found) -> str:
    """What is given, by row."""
    rows = []
    for title, part in (("", found.verdicts), ("unseen problems: ", found.unseen_verdicts)):
        names = [name for name in part if name in verdicts.GIVEN or "tenth" in name]
        rows += [(f"{title}{name}", part[name]) for name in names]
    rows += [(k.replace("peer: ", ""), v) for k, v in found.verdicts.items() if "peer" in k]
    return table(("given", "runs", *MEASURED.values()), map(_row, rows)) + matrix(found)


def _row(named: tuple[str, dict[str, Any]]) -> tuple[str, ...]:
    """A line; from the loss alone no answer is forced."""
    name, row = named
    forced = () if name.endswith("the loss") else ("accuracy", "accuracy off the borderline")
    cells = (
        "-" if "accuracy" in key and key not in forced else percent(row[key]) for key in MEASURED
    )
    return (name, f"{row['runs']:,}", *cells)


def matrix(found: Found) -> str:
    """Right and wrong of the first row, in counts."""
    counts = found.verdicts["everything"]["matrix"]
    names = [name.replace("_", " ") for name in rate.CLASSES]
    rows = [(name, *map(str, row)) for name, row in zip(names, counts, strict=True)]
    return "\nWith everything, rows being the truth and columns the answer:\n\n" + table(
        ("", *names), rows
    )


def calibration(found: Found) -> str:
    """Chances and what became of them."""
    rows = found.verdicts["everything"]["calibration"]
    cells = [(percent(r["said"]), percent(r["right"]), str(r["runs"])) for r in rows]
    return table(("chance given", "right", "runs"), cells)


def curves(found: Found) -> str:
    """Healthy and planted."""
    healthy = found.synthetic["healthy"]
    rows = [
        (f"healthy: {name}", percent(sum(shares.get(k, 0) for k in synthetic.ALARMS)))
        for name, shares in healthy.items()
    ]
    rows += [
        (f"planted: {name}", percent(one["shares"].get(one["verdict"], 0)))
        for name, one in found.synthetic["planted"].items()
    ]
    return table((f"{CURVES:,} curves of each", "flagged, found (%)"), rows)


def distances(found: Found) -> str:
    """By method, for both sets of problems."""
    rows = []
    for name in found.good[0]["suggestions"]:
        cells = [name]
        for part in (found.good, found.unseen_good):
            size = abs(finder.distances(part, name))
            size[np.isnan(size)] = np.inf
            cells += [f"{np.median(size):.2f}", percent((size <= 1).mean())]
        rows.append(cells)
    header = ("method", "median", "within a decade", "unseen: median", "unseen: within a decade")
    return table(header, rows) + intervals(found)


def intervals(found: Found) -> str:
    """Coverage and width."""
    out = []
    for title, part in (("tuned on", found.good), ("unseen", found.unseen_good)):
        told = [row for row in part if row["interval"][0] is not None]
        ends = np.log10([row["interval"] for row in told])
        band, best = np.array([r["band"] for r in told]), np.array([r["best"] for r in told])
        whole = (ends[:, 0] <= band[:, 0]) & (band[:, 1] <= ends[:, 1])
        inside = (ends[:, 0] <= best) & (best <= ends[:, 1])
        width = float(np.median(ends[:, 1] - ends[:, 0]))
        out.append((title, percent(whole.mean()), percent(inside.mean()), f"{width:.1f}"))
    header = ("interval", "has all rates within 5 %", "has the best", "decades wide")
    return "\n" + table(header, out)


def reliable(found: Found) -> str:
    """Good models and bad ones."""
    both = ((found.good, found.bad), (found.unseen_good, found.unseen_bad))
    rows = [
        ["good models: reliable", *(percent(finder.share(good, "reliable")) for good, _ in both)]
    ]
    for why in dict.fromkeys(row["why"] for row in found.bad):
        cells = [[row for row in bad if row["why"] == why] for _, bad in both]
        rows.append(
            [f"{why}: not reliable", *(percent(1 - finder.share(c, "reliable")) for c in cells)]
        )
    rows.append(
        [
            "all bad models: not reliable",
            *(percent(1 - finder.share(b, "reliable")) for _, b in both),
        ]
    )
    return table(("", "tuned on", "unseen"), rows)


TABLES: dict[str, Callable[[Found], str]] = {
    "what": what,
    "verdicts": verdict_table,
    "calibration": calibration,
    "synthetic": curves,
    "finder": distances,
    "reliable": reliable,
    "problems": lambda _: ", ".join(problems()) + ".",
    "unseen": lambda _: ", ".join(unseen()) + ".",
}


def main() -> None:
    """Measure, then write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("kept", type=Path)
    args = parser.parse_args()
    found = measure(args.runs, args.kept)
    written = {name: make(found) for name, make in TABLES.items()}
    text = PAGE.read_text()
    PAGE.write_text(MARKED.sub(lambda m: f"{m[1]}{written[m[2]]}{m[3]}", text))


if __name__ == "__main__":
    main()
