"""A sweep in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .sweep import SweepResult

__all__ = ["counted", "notes", "number", "text"]


def number(x: float) -> str:
    """A score in five digits."""
    return f"{x:.5g}" if math.isfinite(x) else "-"


def notes(result: SweepResult) -> tuple[str, ...]:
    """What to know before the answer is trusted."""
    out = []
    planned = len(result.lrs) * len(result.seeds)
    if result.interrupted:
        out.append(f"Interrupted: {len(result.runs)} of {planned} runs were made.")
    if result.failures:
        first = result.failures[0]
        out.append(
            f"{len(result.failures)} of {len(result.runs)} runs failed; the first (lr={first.lr:g}"
            f", {result.column} {first.seed}): {first.error}"
        )
    if math.isnan(result.best):
        if np.isinf(result.scores).any():
            low = float(np.min(result.lrs[np.isinf(result.scores).any(axis=1)]))
            every = "rate" if _all_run(result) else "rate that has a score"
            out.append(
                f"Every {every} diverged: sweep smaller ones, from {low / 1000:.2g} to "
                f"{low / 3:.2g}."
            )
    elif result.edge and _beyond(result):
        which = "smallest" if result.edge == "low" else "largest"
        out.append(f"The best rate is the {which} that has a score: those beyond it have none.")
    elif result.edge:
        low = result.edge == "low"
        to = result.best / 100 if low else result.best * 100
        out.append(
            f"The best rate is the {'smallest' if low else 'largest'} of the grid, and a better "
            f"one may be beyond: widen the grid to {to:.2g}."
        )
    if len(result.seeds) == 1 and not math.isnan(result.best):
        out.append("One run a rate: how much of a difference is chance cannot be told.")
    return tuple(out)


def _all_run(result: SweepResult) -> bool:
    """Whether every rate has a score."""
    return not np.isnan(result.means).any()


def _beyond(result: SweepResult) -> bool:
    """Whether the grid goes on beyond the best rate, without a score there."""
    beyond = result.lrs < result.best if result.edge == "low" else result.lrs > result.best
    return bool(beyond.any())


def counted(count: int, what: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _answer(result: SweepResult) -> str:
    """The rate to use and why, in a sentence."""
    if math.isnan(result.best):
        return "No rate to use."
    at = int(np.flatnonzero(result.lrs == result.best)[0])
    best = f"mean score {number(result.adjusted[at])}"
    if math.isnan(result.errors[at]):
        return f"Use lr = {result.chosen:g}: {best}, the lowest."
    best += f" +- {number(result.errors[at])}"
    low, high = result.band
    if np.isfinite(result.means).sum() == 1:
        return f"Use lr = {result.chosen:g}: {best}, the only one that has a score."
    if low == high:
        return (
            f"Use lr = {result.chosen:g}: {best}, and no neighbour is within one standard error "
            "of it."
        )
    if result.rule == "best":
        return (
            f"Use lr = {result.chosen:g}: {best}, the lowest; the rates from {low:g} to {high:g} "
            "are within one standard error of it."
        )
    if result.chosen == result.best:
        return (
            f"Use lr = {result.chosen:g}: {best}, the lowest, and the middle of the rates from "
            f"{low:g} to {high:g}, which are within one standard error of it."
        )
    return (
        f"Use lr = {result.chosen:g}. The lowest score is that of {result.best:g} ({best}), and "
        f"the rates from {low:g} to {high:g} cannot be told from it: they are within one standard "
        f"error. {result.chosen:g} is the middle of these, farthest from both ends."
    )


def _mark(result: SweepResult, i: int) -> str:
    """What is said at the end of the line of a rate."""
    words = []
    row = result.scores[i]
    made = int((~np.isnan(row)).sum())
    diverged = int(np.isinf(row).sum())
    if diverged:
        words.append(f"{diverged} of {made} diverged" if made > 1 else "diverged")
    failed = sum(run.lr == result.lrs[i] for run in result.failures)
    if failed:
        words.append(f"{failed} failed")
    if result.lrs[i] == result.best:
        words.append("best")
    if result.lrs[i] == result.chosen:
        words.append("<- use")
    return ", ".join(words)


def text(result: SweepResult) -> str:
    """A table of the rates, the one to use, and what to know before it is trusted."""
    count, columns = len(result.lrs), len(result.seeds)
    lines = [
        f"Learning-rate sweep: {counted(count, 'rate')} x {counted(columns, result.column)}, "
        f"{counted(len(result.runs), 'run')} in {result.seconds:.1f} s",
        "",
        f"{'rate':>12} {'mean score':>12} {'std. error':>12}",
    ]
    for i in np.argsort(result.lrs, kind="stable"):
        cells = (
            f"{result.lrs[i]:>12.6g} {number(result.means[i]):>12} {number(result.errors[i]):>12}"
        )
        lines.append(f"{cells}   {_mark(result, int(i))}".rstrip())
    lines += ["", _answer(result), *result.notes]
    if result.initial is not None and math.isfinite(result.lr_sensitivity) and count > 1:
        lines.append(
            f"Rate sensitivity {number(result.lr_sensitivity)}: what a rate of this grid costs on "
            "average against the best, nothing being counted as worse than "
            f"{number(result.initial)} before training."
        )
    return "\n".join(lines)
