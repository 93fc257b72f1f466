"""The runs behind docs/choosing.md: ``python bench/choosing.py [--quick] [--keep FILE]``.

Small tasks, every rule, a grid of rates, three seeds. Writes the tables between the marks
``<!-- runs: name -->`` and ``<!-- end of runs -->`` of the page, and the picture docs/rates.png.
With ``--keep FILE`` runs that FILE holds are not made again, so that a new rule costs only its own;
remove the file when the library has changed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import choosing_tasks
import numpy as np

import lrcore
from lrcore import optimizers, schedules
from lrcore._describe import describe_rule, rule_kinds
from lrcore._hyper import RULES
from lrcore.cli import _choices
from lrcore.tasks import Run, Task, fit

DOCS = Path(__file__).resolve().parent.parent / "docs"
MARKED = re.compile(r"(<!-- runs: (\w+) -->\n).*?(<!-- end of runs -->)", re.DOTALL)
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
SEEDS = (0, 1, 2)
#: What counts as good: at most so many points of accuracy below the best of the rule.
GOOD = 2.0
MOMENTUM = (("momentum", 0.9),)


class Job(NamedTuple):
    """One run. `rate` None: the class's default; `updates` overrides `epochs` of the task."""

    rule: str
    rate: float | None = None
    task: str = "digits"
    seed: int = 0
    schedule: str = "cosine"
    options: tuple[tuple[str, Any], ...] = ()
    batch: int | None = None
    epochs: int | None = None
    updates: int | None = None
    warmup: float = 0.05
    stats: bool = False


# --------------------------------------------------------------------------- one run


@lru_cache(maxsize=4)
def task_of(name: str, seed: int, batch: int | None) -> Task:
    """The task of a run; the same object for the runs that follow each other."""
    return getattr(choosing_tasks, name)(seed, batch)


def schedule_of(job: Job, lr: float, steps: int) -> lrcore.Schedule:
    """The schedule of a run, over so many updates."""
    warmup = round(job.warmup * steps)
    if job.schedule == "plateau":
        flat = schedules.Constant(lr, warmup=warmup)
        return schedules.Plateau(flat, factor=0.3, patience=1, threshold=0.01)
    return _choices.make_schedule(job.schedule, lr, steps=steps, warmup=warmup)


def default_rate(rule: str) -> float:
    """The rate that a class has by default."""
    cls = getattr(optimizers, rule)
    return float(describe_rule(cls).arguments[cls.rate_name])


def train(job: Job) -> dict[str, float]:
    """Train; return percent of the held-out rows that are right, and the loss in training."""
    task = task_of(job.task, job.seed, job.batch)
    epochs = job.epochs or task.epochs
    if job.updates:
        epochs = max(1, round(job.updates / task.updates_per_epoch))
    steps = epochs * task.updates_per_epoch
    lr = default_rate(job.rule) if job.rate is None else job.rate
    schedule = schedule_of(job, lr, steps)
    params = task.init()
    cls = getattr(optimizers, job.rule)
    opt = _choices.make_optimizer(cls, params, schedule, stats=job.stats, **dict(job.options))
    cosines: list[float] = []

    def watch(run: Run) -> None:
        if job.stats:
            cosines.append(opt.stats.cos)
        every = max(steps // 12, 1)
        if isinstance(schedule, schedules.Plateau) and len(run.losses) % every == 0:
            schedule.update(fmean(run.losses[-every:]))

    run = fit(task, params, opt, epochs, on_step=watch)
    tenth = max(steps // 10, 1)
    late = [c for c in cosines[steps // 2 :] if not math.isnan(c)]
    return {
        "accuracy": 100 * run.final["test_accuracy"],
        "loss": run.final["train_loss"],
        "early": fmean(run.losses[:tenth]) if len(run.losses) >= tenth else math.nan,
        "late": fmean(run.losses[-tenth:]) if not run.stopped else math.nan,
        "cos": fmean(late) if late else math.nan,
        "stopped": float(bool(run.stopped)),
    }


def _single_threaded() -> AbstractContextManager[Any]:
    """From now on, or inside the context, BLAS has one thread: these products are small."""
    import threadpoolctl

    return threadpoolctl.threadpool_limits(1, user_api="blas")


class Runs:
    """The results of all runs that were asked for; what is not there yet is made."""

    def __init__(self, keep: Path | None, workers: int, quick: bool) -> None:
        self.keep, self.workers, self.quick = keep, workers, quick
        spawn = get_context("spawn")
        several = workers > 1
        self.pool = ProcessPoolExecutor(workers, spawn, _single_threaded) if several else None
        self.known: dict[str, dict[str, float]] = {}
        if keep is not None and keep.exists():
            self.known = json.loads(keep.read_text())
        self.seeds = SEEDS[:1] if quick else SEEDS
        self.rates = RATES[4:9:2] if quick else RATES

    def make(self, jobs: Iterable[Job]) -> None:
        """Make the runs that are not known, a process a core."""
        new = [job for job in dict.fromkeys(jobs) if str(job) not in self.known]
        new.sort(key=lambda job: (job.task, job.seed, str(job.batch)))
        if not new:
            return
        if self.pool is None:
            with _single_threaded():
                found = list(map(train, new))
        else:
            each = max(1, len(new) // (16 * self.workers))
            found = list(self.pool.map(train, new, chunksize=each))
        self.known.update((str(job), result) for job, result in zip(new, found, strict=True))
        if self.keep is not None:
            self.keep.write_text(json.dumps(self.known))

    def __getitem__(self, job: Job) -> list[dict[str, float]]:
        """The results of a run, a seed each."""
        jobs = [job._replace(seed=seed) for seed in self.seeds]
        self.make(jobs)
        return [self.known[str(j)] for j in jobs]

    def mean(self, job: Job, what: str = "accuracy") -> float:
        """The mean over the seeds."""
        return fmean(result[what] for result in self[job])

    def over_rates(self, job: Job) -> dict[float, float]:
        """The accuracy at each rate of the grid."""
        self.make(job._replace(rate=r, seed=s) for r in self.rates for s in self.seeds)
        return {rate: self.mean(job._replace(rate=rate)) for rate in self.rates}

    def best(self, job: Job) -> tuple[float, float]:
        """The best rate of the grid, among the good ones (the lowest of equals); its accuracy."""
        found = self.over_rates(job)
        rate = max(good_rates(found), key=lambda r: (found[r], -r))
        return rate, found[rate]


def good_rates(found: dict[float, float]) -> list[float]:
    """The longest row of rates next to each other that are good; one that stands alone is luck."""
    least = max(found.values()) - GOOD
    longest: list[float] = []
    row: list[float] = []
    for rate in sorted(found):
        row = [*row, rate] if found[rate] >= least else []
        longest = max(longest, row, key=len)
    return longest


def decades(found: dict[float, float]) -> float:
    """How many powers of ten the good rates stand for, each for half of one."""
    return len(good_rates(found)) / 2


# --------------------------------------------------------------------------- tables


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of Markdown."""
    head = list(header)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _at(best: tuple[float, float]) -> str:
    return f"{best[1]:.1f} at {best[0]:g}"


TASKS = {
    "cancer": "tumours, linear",
    "digits": "digits, network",
    "words": "rare words, linear",
    "noisy": "digits, noisy",
}


def contestants(quick: bool) -> dict[str, Job]:
    """Every rule with its defaults, and SGD with momentum, by what it is called in the tables."""
    names = [rule_kinds()[rule].__name__ for rule in RULES]
    found = {}
    for name in names[:3] if quick else names:
        cls = getattr(optimizers, name)
        sides = (
            (("max_precond_dim", 256),) if "max_precond_dim" in describe_rule(cls).arguments else ()
        )
        found[name] = Job(name, schedule="constant" if cls.two_points else "cosine", options=sides)
        if name == "SGD":
            found["SGD, momentum 0.9"] = Job(name, options=MOMENTUM)
    return found


def rules(runs: Runs) -> str:
    """Every rule on every task, by its mean."""
    entries = contestants(runs.quick)
    rates = [*runs.rates, None]
    runs.make(
        job._replace(task=task, rate=rate, seed=seed)
        for job in entries.values()
        for task in TASKS
        for rate in rates
        for seed in runs.seeds
    )
    rows = []
    for name, job in entries.items():
        on = {task: job._replace(task=task) for task in TASKS}
        found = {task: runs.over_rates(j) for task, j in on.items()}
        widths = [decades(accuracies) for accuracies in found.values()]
        best = {task: runs.best(j) for task, j in on.items()}
        mean = fmean(accuracy for _, accuracy in best.values())
        plain = [f"{runs.mean(j):.1f}" for j in on.values()]
        cells = [f"`{name}`", *map(_at, best.values()), f"{fmean(widths):.1f}"]
        default = f"{default_rate(job.rule):g}: {', '.join(plain)}"
        rows.append((mean, (*cells, default)))
    rows.sort(key=lambda row: -row[0])
    head = ("rule", *TASKS.values(), "decades", "at its default rate")
    return table(head, (cells for _, cells in rows))


def spread(runs: Runs) -> str:
    """How far apart the seeds of the same run are."""
    found: dict[str, list[float]] = {}
    for task, title in TASKS.items():
        for job in contestants(runs.quick).values():
            rate, _ = runs.best(job._replace(task=task))
            results = runs[job._replace(task=task, rate=rate)]
            if len(results) > 1:
                found.setdefault(title, []).append(stdev(r["accuracy"] for r in results))
    said = ", ".join(f"{title} {fmean(values):.1f}" for title, values in found.items())
    return f"Standard deviation between seeds, in points: {said or 'one seed only'}.\n"


def rates(runs: Runs) -> str:
    """SGD at rates from too small to too large."""
    plain = Job("SGD", schedule="constant", warmup=0, stats=True)
    tried = [r for r in RATES if runs.quick is False or r in runs.rates]
    runs.make(plain._replace(rate=r, seed=s) for r in tried for s in runs.seeds)
    rows = []
    for rate in tried:
        job = plain._replace(rate=rate)
        stopped = sum(result["stopped"] for result in runs[job])
        numbers = [f"{runs.mean(job, what):.3g}" for what in ("early", "late", "cos")]
        cells = ["nan" if math.isnan(float(x)) else x for x in numbers]
        rows.append(
            (f"{rate:g}", *cells, f"{runs.mean(job):.1f}" + (" (stopped)" if stopped else ""))
        )
    head = ("rate", "loss, first tenth", "loss, last tenth", "`opt.stats.cos`", "accuracy")
    return table(head, rows)


def momentum(runs: Runs) -> str:
    """The best rate of SGD by its momentum."""
    rows = []
    for value in (0.0, 0.5, 0.9, 0.99):
        rate, accuracy = runs.best(Job("SGD", options=(("momentum", value),)))
        rows.append((f"{value:g}", f"{rate:g}", f"{rate / (1 - value):g}", f"{accuracy:.1f}"))
    return table(("momentum", "best rate", "rate / (1 - momentum)", "accuracy"), rows)


def knobs(runs: Runs) -> str:
    """AdamW, one thing changed at a time."""
    rate, _ = runs.best(Job("AdamW"))
    base = Job("AdamW", rate)
    change = base._replace

    def given(**options: Any) -> Job:
        return change(options=tuple(options.items()))

    changes = {
        f"nothing: rate {rate:g}, warm-up 5 %, cosine": base,
        "rate / 10": change(rate=rate / 10),
        "rate x 10": change(rate=rate * 10),
        "betas (0, 0.999)": given(betas=(0.0, 0.999)),
        "betas (0.99, 0.999)": given(betas=(0.99, 0.999)),
        "betas (0.9, 0.9)": given(betas=(0.9, 0.9)),
        "betas (0.9, 0.99)": given(betas=(0.9, 0.99)),
        "eps 1e-4": given(eps=1e-4),
        "eps 1e-2": given(eps=1e-2),
        "weight_decay 0": given(weight_decay=0.0),
        "weight_decay 0.1": given(weight_decay=0.1),
        "weight_decay 1": given(weight_decay=1.0),
        "clip_norm 1": given(clip_norm=1.0),
        "no warm-up": change(warmup=0.0),
        "warm-up 30 %": change(warmup=0.3),
        "no warm-up, rate x 10": change(warmup=0.0, rate=rate * 10),
        "warm-up 30 %, rate x 10": change(warmup=0.3, rate=rate * 10),
        "a fourth of the updates": change(epochs=1),
        "four times the updates": change(epochs=16),
    }
    runs.make(job._replace(seed=seed) for job in changes.values() for seed in runs.seeds)
    rows = (
        (name, f"{runs.mean(job, 'loss'):.3f}", f"{runs.mean(job):.1f}")
        for name, job in changes.items()
    )
    return table(("changed", "training loss", "accuracy"), rows)


def batches(runs: Runs) -> str:
    """The best rate by batch size, at as many updates."""
    entries = {
        "SGD": Job("SGD"),
        "AdamW": Job("AdamW"),
        "LARS": Job("LARS"),
        "LAMB": Job("LAMB"),
    }
    rows = []
    for size in (16, 64, 512):
        of_size = [job._replace(batch=size, updates=452) for job in entries.values()]
        rows.append((str(size), *(_at(runs.best(job)) for job in of_size)))
    return table(("batch", *entries), rows)


def decay(runs: Runs) -> str:
    """Weight decay where there is much data, and where there is little."""
    rows = []
    for value in (0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0):
        cells = []
        for job in (Job("AdamW", 0.03), Job("AdamW", 0.03, "few"), Job("AdamW", 0.03, "words")):
            epochs = 20 if job.task == "words" else None
            job = job._replace(options=(("weight_decay", value),), epochs=epochs)
            cells.append(f"{runs.mean(job):.1f} ({runs.mean(job, 'loss'):.2g})")
        rows.append((f"{value:g}", *cells))
    head = ("7,185 digits", "100 digits, seen 200 times", "rare words, seen 20 times")
    return table(("weight_decay", *head), rows)


KINDS = ("constant", "step", "exponential", "inverse-sqrt", "linear", "cosine", "wsd")
KINDS += ("one-cycle", "plateau")


def plans(runs: Runs) -> str:
    """The main schedules at two lengths, each at its best rate; and rules that need none."""
    lengths = (1,) if runs.quick else (1, 4)
    rows = []
    heads = ("SGD", MOMENTUM), ("AdamW", ())
    for kind in KINDS:
        jobs = [
            Job(rule, None, "noisy", schedule=kind, options=options, epochs=epochs)
            for rule, options in heads
            for epochs in lengths
        ]
        rows.append((kind, *(_at(runs.best(job)) for job in jobs)))
    free = [
        Job(f"ScheduleFree{rule}", None, "noisy", schedule="constant", epochs=epochs)
        for rule, _ in heads
        for epochs in lengths
    ]
    rows.append(("none: ScheduleFree", *(_at(runs.best(job)) for job in free)))
    names = "SGD, momentum 0.9", "AdamW"
    named = [f"{name}; {899 * n:,} updates" for name in names for n in lengths]
    return table(("schedule", *named), rows)


RATE_FREE: dict[str, Job] = {
    name: Job(name)
    for name in ("Prodigy", "DAdaptAdam", "DAdaptSGD", "PolyakSGD", "DoWG", "DoG", "LDoG")
}
RATE_FREE["DoG, reps_rel 1e-2"] = Job("DoG", options=(("reps_rel", 1e-2),))
RATE_FREE["LDoG, reps_rel 1e-2"] = Job("LDoG", options=(("reps_rel", 1e-2),))


def rate_free(runs: Runs) -> str:
    """Rules that find the rate, with nothing chosen, beside those whose rate was searched."""
    rows = []
    for name in ("AdamW", "SGD"):
        job = contestants(False)[name]
        best = (f"{runs.best(job._replace(task=task))[1]:.1f}" for task in TASKS)
        rows.append((f"`{name}`, best of {len(runs.rates)} rates", *best))
    for name, job in RATE_FREE.items():
        as_it_is = (f"{runs.mean(job._replace(task=task)):.1f}" for task in TASKS)
        rows.append((f"`{name}`", *as_it_is))
    longer = [RATE_FREE["DoG"]._replace(task=task) for task in TASKS]
    four = [job._replace(epochs=4 * task_of(job.task, 0, None).epochs) for job in longer]
    rows.append(("`DoG`, four times the updates", *(f"{runs.mean(job):.1f}" for job in four)))
    return table(("", *TASKS.values()), rows)


def made_with(runs: Runs) -> str:
    """When, where and with what."""
    seeds = f"{len(runs.seeds)} seed{'s' if len(runs.seeds) > 1 else ''}"
    return (
        f"{datetime.date.today():%d %B %Y}, lrcore {lrcore.__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}; {len(runs.known):,} runs, "
        f"{seeds}, {len(runs.rates)} rates from {runs.rates[0]:g} to {runs.rates[-1]:g}.\n"
    )


TABLES: dict[str, Callable[[Runs], str]] = {
    f.__name__: f
    for f in (rules, spread, rates, momentum, knobs, batches, decay, plans, rate_free, made_with)
}


# --------------------------------------------------------------------------- picture


def draw(path: Path, epochs: int = 4) -> None:
    """Loss against updates at a rate that is too low, one that is good and one that is too high."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    looks = {
        0.003: ("too low", "#777777", "--"),
        0.3: ("good", "#0b5394", "-"),
        10.0: ("too high", "#d95f02", ":"),
    }
    for rate, (words, colour, line) in looks.items():
        task = task_of("digits", 0, None)
        params = task.init()
        with _single_threaded():
            run = fit(task, params, lrcore.SGD(params, lr=rate), epochs)
        smooth = np.convolve(run.losses, np.ones(15) / 15, "valid")
        axes.semilogy(smooth, color=colour, linestyle=line, linewidth=2.2)
        axes.annotate(
            f"{words}: {rate:g}\n{100 * run.final['test_accuracy']:.0f} % right",
            (len(smooth), smooth[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            va="center",
        )
    axes.set(xlabel="update", ylabel="training loss", title="One network, three learning rates")
    axes.set_yticks([0.3, 1, 3], ["0.3", "1", "3"])
    axes.minorticks_off()
    axes.set_xlim(0, 1.22 * len(smooth))
    axes.spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rules, three rates, one seed")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="results, read and written")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--page", type=Path, default=DOCS / "choosing.md")
    args = parser.parse_args(arguments)
    runs = Runs(args.keep, args.jobs, args.quick)
    asked = {match[2] for match in MARKED.finditer(args.page.read_text())}
    written = {name: make(runs) for name, make in TABLES.items() if name in asked}
    text = args.page.read_text()  # which a person may have changed in the meantime
    args.page.write_text(MARKED.sub(lambda m: f"{m[1]}{written[m[2]]}{m[3]}", text))
    draw(args.page.with_name("rates.png"), 1 if args.quick else 4)


if __name__ == "__main__":
    main()
