"""Meaning: narrow storage trains; what it loses is what docs/memory.md says it loses.

Networks in PyTorch are in frameworks/test_narrow.py, the formats themselves in test_storage.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import missing

import lrcore
from lrcore import schedules
from lrcore.reference import storage

#: Two-sided limit of a standard normal number at a significance of 1e-6.
Z = 4.9


@pytest.fixture
def bf16():
    try:
        from ml_dtypes import bfloat16
    except ImportError:
        missing("ml_dtypes")
    return np.dtype(bfloat16)


# ------------------------------------------------------------------------- a network


@pytest.mark.parametrize(
    "options",
    [
        {"state_dtype": "bfloat16", "rounding": "stochastic"},
        {"state_dtype": "int8"},
        {"state_dtype": "int8", "rounding": "stochastic"},
    ],
    ids=lambda o: " ".join(o.values()),
)
def test_narrow_state_ends_within_1_percent_of_float32(options):
    """AdamW on the digits network, mean over three seeds; 900 updates, so that the loss is not 0."""
    missing_names = [n for n in ("sklearn", "ml_dtypes") if not _has(n)]
    if missing_names:
        missing(missing_names[0])
    ratios = [digits_loss(seed, **options) / digits_loss(seed) for seed in range(3)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)


def _has(name):
    from importlib.util import find_spec

    return find_spec(name) is not None


def digits_loss(seed, **options):
    """Mean loss of the last tenth of the batches."""
    from lrcore.tasks import digits, fit

    task = digits.load(seed=seed)
    params = task.init()
    updates = 10 * task.updates_per_epoch
    rate = schedules.Cosine(3e-3, steps=updates, warmup=updates // 20)
    run = fit(task, params, lrcore.AdamW(params, lr=rate, seed=seed, **options), epochs=10)
    assert not run.stopped
    return np.mean(run.losses[-updates // 10 :])
