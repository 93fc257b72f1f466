"""What comparing with a peer's schedules needs: draws, and a comparison that says where."""

from __future__ import annotations

import random
from importlib import import_module

import numpy as np
from support import missing

DRAWS = 60
UPDATES = 130


def peer(*names):
    """Import modules of a peer, or skip (in CI: fail) for want of them."""
    try:
        return [import_module(name) for name in names]
    except ImportError:
        missing(names[0])


def draws(what, n=DRAWS):
    """Sources of random numbers, each with the same numbers in every run."""
    return [random.Random(f"{what} {i}") for i in range(n)]


def rate(r):
    return r.choice([1.0, 0.1, 10 ** r.uniform(-5, 0)])


def same(ours, theirs, *, rtol=1e-12, atol=1e-14, starts=(), low=None):
    """Assert that the values of updates 0, 1, ... are the peer's.

    At `starts`, where a cycle begins, the peer's rounded logarithm may say that it does not yet:
    there its value may also be `low`.
    """
    theirs = np.asarray(theirs, np.float64)
    got = ours(range(len(theirs)))
    near = np.isclose(got, theirs, rtol=rtol, atol=atol * max(got.max(), 1e-300))
    for start in starts:
        t = round(start)
        if abs(start - t) < 1e-6 and 0 <= t < len(theirs) and not near[t]:
            near[t] = abs(theirs[t] - low) <= 1e-6 * got.max()
    if not near.all():
        t = int(np.argmin(near))
        window = slice(max(t - 2, 0), t + 3)
        raise AssertionError(f"{ours!r}: at {t} {got[window]}, the peer {theirs[window]}")
