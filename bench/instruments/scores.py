"""The inputs of the rate's score on real runs, their labels, and the fit of its weights.

Label of a rate: "good" if the final loss (over the training data, geometric mean over seeds) is at
most a tenth above the best of the grid; else too low below the best rate, too high above it.
Borderline: within a quarter of a decade of a rate at which that changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import runs as recordings
from numpy.typing import NDArray

from lrcore.instruments.diagnosis import checks, rate
from lrcore.instruments.diagnosis.curve import Curve
from lrcore.instruments.diagnosis.measures import parts

Array = NDArray[Any]
SHARE, NEAR = 0.1, 0.25
#: Weight of a class in the fit: a person's rates are nearer to good than a grid over six decades.
CLASS_WEIGHTS = np.array([1.0, 1.1, 1.0])
RIDGE = 1.0
#: What may have been measured; without "l" where the loss is not above 0.
LETTERS = ("l", "lc", "lg", "lcg", "lcn", "lcgn", "c", "g", "cg")


class Case(NamedTuple):
    """One run: where it is from, what it was given, what it should be called."""

    problem: str
    kind: str
    shape: str
    lr: float
    label: int  # 0 too low, 1 good, 2 too high
    border: bool
    failed: bool  # it ended in inf or NaN
    values: dict[str, float]


def arrays(run: Array, every: int = 1) -> dict[str, Array]:
    """What `diagnose` is given of a recorded run; statistics of every so many updates only."""
    run = run.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(run[:, 0]))
    run = run[: bad[0] + 1] if len(bad) else run
    column = {name: run[:, i] for i, name in enumerate(recordings.FIELDS)}
    with np.errstate(all="ignore"):
        gain = (column["after"] - column["loss"]) / column["slope"]
    stats = {k: column[k].copy() for k in ("cos", "grad_norm", "step_norm", "param_norm")}
    stats["gain"] = np.where(np.isfinite(gain), gain, np.nan)
    for values in stats.values():
        values[np.arange(len(run)) % every != 0] = np.nan
    return {"losses": column["loss"], "lrs": column["lr"], **stats}


def curve_of(run: Array, every: int = 1) -> Curve:
    """The curve of a recorded run."""
    curve = Curve()
    curve.extend(**arrays(run, every))
    return curve


def labels(recorded: recordings.Recorded) -> tuple[Array, Array]:
    """The label of each rate of a cell, and whether it is borderline."""
    excess = np.log(recorded.scores / recorded.scores.min())
    best = int(np.argmin(excess))
    place = np.arange(len(excess))
    good = excess <= math.log1p(SHARE)
    label = np.where(good, 1, np.where(place < best, 0, 2))
    at = np.log10(recorded.rates)
    border = np.zeros(len(at), bool)
    for i in np.flatnonzero(np.diff(label)):
        a, b = excess[i] - math.log1p(SHARE), excess[i + 1] - math.log1p(SHARE)
        if a * b >= 0:
            continue
        edge = at[i] + (at[i + 1] - at[i]) * a / (a - b)
        border |= abs(at - edge) < NEAR
    return label, border


def cases(folder: Path, shape: str, every: int = 1, **which: Any) -> Iterator[Case]:
    """Every recorded run of that shape."""
    for cell, recorded in recordings.recorded(folder, shape, **which):
        label, border = labels(recorded)
        for i, lr in enumerate(recorded.rates):
            for run in recorded.runs[i]:
                curve = curve_of(run, every)
                values: dict[str, float] = {}
                if curve.steps >= 100:
                    at = checks.levels(curve)
                    values = rate.inputs(curve, parts(curve)[0], checks.begun(at), at.last)
                failed = not np.isfinite(run[:, 0]).all()
                name = (cell.problem, cell.kind, shape, float(lr))
                yield Case(*name, int(label[i]), bool(border[i]), failed, values)


# ------------------------------------------------------------------------------- the fit


def reduced(values: Mapping[str, float], letters: str) -> dict[str, float]:
    """The values that there would be if only so much had been measured."""
    return {name: values[name] for name in rate.names_of(letters) if name in values}


def table(many: list[Case], letters: str) -> tuple[list[Case], Array]:
    """The cases that have all inputs of that kind, and those."""
    names = rate.names_of(letters)
    kept = [c for c in many if c.values and all(name in c.values for name in names)]
    return kept, np.array([[c.values[name] for name in names] for c in kept])


def bends(many: list[Case]) -> dict[str, tuple[float, float]]:
    """Where each input bends (its median in good runs), and its unit (its spread)."""
    out = {}
    for name in rate.INPUTS:
        good = [c.values[name] for c in many if c.label == 1 and name in c.values]
        all_ = [c.values[name] for c in many if name in c.values]
        out[name] = (round(float(np.median(good)), 3), round(float(np.std(all_)), 3))
    return out


def design(x: Array, letters: str, lines: Mapping[str, tuple[float, float]]) -> Array:
    """Each input below and above its bend, and a constant."""
    columns = []
    for i, name in enumerate(rate.names_of(letters)):
        bend, unit = lines[name]
        away = (x[:, i] - bend) / unit
        columns += [np.minimum(away, 0), np.maximum(away, 0)]
    return np.stack([*columns, np.ones(len(x))], axis=1)


def logistic(x: Array, y: Array, weight: Array) -> Array:
    """Weights of a logistic regression with a ridge, by Newton's method."""
    b = np.zeros(x.shape[1])
    ridge = RIDGE * np.eye(len(b))
    ridge[-1, -1] = 1e-3
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ b, -30, 30)))
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + ridge
        move = np.linalg.solve(hessian, x.T @ (weight * (p - y)) + ridge @ b)
        b -= move
        if abs(move).max() < 1e-4:
            break
    return b


def fitted(many: list[Case], letters: str, lines: Mapping[str, tuple[float, float]]) -> Array:
    """Weights of "too low" and of "too high"."""
    kept, x = table(many, letters)
    label = np.array([c.label for c in kept])
    terms = design(x, letters, lines)
    return np.stack([logistic(terms, 1.0 * (label == c), CLASS_WEIGHTS[label]) for c in (0, 2)])


def shares(x: Array, letters: str, lines: Mapping[str, tuple[float, float]], w: Array) -> Array:
    """The chances of the three classes, one row a case."""
    score = np.clip(design(x, letters, lines) @ w.T, -30, 30)
    low, high = (1 / (1 + np.exp(-score))).T
    three = np.stack([low * (1 - high), (1 - low) * (1 - high), high * (1 - low)], axis=1)
    return three / three.sum(axis=1, keepdims=True)


def left_out(many: list[Case], others: list[Case], letters: str) -> tuple[list[Case], Array]:
    """Chances of every case of `others`, from weights fitted without its problem on `many`."""
    kept, x = table(others, letters)
    out = np.zeros((len(kept), 3))
    problem = np.array([c.problem for c in kept])
    for name in np.unique(problem):
        rest = [c for c in many if c.problem != name]
        lines = bends(rest)
        here = problem == name
        out[here] = shares(x[here], letters, lines, fitted(rest, letters, lines))
    return kept, out


def module(many: list[Case]) -> str:
    """The text of src/lrcore/instruments/diagnosis/weights.py."""
    lines = bends(many)
    text = [
        '"""Weights of the score of the rate: `python bench/instruments/verdicts.py --fit`."""',
        "",
        "#: Input -> (where its line bends, its unit).",
        "BENDS = {",
        *(f'    "{name}": {pair},' for name, pair in lines.items()),
        "}",
        "#: What was measured -> weights of each input below and above its bend, and a constant;",
        '#: first of "too low", then of "too high".',
        "WEIGHTS = {",
    ]
    for letters in LETTERS:
        rows = fitted(many, letters, lines)
        text += [f'    "{letters}": (']
        text += ["        (" + ", ".join(f"{v:.3f}" for v in row) + ")," for row in rows]
        text += ["    ),"]
    return "\n".join([*text, "}", ""])
