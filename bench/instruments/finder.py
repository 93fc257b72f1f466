"""How far the finder is from the best rate: ``python bench/instruments/finder.py RUNS KEPT``.

RUNS is the folder of `runs.py`; what the finder said of each cell is kept in KEPT (JSON), so that a
second call prints the tables alone. ``--unseen``: on problems on which nothing was tuned.
``--fit``: the constants of `lrcore.instruments.finder.judge`, estimated anew.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import range_rules
import runs
from numpy.typing import NDArray
from problems import Batch, Params, Problem, problems
from runs import Cell
from unseen import problems as unseen

import lrcore
from lrcore.instruments.finder import family
from lrcore.instruments.finder.loop import Loop

Floats = NDArray[np.float64]
Rows = list[dict[str, Any]]

STEPS = 100
ANY_RATE = 1e-3  # the finder does not look at it


# -------------------------------------------------------------------------------- the finder


def find(
    problem: Problem, kind: str, params: Params, batches: Callable[[], Iterator[Batch]]
) -> dict[str, Any]:
    """What `lr_find`, `LRFinder` and the rules of others say of a model."""
    opt = runs.optimizer(kind, params, ANY_RATE)

    def both(batch: Batch) -> tuple[float, Params]:
        return problem.loss_and_grads(params, batch)

    def forward(batch: Batch) -> float:
        return problem.loss_only(params, batch)

    found = lrcore.lr_find(opt, both, batches, steps=STEPS, loss_only=forward)
    out: dict[str, Any] = {
        "suggestions": {f"lr_find {k}": v for k, v in found.suggestions.items()},
        "interval": found.interval,
        "reliable": found.reliable,
        "reasons": found.reasons,
        "passes": found.passes,
        "family": family.of(opt),
    }
    (first,) = found.rounds
    (x, y), (level, spread) = first.bowl, first.level
    out |= {"marks": first.marks, "short": first.best, "horizon": found.horizon}
    out |= {
        "bowl": [x, y],
        "level": level,
        "spread": spread,
        "sides": first.sides if len(x) else [],
    }
    lrs, told = walk(opt, both, forward, batches)
    for name, measured in (("gains", True), ("losses", False)):
        by_hand = by_finder(kind, lrs, told, measured)
        out[f"marks {name}"] = by_hand.rounds[0].marks
        out["suggestions"][f"LRFinder {name}"] = by_hand.suggested
        out[f"interval {name}"], out[f"reliable {name}"] = by_hand.interval, by_hand.reliable
    x = np.log10(lrs[: len(told)])
    for name, rule in range_rules.RULES.items():
        out["suggestions"][name] = 10.0 ** rule(x, told[:, 0])
    return plain(out)


def walk(
    opt: lrcore.Optimizer, both: Any, forward: Any, batches: Any
) -> tuple[Floats, NDArray[np.float64]]:
    """A range test to its end or to NaN: the rates, and loss, loss after and slope of each."""
    loop = Loop("finder", opt, both, batches, forward, 1)
    lrs, rows = np.geomspace(1e-7, 10.0, STEPS), []
    for lr in lrs:
        rows.append(tuple(loop.update(float(lr), measured=True)))
        if not math.isfinite(rows[-1][0]):
            break
    return lrs, np.array(rows)


def by_finder(kind: str, lrs: Floats, told: Floats, measured: bool) -> lrcore.LRFindResult:
    """What `LRFinder` says of that test."""
    finder = lrcore.LRFinder(steps=STEPS, rule=runs.optimizer(kind, {"w": np.zeros(2)}, ANY_RATE))
    for loss, after, slope in told:
        if finder.done:
            break
        finder.ask()
        finder.tell(loss, **({"loss_after": after, "slope": slope} if measured else {}))
    return finder.result()


def plain(x: Any) -> Any:
    """Plain data; None for what is not finite."""
    if isinstance(x, dict):
        return {str(k): plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, np.ndarray)):
        return [plain(v) for v in x]
    if isinstance(x, (bool, np.bool_, str)):
        return x if isinstance(x, str) else bool(x)
    return (int(x) if isinstance(x, int) else float(x)) if math.isfinite(x) else None


# ------------------------------------------------------------------------------- good models


def good(cell: Cell, seed: int, problem: Problem) -> dict[str, Any]:
    """A model as it starts."""
    params = problem.init(seed)
    return find(
        problem, cell.kind, params, lambda: (problem.batch(seed, cell.size, t) for t in count())
    )


def all_good(folder: Path, kept: Path, of: dict[str, Problem]) -> Rows:
    """Every cell with recorded runs, and every seed, one file a cell."""
    out: Rows = []
    for cell in runs.cells(("constant",), of=of):
        if not (folder / cell.file).exists():
            continue
        file = kept / f"{cell.file}.json"
        if not file.exists():
            made = [good(cell, seed, of[cell.problem]) for seed in runs.SEEDS]
            file.write_text(json.dumps(made))
        recorded = runs.load(folder, cell)
        low, high = recorded.band()
        what = {"problem": cell.problem, "kind": cell.kind, "size": cell.size}
        truth = {"best": math.log10(recorded.best), "band": [math.log10(low), math.log10(high)]}
        out += [{**what, **truth, **row} for row in json.loads(file.read_text())]
    return out


# -------------------------------------------------------------------------------- bad models


def bad(problem: Problem, kind: str, size: int, rate: float) -> Iterator[tuple[str, Any]]:
    """Models of which nothing is to be learned, by what is wrong with them."""

    def batches(of: Problem, first: int = 0) -> Callable[[], Iterator[Batch]]:
        return lambda: (of.batch(0, size, t) for t in count(first))

    params, steps = problem.init(0), 4 * problem.steps
    opt = runs.optimizer(kind, params, rate)
    for t in range(steps):
        if t == 3 * problem.steps:
            opt.param_groups[0][opt.rate_name] = rate / 10
        opt.step(problem.loss_and_grads(params, problem.batch(0, size, t))[1])
    yield "trained", find(problem, kind, params, batches(problem, steps))
    drawn = replace(problem, y=meaningless(problem))
    yield "labels drawn", find(drawn, kind, problem.init(0), batches(drawn))
    still = Still(problem)
    yield "frozen", find(still, kind, problem.init(0), batches(problem))
    noise = Noise(problem)
    yield "noise", find(noise, kind, problem.init(0), batches(problem))


def meaningless(problem: Problem) -> NDArray[Any]:
    """Labels of the same kind, drawn at random."""
    rng, y = np.random.default_rng(3), problem.y
    if y.dtype.kind != "f":
        return rng.integers(0, y.max() + 1, y.shape)
    if set(np.unique(y)) <= {-1, 0, 1}:
        return rng.choice(np.unique(y), y.shape)
    return rng.standard_normal(y.shape).astype(y.dtype)


class Still:
    """A problem whose parameters have no influence."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._first = problem, problem.init(0)

    def loss_only(self, params: Params, batch: Batch) -> float:
        """The loss of the parameters at the start."""
        return self._problem.loss_only(self._first, batch)

    def loss_and_grads(self, params: Params, batch: Batch) -> tuple[float, Params]:
        """The same, and zeros."""
        return self.loss_only(params, batch), {k: np.zeros_like(p) for k, p in params.items()}


class Noise:
    """A problem whose losses and gradients are drawn at random."""

    def __init__(self, problem: Problem) -> None:
        self._rng = np.random.default_rng(6)

    def loss_only(self, params: Params, batch: Batch) -> float:
        """About 2."""
        return float(2 + 0.5 * self._rng.standard_normal())

    def loss_and_grads(self, params: Params, batch: Batch) -> tuple[float, Params]:
        """The same, and noise."""
        grads = {k: self._rng.standard_normal(p.shape).astype(p.dtype) for k, p in params.items()}
        return self.loss_only(params, batch), grads


def all_bad(folder: Path, kept: Path, of: dict[str, Problem]) -> Rows:
    """Bad models of every problem, optimizer and batch size."""
    out: Rows = []
    for cell in runs.cells(("constant",), others=False, of=of):
        if not (folder / cell.file).exists():
            continue
        file = kept / f"{cell.file}.bad.json"
        if not file.exists():
            best = runs.load(folder, cell).best
            made = [{"why": k, **v} for k, v in bad(of[cell.problem], cell.kind, cell.size, best)]
            file.write_text(json.dumps(made))
        what = {"problem": cell.problem, "kind": cell.kind, "size": cell.size}
        out += [{**what, **row} for row in json.loads(file.read_text())]
    return out


# ------------------------------------------------------------------------------------ tables


def distances(rows: Rows, name: str) -> Floats:
    """Decades from the best rate; NaN where nothing was suggested."""
    said = [row["suggestions"].get(name) for row in rows]
    return np.array(
        [math.log10(x) - row["best"] if x else math.nan for x, row in zip(said, rows, strict=True)]
    )


def print_distances(rows: Rows) -> None:
    """By method: how far from the best rate, how often within a decade, in which direction."""
    print(f"{len(rows)} finder runs; distance to the best constant rate in decades")
    print(f"{'method':24s} median   90 %  within 1   too low  too high  no answer")
    for name in rows[0]["suggestions"]:
        d = distances(rows, name)
        size, none = np.where(np.isnan(d), np.inf, abs(d)), np.isnan(d).mean()
        print(
            f"{name:24s} {np.median(size):6.2f} {np.quantile(size, 0.9, method='lower'):6.2f} "
            f"{100 * (size <= 1).mean():7.1f} % {100 * (d < -1).mean():7.1f} % "
            f"{100 * (d > 1).mean():7.1f} % {100 * none:7.1f} %"
        )


def print_by(rows: Rows, key: str, name: str = "lr_find gain") -> None:
    """The same of one method, by problem or optimizer."""
    print(f"\n{name}, by {key}: median distance, direction, within a decade, reliable")
    for value in dict.fromkeys(row[key] for row in rows):
        part = [row for row in rows if row[key] == value]
        d = distances(part, name)
        size = np.where(np.isnan(d), np.inf, abs(d))
        print(
            f"{value:20s} {np.median(size):5.2f} {np.nanmedian(d):+6.2f} "
            f"{100 * (size <= 1).mean():6.1f} % {100 * share(part, 'reliable'):6.1f} %"
        )


def share(rows: Rows, key: str) -> float:
    """How often something is True."""
    return float(np.mean([row[key] for row in rows]))


def print_intervals(rows: Rows) -> None:
    """How often the 5 % band and the best rate are inside, and how wide intervals are."""
    print("\ninterval: covers the 5 % band, covers the best rate, median width in decades")
    for name in ("interval", "interval gains", "interval losses"):
        told = [row for row in rows if row[name][0] is not None]
        ends = np.log10([row[name] for row in told])
        band, best = np.array([r["band"] for r in told]), np.array([r["best"] for r in told])
        whole = (ends[:, 0] <= band[:, 0]) & (band[:, 1] <= ends[:, 1])
        inside = (ends[:, 0] <= best) & (best <= ends[:, 1])
        print(
            f"{name:20s} {100 * whole.mean():5.1f} % {100 * inside.mean():5.1f} % "
            f"{np.median(np.diff(ends)):5.2f}"
        )


def print_trust(rows: Rows, wrong: Rows) -> None:
    """`reliable` on good and bad models."""
    print(f"\nreliable on good models: {100 * share(rows, 'reliable'):.1f} % of {len(rows)}")
    for why in dict.fromkeys(row["why"] for row in wrong):
        part = [row for row in wrong if row["why"] == why]
        told = ", ".join(
            f"{name or 'lr_find'} {100 * (1 - share(part, f'reliable{name}')):.1f} %"
            for name in ("", " gains", " losses")
        )
        print(f"not reliable, {why}: {told} of {len(part)}")


# --------------------------------------------------------------------------------------- fit


def robust(x: Floats, y: Floats) -> Floats:
    """A linear fit in which residuals above 0.2 count by their size alone."""
    weight = np.ones(len(y))
    for _ in range(30):
        coef: Floats = np.linalg.lstsq(x * weight[:, None], y * weight, rcond=None)[0]
        weight = np.sqrt(1 / np.maximum(abs(y - x @ coef), 0.2))
    return coef


def print_fit(rows: Rows) -> None:
    """The constants of `finder.judge`, and how far off they are on problems left out."""
    rows = [row for row in rows if row["short"] is not None]
    best, short = (np.array([row[k] for row in rows]) for k in ("best", "short"))
    kinds = np.array([[1.0, *row["family"]] for row in rows])
    marks, gains, losses = (
        np.array([row[k] for row in rows], float) for k in ("marks", "marks gains", "marks losses")
    )
    by_problem = np.array([row["problem"] for row in rows])
    by_kind = np.array([row["kind"] for row in rows])
    for name, x, y in (
        ("CENTRE", np.hstack([kinds, marks[:, :3]]), short),
        ("CENTRE_BY_LOSS", np.hstack([kinds, marks[:, 1:]]), short),
        ("FURTHER", kinds, best - short),
        ("ALONE", np.hstack([kinds, gains[:, :3]]), best),
        ("ALONE_BY_LOSS", np.hstack([kinds, losses[:, 1:]]), best),
    ):
        off = []
        for groups in (by_problem, by_kind):
            left = np.empty(len(y))
            for group in np.unique(groups):
                out = groups == group
                left[out] = x[out] @ robust(x[~out], y[~out]) - y[out]
            off.append(f"{np.median(abs(left)):.2f}, {100 * (abs(left) <= 1).mean():.1f} %")
        coef = ", ".join(f"{v:.2f}" for v in robust(x, y))
        print(f"{name} = ({coef}); problem left out: {off[0]}; optimizer left out: {off[1]}")


def main() -> None:
    """Find, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    args.kept.mkdir(parents=True, exist_ok=True)
    lrcore.set_num_threads(1)
    of = unseen() if args.unseen else problems()
    with np.errstate(all="ignore"):
        rows, wrong = all_good(args.runs, args.kept, of), all_bad(args.runs, args.kept, of)
    print_distances(rows)
    print_by(rows, "problem")
    print_by(rows, "kind")
    print_intervals(rows)
    print_trust(rows, wrong)
    if args.fit:
        print_fit(rows)


if __name__ == "__main__":
    main()
