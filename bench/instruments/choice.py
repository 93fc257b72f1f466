"""Which rate of those within one standard error to use: ``python bench/instruments/choice.py``.

Every problem x optimizer of the validation at its smaller batch size, a half-decade grid and twelve
seeds. The rate is chosen by some seeds, by each of several rules, and judged by the others: how
much worse its score is than that of the rate that is best for these, and how often it diverges.
Runs are kept in FOLDER and not made again.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from problems import Problem, problems
from runs import KINDS

from lrcore.instruments.trials.runs import SweepRun
from lrcore.instruments.trials.sweep import SweepResult, lr_sweep, swept

SEEDS = 12
STEPS = 150
#: Seeds that choose: of each such group of neighbours, the remaining ones judge.
GROUPS = (2, 3, 5)


def trained(problem: Problem, kind: str, size: int, lr: float, seed: int) -> float:
    """One run: loss on the data it is judged by."""
    params = problem.init(seed)
    opt = KINDS[kind].make(params, lr)
    first = problem.judge(params)
    for step in range(STEPS):
        loss, grads = problem.loss_and_grads(params, problem.batch(seed, size, step))
        if not math.isfinite(loss) or loss > 20 * abs(first) + 20:
            return math.inf
        opt.step(grads)
    score = problem.judge(params)
    return score if score < 20 * abs(first) + 20 else math.inf


def cells(folder: Path) -> list[SweepResult]:
    """The sweep of every problem and optimizer, read from `folder` or made."""
    found = []
    for name, problem in problems().items():
        for kind, made in KINDS.items():
            file = folder / f"{name}-{kind}.json".replace(" ", "_")
            grid = tuple(made.rates.tolist())
            if not file.exists():
                with np.errstate(all="ignore"):
                    result = lr_sweep(
                        lambda lr, seed, p=problem, k=kind: trained(p, k, min(p.batches), lr, seed),
                        grid,
                        seeds=range(SEEDS),
                    )
                file.write_text(json.dumps(result.scores.tolist()))
            runs = [
                SweepRun(lr, seed, score, diverged=not math.isfinite(score))
                for lr, row in zip(grid, json.loads(file.read_text()), strict=True)
                for seed, score in enumerate(row)
            ]
            found.append(swept(grid, tuple(range(SEEDS)), runs, False))
    return found


def regret(sweep: SweepResult, judges: list[int], lr: float) -> tuple[float, bool]:
    """How many times the best score of the judging seeds that of `lr` is, and if it diverges."""
    if math.isnan(lr):
        return math.nan, True
    scores = sweep.scores[:, judges]
    own = scores[int(np.flatnonzero(sweep.lrs == lr)[0])]
    best = scores.mean(axis=1).min()
    return float(np.mean(own) / best), bool(np.isinf(own).any())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    sweeps = cells(folder)
    print(f"{len(sweeps)} problems x optimizers\n")
    print(f"{'seeds':>5} {'rule':>9} {'median':>8} {'mean log2':>10} {'> 1.25':>8} {'diverges':>9}")
    for group in GROUPS:
        told: dict[str, list[tuple[float, bool]]] = {}
        for sweep in sweeps:
            for begin in range(0, SEEDS - group + 1, group):
                choosers = list(range(begin, begin + group))
                judges = [seed for seed in range(SEEDS) if seed not in choosers]
                runs = [run for run in sweep.runs if run.seed in choosers]
                part = swept(tuple(sweep.lrs.tolist()), sweep.seeds, runs, False)
                low, high = part.band
                rules = {"best": part.best, "lowest": low, "middle": part.chosen, "highest": high}
                for rule, lr in rules.items():
                    told.setdefault(rule, []).append(regret(sweep, judges, lr))
        for rule, pairs in told.items():
            ratios = np.array([ratio for ratio, _ in pairs])
            finite = ratios[np.isfinite(ratios) & (ratios > 0)]
            print(
                f"{group:>5} {rule:>9} {np.median(ratios):>8.3f} {np.log2(finite).mean():>10.3f} "
                f"{np.mean(~(ratios <= 1.25)):>8.1%} {np.mean([lost for _, lost in pairs]):>9.1%}"
            )


if __name__ == "__main__":
    main()
