"""Curves of which the truth is known: ``python bench/instruments/synthetic.py [--runs N]``.

Healthy ones, by which false alarms are counted, and ones with a planted fault, by which power is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrcore

Array = NDArray[np.float64]
#: What would be a false alarm on a healthy curve.
ALARMS = ("diverged", "spiking", "lr_too_high", "lr_too_low", "oscillating", "overfitting")


def ar(rng: np.random.Generator, n: int, phi: float) -> Array:
    """Noise of variance 1 that remembers."""
    e = rng.standard_normal(n) * np.sqrt(1 - phi * phi)
    out = np.empty(n)
    last = rng.standard_normal()
    for i in range(n):
        last = phi * last + e[i]
        out[i] = last
    return out


def exponential(rng: np.random.Generator, n: int, noise: Array) -> Array:
    """Down to a floor, the noise in proportion."""
    clean = 2.3 * np.exp(-np.arange(n) / (n * rng.uniform(0.03, 0.3))) + rng.uniform(0.2, 0.8)
    return np.asarray(clean * np.exp(0.1 * noise))


def power(rng: np.random.Generator, n: int, noise: Array) -> Array:
    """As losses of large models fall."""
    clean = 3 * (1 + np.arange(n) / 10) ** -rng.uniform(0.1, 0.5)
    return np.asarray(clean * np.exp(0.05 * noise))


def edge(rng: np.random.Generator, n: int, noise: Array) -> Array:
    """Edge of stability: swings of period 2 that come and go on a loss that falls."""
    t = np.arange(n)
    clean = 2 * np.exp(-t / (n * rng.uniform(0.2, 0.5))) + 0.1
    burst = np.maximum(np.sin(t / n * rng.uniform(20, 60)), 0)
    return np.asarray(clean * (1 + 0.15 * burst * (-1.0) ** t) * np.exp(0.01 * noise))


HEALTHY: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "iid": lambda rng, n: 1 + 0.1 * rng.standard_normal(n),
    "AR(1) .5": lambda rng, n: 1 + 0.1 * ar(rng, n, 0.5),
    "AR(1) .9": lambda rng, n: 1 + 0.1 * ar(rng, n, 0.9),
    "Student t, 4": lambda rng, n: 10 + rng.standard_t(4, n),
    "exponential noise": lambda rng, n: rng.exponential(1.0, n),
    "exponential decay": lambda rng, n: exponential(rng, n, rng.standard_normal(n)),
    "exponential decay, AR(1) .8": lambda rng, n: exponential(rng, n, ar(rng, n, 0.8)),
    "exponential decay, Student t": lambda rng, n: exponential(rng, n, rng.standard_t(5, n)),
    "power decay": lambda rng, n: power(rng, n, rng.standard_normal(n)),
    "edge of stability": lambda rng, n: edge(rng, n, rng.standard_normal(n)),
}


def spiked(rng: np.random.Generator, n: int) -> Array:
    """One update in a hundred at twice the loss or more."""
    x = exponential(rng, n, rng.standard_normal(n))
    at = rng.choice(n, max(n // 100, 8), replace=False)
    x[at] *= rng.uniform(2.5, 10, len(at))
    return x


def blown(rng: np.random.Generator, n: int) -> Array:
    """From some update on the loss grows past twice the start, over a tenth of the run."""
    x = exponential(rng, n, rng.standard_normal(n))
    start = int(n * rng.uniform(0.4, 0.75))
    x[start:] *= np.exp(
        np.minimum(np.arange(n - start) / (0.1 * n), 1) * np.log(6 / x[-20:].mean())
    )
    return x


def broken(rng: np.random.Generator, n: int) -> Array:
    """NaN from some update on."""
    x = exponential(rng, n, rng.standard_normal(n))
    x[rng.integers(n // 5, n - 1) :] = np.nan
    return x


def swinging(rng: np.random.Generator, n: int) -> Array:
    """Period 2, as large as the noise twice over, on a loss that no longer falls."""
    return np.asarray(1 + 0.1 * rng.standard_normal(n) + 0.2 * (-1.0) ** np.arange(n))


PLANTED: dict[str, tuple[str, Callable[[np.random.Generator, int], Array]]] = {
    "spikes": ("spiking", spiked),
    "divergence": ("diverged", blown),
    "NaN": ("diverged", broken),
    "period 2": ("oscillating", swinging),
}


def validation(rng: np.random.Generator, points: int, rise: float) -> Array:
    """A validation loss that falls for 40 % of the points, then rises by `rise` of its fall."""
    t = np.linspace(0, 1, points)
    down = np.exp(-t / 0.1)
    up = rise * np.maximum(t - 0.4, 0) / 0.6
    return np.asarray(0.5 + down + up + 0.02 * rng.standard_normal(points))


def with_validation(rng: np.random.Generator, n: int, rise: float) -> dict[str, Any]:
    """A falling training loss, and 25 validation losses beside it."""
    losses = exponential(rng, n, rng.standard_normal(n))
    losses *= np.linspace(1, 0.7, n)
    column = np.full(n, np.nan)
    at = np.linspace(0, n - 1, 25).astype(int)
    column[at] = validation(rng, 25, rise)
    return {"losses": losses, "val_losses": column}


def measure(runs: int) -> dict[str, Any]:
    """Shares of curves, by kind, that were called each verdict."""
    rng = np.random.default_rng(1)
    out: dict[str, Any] = {"healthy": {}, "planted": {}}

    def count(make: Callable[[int], dict[str, Any]], shortest: int = 200) -> dict[str, float]:
        lengths = (shortest, 1000, 5000)
        found: dict[str, int] = {}
        for i in range(runs):
            data = make(lengths[i % len(lengths)])
            verdict = lrcore.diagnose(data.pop("losses"), **data).verdict
            found[verdict] = found.get(verdict, 0) + 1
        return {name: number / runs for name, number in sorted(found.items())}

    for name, curve in HEALTHY.items():
        out["healthy"][name] = count(lambda n, curve=curve: {"losses": curve(rng, n)})
    out["healthy"]["validation falls"] = count(lambda n: with_validation(rng, n, 0.0))
    for name, (verdict, curve) in PLANTED.items():
        shares = count(lambda n, curve=curve: {"losses": curve(rng, n)}, 400)
        out["planted"][name] = {"verdict": verdict, "shares": shares}
    shares = count(lambda n: with_validation(rng, n, 0.5))
    out["planted"]["validation rises"] = {"verdict": "overfitting", "shares": shares}
    return out


def report(result: dict[str, Any]) -> str:
    """Tables in Markdown."""
    lines = ["| healthy curve | flagged, of 1000 | as |", "|---|---:|---|"]
    for name, shares in result["healthy"].items():
        wrong = {k: v for k, v in shares.items() if k in ALARMS}
        what = ", ".join(f"{k} {1000 * v:.1f}" for k, v in wrong.items())
        lines.append(f"| {name} | {1000 * sum(wrong.values()):.1f} | {what} |")
    lines += ["", "| planted | found | else |", "|---|---:|---|"]
    for name, one in result["planted"].items():
        shares = dict(one["shares"])
        power = shares.pop(one["verdict"], 0.0)
        lines.append(
            f"| {name} | {power:.3f} | {', '.join(f'{k} {v:.3f}' for k, v in shares.items())} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3000, help="curves of each kind")
    parser.add_argument("-o", type=Path, help="JSON file")
    args = parser.parse_args()
    result = measure(args.runs)
    print(report(result))
    if args.o:
        args.o.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
