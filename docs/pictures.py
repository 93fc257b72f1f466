"""Draw the pictures of the docs from real runs: ``python docs/pictures.py [NAME ...]``.

Each is the work of the function of its name. Seeds are fixed and BLAS has one thread, so that the
same versions draw the same pictures. All of them take about a minute. Needs the demo extra.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

import lrcore
from lrcore import plot
from lrcore.tasks import Run, Task, digits, fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOCS = Path(__file__).parent
DPI = 110  # of 7 inches: 770 pixels
MOST = 120_000  # bytes of a picture


@cache
def task(batch_size: int = 64, seed: int = 0) -> Task:
    """Handwritten digits."""
    return digits.load(seed=seed, batch_size=batch_size)


def train(lr: float, *, epochs: int, batch_size: int = 64, seed: int = 0, **more: Any) -> Run:
    """A run with SGD."""
    job = task(batch_size, seed)
    params = job.init()
    return fit(job, params, lrcore.SGD(params, lr=lr, **more), epochs)


def find() -> Axes:
    """A range test before training with AdamW."""
    job = task()
    params = job.init()
    opt = lrcore.AdamW(params, lr=1e-3)
    batches = list(job.batches(1))
    result = lrcore.lr_find(
        opt, lambda batch: job.loss_and_grads(params, batch), batches, repeats=3
    )
    return plot.lr_find(result)


def training() -> Axes:
    """A run with momentum at a constant rate, too high for its end, and what is said of it."""
    job = task()
    params = job.init()
    opt = lrcore.SGD(params, lr=1.0, momentum=0.9, stats=True)
    cosines: list[float] = []
    held_out: list[tuple[int, float]] = []

    def watch(run: Run) -> None:
        cosines.append(opt.stats.cos)
        if len(run.losses) % 40 == 0:
            held_out.append((len(run.losses) - 1, job.evaluate(params)["test_loss"]))

    run = fit(job, params, opt, 6, on_step=watch)
    found = lrcore.diagnose(run.losses, lrs=run.lrs, stats={"cos": cosines}, rule=opt)
    return plot.training(run.losses, run.lrs, found.findings, held_out)


def score(lr: float, seed: int, batch_size: int = 64, epochs: int = 2) -> float:
    """Loss on the held-out rows, lower being better; NaN where the run broke off."""
    run = train(lr, epochs=epochs, batch_size=batch_size, seed=seed)
    return math.nan if run.stopped else run.final["test_loss"]


def sweep() -> Axes:
    """Ten rates, three seeds."""
    with np.errstate(all="ignore"):
        result = lrcore.lr_sweep(score, 10.0 ** np.arange(-2.5, 2.1, 0.5), seeds=(0, 1, 2))
    ax = plot.sweep(result)
    ax.set_ylabel("held-out loss")
    return ax


def batch() -> Axes:
    """Four batch sizes, ten rates, two passes over the data each."""
    rates = 10.0 ** np.arange(-2.5, 2.1, 0.5)
    with np.errstate(all="ignore"):
        scores = {size: [score(lr, 0, size) for lr in rates] for size in (8, 32, 128, 512)}
    return plot.batch_sizes(scores, rates, label="held-out loss after two epochs")


def three_rates() -> Axes:
    """One network, three rates."""
    runs = {lr: train(lr, epochs=4) for lr in (0.003, 0.3, 10.0)}
    notes = {lr: f"{100 * run.final['test_accuracy']:.0f} % right" for lr, run in runs.items()}
    return plot.three_rates({lr: run.losses for lr, run in runs.items()}, notes=notes)


def descent() -> Axes:
    """Four rates in a ravine."""
    rates = {"too low: 0.004": 0.004, "good: 0.06": 0.06, "high: 0.077": 0.077}
    rates["too high: 0.083"] = 0.083
    made = {name: (lambda p, lr=lr: lrcore.SGD(p, lr=lr)) for name, lr in rates.items()}
    return plot.descent(made, "ravine", steps=30)


def save(figure: Any, path: Path) -> None:
    """Write a picture with 256 colours, which is a third of its size with all."""
    from PIL import Image

    whole = io.BytesIO()
    figure.savefig(whole, dpi=DPI)
    few = Image.open(whole).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


PICTURES: dict[str, Callable[[], Axes]] = {
    "find": find,
    "training": training,
    "sweep": sweep,
    "batch": batch,
    "three-rates": three_rates,
    "descent": descent,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the pictures asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--to", type=Path, default=DOCS, metavar="FOLDER")
    given = parser.parse_args(arguments)
    for name in given.names or PICTURES:
        if name not in PICTURES:
            parser.error(f"{name}: there is no such picture; {', '.join(PICTURES)}")
        with threadpool_limits(1, user_api="blas"):
            figure: Any = PICTURES[name]().figure
        path = given.to / f"{name}.png"
        save(figure, path)
        if path.stat().st_size > MOST:
            parser.error(f"{path}: has {path.stat().st_size:,} bytes, more than {MOST:,}")
        print(path)


if __name__ == "__main__":
    main()
