"""How often `compare` tells equals apart, and others: ``python bench/instruments/ties.py``.

Two optimizers whose scores are noise about the same mean at all of their rates (equals), or which
have one good rate each whose means are one or two standard deviations of a run apart. The paired
interval is made of scores that the other seeds chose the rate of, of scores at the best rates, or
of both, as `lrcore.compare` has it.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from lrcore.instruments.trials.student import t_quantile

Floats = NDArray[np.float64]
RULES = ("chosen by others", "best", "both")


def held_out(scores: Floats) -> Floats:
    """Of (trials, rates, seeds): each seed at the rate with the lowest mean of the others."""
    others = scores.sum(axis=2, keepdims=True) - scores
    return np.take_along_axis(scores, others.argmin(axis=1)[:, None], axis=1)[:, 0]


def at_best(scores: Floats) -> Floats:
    """The seeds at the rate with the lowest mean."""
    return scores[np.arange(len(scores)), scores.mean(axis=2).argmin(axis=1)]


def t(difference: Floats) -> Floats:
    """Student's t of each trial."""
    error = difference.std(axis=1, ddof=1) / np.sqrt(difference.shape[1])
    return difference.mean(axis=1) / error


def told(first: int, second: int, seeds: int, trials: int, apart: float | None) -> list[float]:
    """Share of the trials in which each rule tells two with so many rates apart."""
    rng = np.random.default_rng((first, second, seeds))
    a, b = (rng.normal(size=(trials, count, seeds)) for count in (first, second))
    if apart is not None:
        a[:, 1:] += 3
        b[:, 1:] += 3
        b += apart
    far = t_quantile(0.975, seeds - 1)
    by_others, best = (t(choose(b) - choose(a)) for choose in (held_out, at_best))
    both = np.minimum(abs(by_others), abs(best)) * (np.sign(by_others) == np.sign(best))
    return [float(np.mean(abs(x) > far)) for x in (by_others, best, both)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    print(f"{'rates':>8} {'seeds':>6} {'apart':>6}" + "".join(f"{rule:>18}" for rule in RULES))
    for first, second in ((2, 2), (5, 5), (9, 9), (20, 20), (5, 2), (5, 1), (9, 1), (20, 1)):
        for seeds in (3, 5, 10, 20, 40):
            shares = told(first, second, seeds, trials, None)
            print(f"{first:>5}, {second} {seeds:>6} {'equal':>6}", end="")
            print("".join(f"{share:>18.1%}" for share in shares))
    for apart in (1.0, 2.0):
        for seeds in (3, 5, 10, 20):
            shares = told(5, 5, seeds, trials, apart)
            print(f"{5:>5}, {5} {seeds:>6} {apart:>6}", end="")
            print("".join(f"{share:>18.1%}" for share in shares))


if __name__ == "__main__":
    main()
