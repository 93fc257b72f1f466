"""When the finder says that its rate is not to be trusted, and why."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from small_run import Regression

import lrcore
from lrcore import lr_find
from lrcore.instruments.finder import judge


def test_a_frozen_model():
    job = Regression()
    opt = lrcore.SGD(job.w, lr=0.1)
    found = lr_find(opt, lambda rows: (job.loss_only(rows), np.zeros(4)), job.rows)
    assert not found.reliable
    assert math.isnan(found.suggested)
    assert "the gradient is zero" in found.reasons[0]
    assert str(found).startswith("no learning rate can be suggested")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_never_finite(value):
    w = np.zeros(3)
    found = lr_find(lrcore.Adam(w), lambda _: (value, np.ones(3)), [0])
    assert not found.reliable
    assert "not finite from the start" in found.reasons[0]
    assert len(found.lrs) == 1
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("nonfinite", ["raise", "skip", "ignore"])
def test_a_loss_that_turns_to_nan(nonfinite):
    job = Regression()
    opt = lrcore.SGD(job.w, lr=0.1, nonfinite=nonfinite)

    def loss_and_grads(rows):
        loss, grads = job.loss_and_grads(rows)
        return (math.nan, grads * math.nan) if abs(job.w).max() > 1e2 else (loss, grads)

    found = lr_find(opt, loss_and_grads, job.rows, end=100.0)
    assert found.lrs[-1] < 100.0
    assert 0.1 < found.suggested < 1.5
    assert found.reliable


def test_gradients_that_are_not_finite():
    job = Regression()
    found = lr_find(
        lrcore.SGD(job.w, lr=0.1), lambda rows: (job.loss_only(rows), np.full(4, np.inf)), job.rows
    )
    assert not found.reliable
    assert len(found.lrs) == 1


def test_noise_teaches_nothing():
    unreliable = 0
    for seed in range(10):
        rng, w = np.random.default_rng(seed), np.zeros(5)
        found = lr_find(
            lrcore.SGD(w, lr=0.1), lambda _, g=rng: (2 + g.normal(), g.normal(size=5)), [0, 1]
        )
        unreliable += not found.reliable
    assert unreliable == 10


def test_labels_without_meaning():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(2000, 10)), rng.normal(size=2000), np.zeros(10)

    def loss_and_grads(rows):
        error = x[rows] @ w - y[rows]
        return (error**2).mean() / 2, x[rows].T @ error / len(rows)

    found = lr_find(lrcore.Adam(w), loss_and_grads, np.arange(2000).reshape(50, 40))
    assert not found.reliable
    assert "no rate lowers the loss" in found.reasons[0]


def test_what_is_learned_at_once():
    """A little is to be learned, and a third of the best rate has learned it, too."""
    w = np.full(1, 0.9)
    found = lr_find(
        lrcore.SGD(w, lr=0.1), lambda b: (1 + 0.5 * float(w @ w) + 0.01 * b, w.copy()), [0, 1, 2]
    )
    assert not found.reliable
    assert "falls by 29 % and then stays" in found.reasons[0]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, None),
        ({"finite": False}, "not finite from the start"),
        ({"moves": False}, "the gradient is zero"),
        ({"survives": False}, "look at the gradients"),
        ({"drop": 0.1}, r"10\.0 % at best; 20 % are asked for"),
        ({"drop": -0.1}, r"\(0\.0 % at best"),
        ({"drop": math.nan}, "no rate lowers the loss by much"),
        ({"z": 3.0}, r"varies between batches \(3\.0 standard errors, 4\.5"),
        ({"z": math.inf}, None),
        ({"behind": 0.05}, "falls by 40 % and then stays"),
        ({"behind": 0.05, "drop": 0.9}, None),
        ({"behind": math.nan}, None),
    ],
)
def test_what_speaks_against_an_answer(changes, text):
    right = {"moves": True, "survives": True, "finite": True}
    sign = judge.Sign(drop=0.4, enough=0.2, z=9.0, behind=0.3, **right)
    said = judge._against([sign._replace(**changes)])
    assert bool(said) == (text is not None)
    if text is not None:
        assert re.search(text, said[0])


def test_a_model_that_is_trained():
    job = Regression(noise=1.0)
    opt = lrcore.SGD(job.w, lr=0.1)
    for rows in list(job.rows) * 20:
        opt.step(job.loss_and_grads(rows)[1])
    found = job.find(opt)
    assert not found.reliable
    assert "trained already" in found.reasons[0]


def test_an_overflow_on_the_way_is_no_warning():
    w = np.ones(3, np.float32)

    def loss_and_grads(_):
        return float(np.exp(w * w).sum()), 2 * w * np.exp(w * w)

    found = lr_find(lrcore.Adam(w), loss_and_grads, [0], end=1e3)
    assert 0.003 < found.suggested < 1.0


def test_state_in_a_file(tmp_path):
    job = Regression()
    opt = lrcore.Adam(job.w, lr=0.1, state_file=tmp_path / "state")
    opt.step(np.ones(4))
    before = {k: a.copy() for k, a in opt.state[""].items()}, job.w.copy()
    job.find(opt)
    assert all((opt.state[""][k] == a).all() for k, a in before[0].items())
    assert (job.w == before[1]).all()
    assert opt.step(np.ones(4))


def test_gradients_that_are_not_finite_are_named():
    w = np.zeros(4)
    bad = np.full(4, np.nan)
    found = lr_find(lrcore.SGD(w), lambda batch: (1.0 + 0.01 * batch, bad), range(20))
    assert math.isnan(found.suggested)
    assert not found.reliable
    assert found.reasons[0].endswith("look at the gradients")
