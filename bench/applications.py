"""The runs behind docs/applications.md: ``python bench/applications.py [--quick] [--keep FILE]``.

Every task that comes with data: at its usual rate beside scikit-learn, on a grid of rates, before a
finder, and with a rate that learns. Writes the tables between the marks ``<!-- runs: name -->`` and
``<!-- end of runs -->`` of the page. With ``--keep FILE`` runs that FILE holds are not made again;
remove the file when the library has changed. Needs the demo and the data extra; some minutes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
from choosing import MARKED, table
from threadpoolctl import threadpool_limits

import lrcore
from lrcore import tasks
from lrcore.schedules import Constant, Cosine
from lrcore.tasks import Task, fit

PAGE = Path(__file__).resolve().parent.parent / "docs" / "applications.md"
RATES = {
    "SGD": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "AdamW": (1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
}
LONG = ("chars",)  # one seed
SEEDS = (0, 1, 2)
GOOD = 1.1  # a held-out loss at most so many times that of the best rate
BEHIND = 100  # how far below the best a rate that learns begins
MEASURES = {
    "bits": "{:.2f} bits a character",
    "accuracy": "{:.1%} right",
    "r2": "R\N{SUPERSCRIPT TWO} {:.2f}",
    "distance": "{:.0e} from the answer",
}


@lru_cache
def make(name: str, seed: int) -> Task:
    """Each task once."""
    return tasks.load(name, seed=seed)


class Runs:
    """Runs, made when they are asked for, and kept."""

    def __init__(self, keep: Path | None, names: Sequence[str], quick: bool) -> None:
        self.keep, self.names, self.quick = keep, names, quick
        self.known: dict[str, dict[str, Any]] = {}
        if keep is not None and keep.exists():
            self.known = json.loads(keep.read_text())

    def get(self, key: str, job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what `job` gives, or gave."""
        if key not in self.known:
            self.known[key] = job()
            if self.keep is not None:
                self.keep.write_text(json.dumps(self.known, indent=0))
        return self.known[key]

    def seeds(self, name: str) -> tuple[int, ...]:
        """Which seeds a task is run with."""
        return SEEDS[:1] if self.quick or name in LONG else SEEDS

    def train(self, name: str, rule: str, lr: float, **how: Any) -> dict[str, float]:
        """Scores after training, the mean over the seeds; inf where a run diverged."""
        found = [
            self.get(
                f"{name} {rule} {lr:g} {seed} {json.dumps(how)}",
                partial(train, name, seed, rule, lr, **how),
            )
            for seed in self.seeds(name)
        ]
        return {key: fmean(run[key] for run in found) for key in found[0]}

    def grid(self, name: str, rule: str) -> dict[float, float]:
        """Held-out loss by rate."""
        every = 3 if self.quick else 1
        return {lr: self.train(name, rule, lr)["goal"] for lr in RATES[rule][::every]}

    def best(self, name: str, rule: str) -> float:
        """The rate of the least held-out loss."""
        found = self.grid(name, rule)
        return min(found, key=found.__getitem__)


def train(
    name: str, seed: int, rule: str, lr: float, constant: bool = False, **options: Any
) -> dict[str, float]:
    """Train as ``lrcore train`` does; ``goal`` is the held-out loss, ``eta`` the last rate."""
    task = make(name, seed)
    steps = task.epochs * task.updates_per_epoch
    rate = Constant(lr) if constant else Cosine(lr, steps=steps, warmup=round(0.05 * steps))
    if task.weight_decay is not None:
        options["weight_decay"] = task.weight_decay
    params = task.init()
    opt = getattr(lrcore, rule)(params, lr=rate, **options)
    start = perf_counter()
    with threadpool_limits(1, user_api="blas"):
        run = fit(task, params, opt, task.epochs)
    seconds = perf_counter() - start
    goal = run.final.get("test_loss", run.final["train_loss"])
    eta = opt.estimates[0]["eta"] if opt.estimates else lr
    goal = goal if np.isfinite(goal) and run.stopped == "" else float("inf")
    return {"goal": goal, "eta": eta, "seconds": seconds, **run.final}


def result(scores: dict[str, float]) -> str:
    """The measure that says most."""
    for name, form in MEASURES.items():
        for part in ("test", "train"):
            if f"{part}_{name}" in scores:
                return form.format(scores[f"{part}_{name}"])
    raise ValueError(f"no measure in {scores}")


def sklearn_score(name: str, seed: int) -> dict[str, float]:
    """Held-out score of what scikit-learn has for the task."""
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import LinearSVC

    task = make(name, seed)
    x_train, x_test = task.train.x, task.test.x
    if name == "sentiment":
        x_train, x_test = (_one_hot(x, task.model.words) for x in (x_train, x_test))
    model = {
        "LogisticRegression": LogisticRegression(solver="lbfgs", max_iter=2000),
        "LinearSVC": LinearSVC(loss="hinge", max_iter=100_000),
        "GradientBoostingRegressor": GradientBoostingRegressor(max_depth=1, random_state=0),
        "MLPClassifier": MLPClassifier((256,), random_state=0),
    }[PEERS[name]]
    with threadpool_limits(1):
        return {"score": float(model.fit(x_train, task.train.y).score(x_test, task.test.y))}


def _one_hot(x: Any, words: int) -> Any:
    from scipy.sparse import csr_matrix

    ends = np.arange(0, x.size + 1, x.shape[1])
    return csr_matrix((np.ones(x.size), x.ravel(), ends), (len(x), words + 1))[:, :-1]


PEERS = {
    "wine": "LogisticRegression",
    "cancer": "LogisticRegression",
    "vowels": "LogisticRegression",
    "sentiment": "LogisticRegression",
    "svm": "LinearSVC",
    "stumps": "GradientBoostingRegressor",
    "digits": "MLPClassifier",
}


def results(runs: Runs) -> str:
    """Each task at its usual rate, beside scikit-learn."""
    rows = []
    for name in runs.names:
        task = make(name, 0)
        scores = runs.train(name, task.optimizer, task.rates.get(task.optimizer, 0.01))
        theirs = "-"
        if name in PEERS:
            found = [
                runs.get(f"sklearn {name} {s}", partial(sklearn_score, name, s))["score"]
                for s in runs.seeds(name)
            ]
            form = MEASURES["r2" if task.kind == "regression" else "accuracy"]
            theirs = f"{form.format(fmean(found))} (`{PEERS[name]}`)"
        count = sum(p.size for p in task.init().values())
        about = tasks.about(name).rstrip(".")
        held = f"{len(task.test.y):,}" if task.test else "none"
        rows.append(
            (
                f"`lrcore train {name}`",
                about,
                f"{len(task.train.y):,} / {held}",
                f"{count:,}",
                result(scores),
                theirs,
                f"{scores['seconds']:.1f} s",
            )
        )
    head = ("command", "what is learned", "rows / held out", "parameters", "result")
    return table((*head, "scikit-learn", "time"), rows)


def rates(runs: Runs) -> str:
    """The best rate of two rules by a sweep, how wide good rates are, and what a finder says."""
    rows = []
    for name in runs.names:
        cells = []
        for rule in RATES:
            found = runs.grid(name, rule)
            best = runs.best(name, rule)
            good = [lr for lr, loss in found.items() if loss <= GOOD * found[best]]
            said = runs.get(f"find {name} {rule}", partial(find, name, rule))
            cells += [f"{best:g}", f"{min(good):g} to {max(good):g}", _said(said)]
        rows.append((name, *cells))
    head = [f"{rule}: {what}" for rule in RATES for what in ("best", "good", "`lr_find`")]
    return table(("", *head), rows)


def find(name: str, rule: str) -> dict[str, Any]:
    """Run the finder on a fresh model."""
    task = make(name, 0)
    params = task.init()
    decay = {} if task.weight_decay is None else {"weight_decay": task.weight_decay}
    opt = getattr(lrcore, rule)(params, lr=0.01, **decay)
    batches = [batch for epoch in (1, 2, 3) for batch in task.batches(epoch)][:300]
    with threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"):
        found = lrcore.lr_find(opt, lambda batch: task.loss_and_grads(params, batch), batches)
    low, high = found.interval
    return {
        "suggested": found.suggested,
        "low": low,
        "high": high,
        "reliable": found.reliable,
    }


def _said(found: dict[str, Any]) -> str:
    if found["suggested"] is None:
        return "none"
    doubt = "" if found["reliable"] else ", in doubt"
    return f"{found['suggested']:.2g}{doubt}"


def learned(runs: Runs) -> str:
    """SGD at a constant rate far too low, and the same with a rate that learns."""
    rows = []
    for name in runs.names:
        best = runs.best(name, "SGD")
        low = best / BEHIND
        learns = runs.train(
            name, "HypergradientSGD", low, constant=True, hyper_lr=0.02, multiplicative=True
        )
        rows.append(
            (
                name,
                f"{best:g}",
                f"{runs.train(name, 'SGD', best, constant=True)['goal']:.3g}",
                f"{low:g}",
                f"{runs.train(name, 'SGD', low, constant=True)['goal']:.3g}",
                f"{learns['goal']:.3g}",
                f"{learns['eta']:.2g}",
            )
        )
    head = ("best rate", "its loss", "a hundredth", "its loss", "begun there and learned: loss")
    return table(("", *head, "rate at the end"), rows)


def made_with(runs: Runs) -> str:
    """When, and with what."""
    day = f"{datetime.date.today():%d %B %Y}".lstrip("0")
    versions = f"lrcore {lrcore.__version__}, NumPy {np.__version__}"
    return f"{day}, {versions}, Python {platform.python_version()}, {platform.machine()}.\n"


TABLES = {"results": results, "rates": rates, "learned": learned, "made_with": made_with}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two tasks, few rates, one seed")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where runs are kept")
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args(arguments)
    runs = Runs(args.keep, ("wine", "stumps") if args.quick else tasks.names(), args.quick)
    page = args.page.read_text()
    found = {name: TABLES[name](runs) for _, name, _ in MARKED.findall(page)}
    args.page.write_text(
        MARKED.sub(lambda mark: f"{mark[1]}{found[mark[2]]}{mark[3]}", page), "utf-8"
    )


if __name__ == "__main__":
    main()
