"""Runs whose verdicts are known, as the logs that a command is given."""

import numpy as np

N = 2000
RNG = np.random.default_rng(0)
NOISE = 0.05 * RNG.standard_normal(N)
T = np.arange(N)
FALL = 2 * np.exp(-T / 300) + 0.5
RUNS = {
    "healthy": FALL + NOISE,
    "diverged": FALL + NOISE + 0.02 * np.maximum(T - 1500, 0),
    "nan": np.where(T < 1900, FALL + NOISE, np.nan),
    "spiking": np.where(RNG.random(N) < 0.01, 8 * FALL, FALL + NOISE),
    "short": FALL[:40],
    "flat": 0.5 + NOISE,
}


def as_csv(losses, **columns):
    """The log of a run, with more columns beside its losses."""
    names = ["step", "loss", *columns]
    rows = zip(range(len(losses)), losses, *columns.values(), strict=True)
    return "\n".join([",".join(names), *(",".join(f"{x:.6g}" for x in row) for row in rows), ""])
