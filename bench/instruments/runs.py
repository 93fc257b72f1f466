"""Real runs, recorded update by update: ``python bench/instruments/runs.py FOLDER [--jobs N]``.

Every problem x optimizer x batch size x rate of a half-decade grid x seed, at a constant rate,
under a cosine with warm-up, and at a constant rate for four times as long; with ``--unseen`` on the
problems on which nothing was tuned. One file a cell (.npz); what FOLDER holds is not made again.
Everything that is validated reads these files, so that thresholds may be tried without training.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from problems import Problem, problems
from unseen import problems as unseen

import lrcore
from lrcore import schedules

#: What is recorded of every update; `after` is the loss of the same batch after it, `slope` the
#: product of gradient and step.
FIELDS = ("loss", "after", "slope", "cos", "grad_norm", "step_norm", "param_norm", "lr")
SEEDS = (0, 1, 2)
DIVERGED = 20.0
#: Share of the first loss that counts as solved.
SOLVED = 0.01
#: How far above the best score a good rate may be, and where that may be disputed.
GOOD, BORDER = 1.25, (1.1, 1.5)
#: How many times the usual number of updates a shape of run has.
LENGTHS = {"constant": 1, "cosine": 1, "long": 4}


class Kind(NamedTuple):
    """An optimizer of the validation, and the powers of ten its rates lie between."""

    make: Any
    low: float
    high: float

    @property
    def rates(self) -> NDArray[np.float64]:
        """Half a decade apart."""
        return 10.0 ** np.arange(self.low, self.high + 0.01, 0.5)


KINDS = {
    "SGD": Kind(lambda p, lr: lrcore.SGD(p, lr=lr), -3.5, 2),
    "momentum": Kind(lambda p, lr: lrcore.SGD(p, lr=lr, momentum=0.9), -4.5, 1),
    "Adam": Kind(lambda p, lr: lrcore.Adam(p, lr=lr), -5, 0.5),
    "RMSprop": Kind(lambda p, lr: lrcore.RMSprop(p, lr=lr), -5, 0.5),
}
#: Not used to tune anything: these show whether what was tuned holds for others.
OTHERS = {
    "AdamW": Kind(lambda p, lr: lrcore.AdamW(p, lr=lr, weight_decay=0.01), -5, 0.5),
    "Nesterov": Kind(lambda p, lr: lrcore.SGD(p, lr=lr, momentum=0.9, nesterov=True), -4.5, 1),
    "Adagrad": Kind(lambda p, lr: lrcore.Adagrad(p, lr=lr), -4, 1.5),
    "Lion": Kind(lambda p, lr: lrcore.Lion(p, lr=lr), -6, -0.5),
    "NAdam": Kind(lambda p, lr: lrcore.NAdam(p, lr=lr), -5, 0.5),
}


class Cell(NamedTuple):
    """All rates and seeds of one problem, optimizer, batch size and shape of the rate."""

    problem: str
    kind: str
    size: int
    shape: str = "constant"

    @property
    def file(self) -> str:
        """The name it is kept under."""
        return f"{self.problem}-{self.kind}-{self.size}-{self.shape}.npz".replace(" ", "_")


class Recorded(NamedTuple):
    """What a file holds: `runs` is (rates, seeds, updates, FIELDS), NaN after a divergence."""

    rates: NDArray[np.float64]
    runs: NDArray[np.float32]
    first: NDArray[np.float64]  # loss over the training data before, by seed
    final: NDArray[np.float64]  # and after, (rates, seeds); inf where it diverged

    @property
    def scores(self) -> NDArray[np.float64]:
        """The final loss by rate: geometric mean over the seeds, at most that of the start.

        A hundredth of the loss at the start is added, or runs that fit the data to the last digit
        would differ from those that fit them to the sixth.
        """
        capped = np.minimum(np.nan_to_num(self.final, nan=np.inf), self.first)
        return np.exp(np.log(capped + SOLVED * self.first).mean(axis=1))

    def band(self, share: float = 0.05) -> tuple[float, float]:
        """The rates whose score is at most so much above the lowest, interpolated."""
        y, x = np.log(self.scores), np.log(self.rates)
        i, line = int(np.argmin(y)), y.min() + math.log1p(share)
        low = high = i
        while low > 0 and y[low - 1] <= line:
            low -= 1
        while high < len(y) - 1 and y[high + 1] <= line:
            high += 1
        edges = [x[low], x[high]]
        for side, (at, out) in enumerate(((low, low - 1), (high, high + 1))):
            if 0 <= out < len(y):
                edges[side] += (x[out] - x[at]) * (line - y[at]) / (y[out] - y[at])
        return math.exp(edges[0]), math.exp(edges[1])

    @property
    def labels(self) -> list[str]:
        """What each rate is: good within a quarter of the best score, else too low or too high."""
        y, i = self.scores, int(np.argmin(self.scores))
        side = ["too_low" if k < i else "too_high" for k in range(len(y))]
        return ["good" if y[k] <= GOOD * y[i] else side[k] for k in range(len(y))]

    @property
    def borderline(self) -> NDArray[np.bool_]:
        """Which rates another seed might label otherwise."""
        share = self.scores / self.scores.min()
        return (share > BORDER[0]) & (share < BORDER[1])

    @property
    def best(self) -> float:
        """The rate with the lowest final loss, between the points of the grid by a parabola."""
        y, i = np.log(self.scores), int(np.argmin(self.scores))
        if not 0 < i < len(y) - 1:
            return float(self.rates[i])
        bend = y[i - 1] - 2 * y[i] + y[i + 1]
        shift = 0.5 * (y[i - 1] - y[i + 1]) / bend if bend > 0 else 0.0
        return float(self.rates[i] * 10 ** (0.5 * float(np.clip(shift, -0.5, 0.5))))


def optimizer(kind: str, params: dict[str, Any], lr: Any) -> lrcore.Optimizer:
    """Make the optimizer of that name."""
    return (KINDS | OTHERS)[kind].make(params, lr)


def record(problem: Problem, cell: Cell, lr: float, seed: int) -> tuple[NDArray[np.float32], float]:
    """Train once; return what was recorded, and the loss over the training data in the end."""
    params = problem.init(seed)
    steps = problem.steps * LENGTHS[cell.shape]
    rate: Any = lr
    if cell.shape == "cosine":
        rate = schedules.Cosine(lr, steps=steps, warmup=steps // 20)
    opt = optimizer(cell.kind, params, rate)
    rows = np.full((steps, len(FIELDS)), np.nan, np.float32)
    first, previous = problem.judge(params), None
    for t in range(steps):
        batch = problem.batch(seed, cell.size, t)
        loss, grads = problem.loss_and_grads(params, batch)
        g = np.concatenate([x.ravel() for x in grads.values()]).astype(np.float64)
        if not (math.isfinite(loss) and np.isfinite(g).all()):
            rows[t, 0] = loss
            return rows, math.inf
        before = np.concatenate([x.ravel() for x in params.values()]).astype(np.float64)
        now = opt.lr
        opt.step(grads)
        after = np.concatenate([x.ravel() for x in params.values()]).astype(np.float64)
        step = after - before
        size, slope = float(np.linalg.norm(g)), float(g @ step)
        cos = math.nan
        if previous is not None and size > 0 and (length := float(np.linalg.norm(previous))) > 0:
            cos = float(g @ previous) / (size * length)
        with np.errstate(all="ignore"):
            rows[t] = (
                loss,
                problem.loss_only(params, batch),
                slope,
                cos,
                size,
                float(np.linalg.norm(step)),
                float(np.linalg.norm(after)),
                now,
            )
        previous = step
    final = problem.judge(params)
    return rows, final if final < DIVERGED * max(first, 1e-3) else math.inf


def make(cell: Cell, folder: Path, seeds: tuple[int, ...] = SEEDS) -> Cell:
    """Make the runs of a cell and keep them."""
    problem = (problems() | unseen())[cell.problem]
    rates = (KINDS | OTHERS)[cell.kind].rates
    shape = (len(rates), len(seeds), problem.steps * LENGTHS[cell.shape], len(FIELDS))
    runs = np.full(shape, np.nan, np.float32)
    final = np.empty((len(rates), len(seeds)))
    with np.errstate(all="ignore"):
        for i, lr in enumerate(rates):
            for k, seed in enumerate(seeds):
                runs[i, k], final[i, k] = record(problem, cell, float(lr), seed)
    first = np.array([problem.judge(problem.init(seed)) for seed in seeds])
    part = folder / f"{cell.file}.part"
    with part.open("wb") as file:
        np.savez(file, rates=rates, runs=runs, first=first, final=final)
    part.rename(folder / cell.file)
    return cell


def cells(
    shapes: Iterable[str] = LENGTHS, *, others: bool = True, of: Mapping[str, Problem] | None = None
) -> list[Cell]:
    """All cells of these problems, those at a constant rate first."""
    kinds = [*KINDS, *(OTHERS if others else ())]
    return [
        Cell(name, kind, size, shape)
        for shape in shapes
        for kind in kinds
        for name, problem in (problems() if of is None else of).items()
        for size in problem.batches
        if (kind in KINDS and shape != "long") or size == problem.batches[0]
    ]


def load(folder: Path, cell: Cell) -> Recorded:
    """Read a cell."""
    with np.load(folder / cell.file) as kept:
        return Recorded(kept["rates"], kept["runs"], kept["first"], kept["final"])


def recorded(
    folder: Path, shape: str = "constant", of: Mapping[str, Problem] | None = None
) -> Iterator[tuple[Cell, Recorded]]:
    """Every cell of that shape that is there."""
    for cell in cells((shape,), of=of):
        if (folder / cell.file).exists():
            yield cell, load(folder, cell)


def _one_thread() -> None:
    import threadpoolctl

    threadpoolctl.threadpool_limits(1, user_api="blas")
    lrcore.set_num_threads(1)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--unseen", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    wanted = cells(of=unseen() if args.unseen else None)
    missing = [cell for cell in wanted if not (args.folder / cell.file).exists()]
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), _one_thread) as pool:
        waiting = [pool.submit(make, cell, args.folder) for cell in missing]
        for number, done in enumerate(waiting, 1):
            print(f"{number}/{len(missing)} {done.result().file}", flush=True)


if __name__ == "__main__":
    main()
