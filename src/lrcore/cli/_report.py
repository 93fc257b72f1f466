"""What ``lrcore train`` prints: what is about to be learned, and what came of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import lrcore
from lrcore.cli._say import print_json, print_table
from lrcore.tasks.linear import Line

if TYPE_CHECKING:
    from lrcore import Diagnosis
    from lrcore.cli._jobs import Job
    from lrcore.tasks import Params, Run

REACHED = 1e-6  # as near to the least-squares answer as counts as there
FORMATS = {"accuracy": "{:.4f}", "r2": "{:.4f}", "distance": "{:.1e}", "bits": "{:.3f}"}
LABELS = {"r2": "R\N{SUPERSCRIPT TWO}", "rmse": "RMSE", "bits": "bits a character"}


def announce(job: Job) -> None:
    """Say what is learned from what, with every decision made about the data."""
    task = job.task
    held_out = f", {len(task.test.y):,} held out" if task.test else ""
    print(f"{task.name}: {len(task.train.y):,} rows to learn from{held_out}")
    for note in task.notes:
        print(f"  {note}")
    print(f"{job.settings['optimizer']}, {job.settings['schedule']}", flush=True)


def print_summary(job: Job, run: Run) -> None:
    """Print the final table."""
    print()
    print_table(("", "train", "test")[: 3 if job.task.test else 2], _score_rows(run), right=(1, 2))
    print()
    print_table(("", "", ""), [*_line_rows(job), *_cost_rows(job, run)])
    if job.task.example is not None:
        print(f"\n{job.task.example(job.params)}")


def print_verdict(found: Diagnosis, *, whole: bool) -> None:
    """Print what the instruments say: all of it, or the verdict and what to do next."""
    lines = found.text().splitlines()
    print()
    print("\n".join(lines if whole else [lines[0], *lines[1:][-1:]]))


def print_object(job: Job, run: Run, stopped: str, more: dict[str, Any]) -> None:
    """Print everything about the run as JSON, and `more`."""
    task = job.task
    model = task.model
    extra: dict[str, Any] = {}
    if isinstance(model, Line):
        extra["t"] = job.params["t"].tolist()
        extra["least_squares"] = model.answer.tolist()
        extra["reached"] = run.final["train_distance"] <= REACHED
    print_json(
        {
            "lrcore": lrcore.__version__,
            "task": task.name,
            "kind": task.kind,
            "rows": {"train": len(task.train.y), "test": len(task.test.y) if task.test else 0},
            "notes": list(task.notes),
            **job.settings,
            "updates": len(run.losses),
            "samples": run.samples,
            "samples_per_second": run.samples_per_second,
            "step_seconds": run.step_seconds,
            "rest_seconds": run.rest_seconds,
            "stopped": stopped or None,
            "final": run.final,
            "example": job.task.example and job.task.example(job.params),
            **extra,
            "parameters_sha256": fingerprint(job.params),
            **more,
            "history": run.history,
        }
    )


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of all parameters: equal only if every bit is."""
    digest = hashlib.sha256()
    for name in sorted(params):
        digest.update(name.encode())
        digest.update(params[name].tobytes())
    return digest.hexdigest()


def _score_rows(run: Run) -> list[tuple[str, ...]]:
    """One row a measure, one column for the training rows and one for those held out."""
    rows = []
    for name, score in run.final.items():
        part, measure = name.split("_", 1)
        if part == "train" and measure != "distance":
            form = FORMATS.get(measure, "{:.4g}")
            test = run.final.get(f"test_{measure}")
            cells = [form.format(value) for value in (score, test) if value is not None]
            rows.append((LABELS.get(measure, measure), *cells))
    return rows


def _line_rows(job: Job) -> list[tuple[str, str, str]]:
    """Least squares beside what was learned, and the distance between the two."""
    model = job.task.model
    if not isinstance(model, Line):
        return []
    t = job.params["t"]
    rows = [
        (f"t{i}", f"{t[i]:.10g}", f"least squares: {model.answer[i]:.10g}") for i in range(len(t))
    ]
    away = float(abs(t - model.answer).max())
    verdict = (
        f"reached, to within {REACHED:.0e}"
        if away <= REACHED
        else "not reached; change --lr, or give more --epochs"
    )
    return [*rows, ("distance", FORMATS["distance"].format(away), verdict)]


def _cost_rows(job: Job, run: Run) -> list[tuple[str, str, str]]:
    total = run.step_seconds + run.rest_seconds
    count = sum(p.size for p in job.params.values())
    updates = len(run.losses)
    return [
        ("updates", f"{updates:,}", f"{run.samples_per_second:,.0f} samples/s"),
        (
            "time in the step",
            f"{run.step_seconds:.3f} s",
            f"{run.step_seconds / total:.0%}, {run.step_seconds / updates * 1e6:.1f} us an update",
        ),
        ("time in the rest", f"{run.rest_seconds:.3f} s", f"{run.rest_seconds / total:.0%}"),
        ("parameters", f"{count:,}", f"sha256 {fingerprint(job.params)[:16]}"),
    ]
