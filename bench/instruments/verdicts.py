"""How often a diagnosis is right: ``python bench/instruments/verdicts.py FOLDER [-o FILE]``.

FOLDER is what runs.py made. Every run is diagnosed with weights fitted on the other problems, at a
constant rate and under a cosine, with what the steps did, with a part of it, and from the loss
alone; the published rules of others see the same runs. ``--fit`` writes the weights of the library.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import peers
import runs as recordings
import scores
import unseen
from numpy.typing import NDArray
from scores import Case

import lrcore
from lrcore.instruments.diagnosis import rate

TUNED = ("constant", "cosine")
HIGH = ("lr_too_high", "diverged", "spiking", "oscillating")
#: What diagnose is given, by the name of the row.
GIVEN = {
    "everything": ("cos", "gain", "grad_norm", "step_norm", "param_norm"),
    "without gain ratios": ("cos", "grad_norm", "step_norm", "param_norm"),
    "cosines": ("cos",),
    "the loss": (),
}
Array = NDArray[Any]


class Answer(NamedTuple):
    """What was said of one run: forced to one of three, and as a verdict."""

    label: int
    border: bool
    forced: int
    chance: float
    verdict: str

    @property
    def asserted(self) -> int:
        """The class that the verdict asserts; good where it asserts neither side."""
        return 2 if self.verdict in HIGH else 0 if self.verdict == "lr_too_low" else 1


@contextmanager
def weights_without(many: list[Case], problem: str | None) -> Iterator[None]:
    """Fit the weights without a problem, and put those of the library back."""
    kept = dict(rate.BENDS), dict(rate.WEIGHTS)
    rest = [c for c in many if c.problem != problem]
    lines = scores.bends(rest)
    fits = {letters: scores.fitted(rest, letters, lines).tolist() for letters in scores.LETTERS}
    rate.BENDS.update(lines)
    rate.WEIGHTS.update(fits)
    try:
        yield
    finally:
        rate.BENDS.update(kept[0])
        rate.WEIGHTS.update(kept[1])


def ask(run: Array, names: Iterable[str], label: int, border: bool, every: int = 1) -> Answer:
    """Diagnose one recorded run."""
    data = scores.arrays(run, every)
    stats = {name: data[name] for name in names}
    found = lrcore.diagnose(data["losses"], lrs=data["lrs"], stats=stats)
    if found.rate == "unknown":
        forced = 2 if found.verdict in HIGH else 0 if _falls(found) else 1
        return Answer(label, border, forced, 0.0, found.verdict)
    chance = found.rates[found.rate]
    return Answer(label, border, rate.CLASSES.index(found.rate), chance, found.verdict)


def _falls(found: lrcore.Diagnosis) -> bool:
    return any(one.code in ("still_falling", "lr_too_low") for one in found.findings)


def summary(answers: list[Answer], assertions: bool = True) -> dict[str, Any]:
    """The rates of a table's row."""
    label = np.array([a.label for a in answers])
    border = np.array([a.border for a in answers])
    forced = np.array([a.forced for a in answers])
    said = np.array([a.asserted for a in answers])
    good = label == 1
    matrix = [[int(((label == i) & (forced == j)).sum()) for j in range(3)] for i in range(3)]
    out = {
        "runs": len(answers),
        "accuracy": float((forced == label).mean()),
        "accuracy off the borderline": float((forced == label)[~border].mean()),
        "borderline": float(border.mean()),
        "wrong direction": float((abs(forced - label) == 2).mean()),
        "false alarm, forced": float((forced != 1)[good].mean()),
        "matrix": matrix,
    }
    if assertions:
        asserted = said != 1
        out |= {
            "asserted": float(asserted.mean()),
            "precision": float((said == label)[asserted].mean()) if asserted.any() else 1.0,
            "false alarm": float(asserted[good].mean()),
            "false alarm off the borderline": float(asserted[good & ~border].mean()),
            "wrong direction asserted": float((abs(said - label) == 2).mean()),
            "verdicts": {
                name: [sum(a.verdict == name and a.label == i for a in answers) for i in range(3)]
                for name in sorted({a.verdict for a in answers})
            },
        }
        out["calibration"] = calibration(answers)
    return out


def calibration(answers: list[Answer]) -> list[dict[str, float]]:
    """How often the answer was right, by the chance that was given."""
    out = []
    for low, high in ((0.3, 0.5), (0.5, 0.7), (0.7, 0.86), (0.86, 0.95), (0.95, 1.01)):
        some = [a for a in answers if low <= a.chance < high]
        if some:
            said = float(np.mean([a.chance for a in some]))
            right = float(np.mean([a.forced == a.label for a in some]))
            out.append({"said": said, "right": right, "runs": len(some)})
    return out


def of_peers(run: Array, label: int, border: bool) -> dict[str, Answer]:
    """What the others' rules say of one recorded run."""
    loss = scores.arrays(run)["losses"]
    out = {}
    for name in peers.RULES:
        said = rate.CLASSES.index(peers.call(name, loss))
        out[name] = Answer(label, border, said, 0.0, ("lr_too_low", "good", "lr_too_high")[said])
    return out


def collect(folder: Path, many: list[Case], seeds: int, is_unseen: bool) -> dict[str, list[Answer]]:
    """Every answer, by row of the table."""
    rows: dict[str, list[Answer]] = {}
    of = unseen.problems() if is_unseen else None
    todo = [
        (cell, data)
        for shape in (*TUNED, "long")
        for cell, data in recordings.recorded(folder, shape, of=of)
    ]
    for problem in dict.fromkeys(cell.problem for cell, _ in todo):
        with weights_without(many, problem):
            for cell, data in todo:
                if cell.problem != problem:
                    continue
                for key, answer in _of_cell(cell, data, seeds):
                    rows.setdefault(key, []).append(answer)
    return rows


def _of_cell(
    cell: recordings.Cell, data: recordings.Recorded, seeds: int
) -> Iterator[tuple[str, Answer]]:
    label, border = scores.labels(data)
    tuned = cell.kind in recordings.KINDS and cell.shape in TUNED
    for i in range(len(data.rates)):
        for run in data.runs[i, :seeds]:
            at = (int(label[i]), bool(border[i]))
            answer = ask(run, GIVEN["everything"], *at)
            yield f"{cell.shape}, {cell.kind}", answer
            if not tuned:
                continue
            yield "everything", answer
            for name, names in GIVEN.items():
                if name != "everything":
                    yield name, ask(run, names, *at)
            yield "everything, each tenth update", ask(run, GIVEN["everything"], *at, every=10)
            if cell.shape == "constant":
                for name, said in of_peers(run, *at).items():
                    yield f"peer: {name}", said


def report(result: dict[str, Any]) -> str:
    """A table in Markdown, and the confusion matrix of the first row."""
    keys = (
        "accuracy",
        "accuracy off the borderline",
        "wrong direction",
        "asserted",
        "precision",
        "false alarm",
        "false alarm off the borderline",
    )
    lines = [f"| given | runs | {' | '.join(keys)} |", "|---|---:" + "|---:" * len(keys) + "|"]
    for name, row in result.items():
        cells = [f"{100 * row[k]:.1f}" if k in row else "" for k in keys]
        lines.append(f"| {name} | {row['runs']} | {' | '.join(cells)} |")
    first = next(iter(result.values()))
    lines += ["", "| is \\ said | too low | good | too high |", "|---|---:|---:|---:|"]
    for name, row in zip(rate.CLASSES, first["matrix"], strict=True):
        lines.append(f"| {name} | {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="of each cell; up to 3")
    parser.add_argument("--unseen", action="store_true", help="the problems that nothing tuned")
    parser.add_argument("--fit", action="store_true", help="write the library's weights")
    parser.add_argument("-o", type=Path, help="JSON file")
    args = parser.parse_args()
    many = [
        case
        for shape in TUNED
        for case in scores.cases(args.folder, shape)
        if case.kind in recordings.KINDS
    ]
    if args.fit:
        Path(rate.__file__).with_name("weights.py").write_text(scores.module(many))
        return
    rows = collect(args.folder, many, args.seeds, args.unseen)
    first = ["everything", *(name for name in GIVEN if name != "everything")]
    order = [name for name in first if name in rows] + [name for name in rows if name not in first]
    result = {name: summary(rows[name]) for name in order}
    print(report(result))
    if args.o:
        args.o.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
