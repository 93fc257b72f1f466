"""`lr_find` and `lr_range_test`: rates of problems whose best is known, and all put back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from small_run import MAKERS, Regression, after, shared, twins

import lrcore
from lrcore import LRFinder, lr_find, lr_range_test

# ----------------------------------------------------------------------------- the answer


@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0])
def test_the_rate_follows_the_curvature(spread):
    job = Regression(spread=spread)
    found = job.find(lrcore.SGD(job.w, lr=0.1), end=1e3)
    assert 0.1 < found.suggested * spread**2 < 1.5
    assert found.interval[0] < found.suggested < found.interval[1] <= found.lrs[-1]
    assert found.reliable


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [("SGD", 0.1, 1.5), ("Adam", 0.03, 1.0), ("Lion", 0.005, 0.5), ("Adagrad", 0.3, 10.0)],
)
def test_each_rule_has_a_rate_of_its_own(rule, low, high):
    job = Regression()
    found = job.find(getattr(lrcore, rule)(job.w))
    assert low < found.suggested < high
    assert found.reliable


def test_momentum_wants_less():
    job = Regression()
    plain = job.find(lrcore.SGD(job.w, lr=0.1)).suggested
    assert job.find(lrcore.SGD(job.w, lr=0.1, momentum=0.95)).suggested < 0.5 * plain


def test_repeats_use_other_batches():
    job = Regression(noise=2.0)
    found = job.find(lrcore.SGD(job.w, lr=0.1), repeats=3)
    assert found.losses.shape == found.gains.shape == (3, len(found.lrs))
    starts = found.losses[:, 0]
    assert len(set(starts)) == 3
    assert any("3 repeats say" in reason for reason in found.reasons)


def test_the_same_again():
    job = Regression()
    opt = lrcore.Adam(job.w, lr=0.1)
    assert job.find(opt).to_dict() == job.find(opt).to_dict()


def test_what_it_costs():
    job = Regression()
    opt = lrcore.SGD(job.w, lr=0.1)
    found = job.find(opt, loss_only=job.loss_only)
    full, forward = found.passes
    assert full == job.calls.count("both") <= 200
    assert forward == job.calls.count("loss") <= 100
    assert found.horizon >= 30
    job.calls.clear()
    found = job.find(opt, steps=40, repeats=2)
    assert found.passes == (len(job.calls), 0)
    assert len(job.calls) <= 2 * 2 * 40


def test_what_a_result_holds():
    job = Regression()
    found = job.find(lrcore.SGD(job.w, lr=0.1), start=1e-4, end=50.0)
    assert found.lrs[0] == 1e-4
    assert np.allclose(np.diff(np.log(found.lrs)), math.log(5e5) / 49)
    assert found.losses.shape == found.gains.shape == found.lrs.shape
    assert set(found.suggestions) == {"gain", "valley", "steepest", "minimum"}
    assert found.suggested == found.suggestions["gain"]
    assert json.loads(json.dumps(found.to_dict()))["interval"] == list(found.interval)
    text = str(found)
    assert text.startswith(f"learning rate {found.suggested:.2g} (from ")
    assert "exploded" in text


@pytest.mark.parametrize("method", ["valley", "steepest", "minimum"])
def test_other_methods(method):
    job = Regression()
    found = job.find(lrcore.SGD(job.w, lr=0.1), method=method)
    assert found.suggested == found.suggestions[method]
    assert 1e-4 < found.suggested < 2.0
    assert found.interval[0] < found.suggested < found.interval[1]


def test_one_batch_is_enough():
    job = Regression()
    found = lr_find(lrcore.SGD(job.w, lr=0.1), job.loss_and_grads, [job.rows.ravel()])
    assert found.reliable
    assert 0.1 < found.suggested < 2.0


# --------------------------------------------------------------------- nothing is changed


@pytest.mark.parametrize("name", MAKERS)
def test_the_training_that_follows(name):
    plain, run = twins(MAKERS[name])
    shared()
    grouped = len(run.opt.param_groups) == 2

    def loss_and_grads(batch):
        loss, grads = run.loss_and_grads(batch)
        return loss, [{"w": grads["w"]}, grads["b"]] if grouped else grads

    found = lr_find(run.opt, loss_and_grads, run.loader, steps=12, end=1.0)
    assert len(found.lrs) > 5
    losses = after(run)
    shared()
    assert losses == after(plain)
    assert run.bits() == plain.bits()
    assert run.loader.epoch == plain.loader.epoch


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_passes_and_all_is_put_back(error):
    plain, run = twins(MAKERS["AdamW"])
    shared()
    left = [20]

    def loss_and_grads(batch):
        left[0] -= 1
        if left[0] == 0:
            raise error
        return run.loss_and_grads(batch)

    with pytest.raises(error):
        lr_find(run.opt, loss_and_grads, run.loader)
    losses = after(run)
    shared()
    assert losses == after(plain)


def test_groups_keep_their_ratios_and_schedules_their_place():
    a, b, seen = np.ones(2), np.ones(2), []
    rate = lrcore.schedules.Cosine(0.3, steps=10)
    opt = lrcore.SGD([{"params": a, "lr": rate}, {"params": b, "lr": 0.03}])

    def loss_and_grads(_):
        rates = [group["lr"] for group in opt.param_groups]
        seen.append(rates)
        return float(a @ a + b @ b), [2 * a, 2 * b]

    lr_find(opt, loss_and_grads, [0])
    assert all(math.isclose(x, 10 * y) for x, y in seen)
    assert [group["lr"] for group in opt.param_groups] == [rate, 0.03]


def test_accumulated_batches_are_one_update():
    whole, parts = Regression(), Regression()
    parts.rows = parts.rows.reshape(40, 8)
    found = [
        lr_find(lrcore.SGD(job.w, lr=0.1), job.loss_and_grads, job.rows, accumulate=n)
        for job, n in ((whole, 1), (parts, 2))
    ]
    assert np.allclose(found[0].losses, found[1].losses)
    assert np.allclose(found[0].gains, found[1].gains, equal_nan=True)
    assert found[0].suggested == pytest.approx(found[1].suggested)


def test_a_loss_scale():
    plain, scaled = Regression(), Regression()
    opt = lrcore.SGD(scaled.w, lr=0.1, loss_scale=lrcore.LossScaler(init=1024.0))

    def loss_and_grads(rows):
        loss, grads = scaled.loss_and_grads(rows)
        return loss, grads * opt.loss_scale

    found = lr_find(opt, loss_and_grads, scaled.rows)
    expected = plain.find(lrcore.SGD(plain.w, lr=0.1))
    assert np.allclose(found.gains, expected.gains, equal_nan=True)


def test_gradients_of_rows():
    table, target = np.zeros((6, 2)), np.arange(12.0).reshape(6, 2)
    opt = lrcore.SGD(table, lr=0.1)

    def loss_and_grads(rows):
        error = table[rows] - target[rows]
        return 0.5 * (error**2).sum(), lrcore.RowGrad(rows, error, table.shape)

    found = lr_find(opt, loss_and_grads, [[0, 1, 2], [3, 4], [5]])
    assert np.allclose(found.gains[: 2 * 18 : 2], 1 - found.lrs[: 2 * 18 : 2] / 2)


def test_a_loss_to_be_raised():
    job = Regression()
    opt = lrcore.SGD(job.w, lr=0.1, maximize=True)

    def loss_and_grads(rows):
        loss, grads = job.loss_and_grads(rows)
        return 100 - loss, -grads

    found = lr_find(opt, loss_and_grads, job.rows)
    assert 0.05 < found.suggested < 1.5


# ----------------------------------------------------------------------------- range test


def test_a_linear_range():
    job = Regression(noise=0.5)
    opt = lrcore.SGD(job.w, lr=0.1)
    found = lr_range_test(opt, job.loss_and_grads, job.rows, end=3.0, steps=200)
    falls, rises = found.suggestions["falls"], found.suggestions["rises"]
    assert np.allclose(np.diff(found.lrs), 3.0 / 199)
    assert found.interval == (falls, rises)
    assert 0 < falls < 0.3
    assert 0.3 < rises < 2.5
    assert found.suggested == rises / 2
    assert job.w.tolist() == [0] * 4


def test_a_range_is_one_pass():
    job = Regression()
    found = lr_range_test(lrcore.SGD(job.w, lr=0.1), job.loss_and_grads, job.rows, end=0.1)
    assert len(found.lrs) == len(job.rows)
    assert "the loss never rises" in found.reasons[0]
    nothing = lr_range_test(lrcore.SGD(job.w), lambda rows: (1.0, np.zeros(4)), job.rows)
    assert not nothing.reliable
    assert math.isnan(nothing.suggested)


# ------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"start": -1}, ValueError, r"lr_find: start must be in \(0, inf\), got -1"),
        ({"start": 1.0, "end": 0.1}, ValueError, "end must be above start, 1.0, got 0.1"),
        ({"start": 1.0, "end": 1.0}, ValueError, "end must be above start"),
        ({"end": math.nan}, ValueError, "end must be in"),
        ({"end": "1"}, TypeError, "end must be a number"),
        ({"steps": 9}, ValueError, "steps must be an integer >= 10, got 9"),
        ({"steps": 20.0}, ValueError, r"steps must be an integer >= 10, got 20\.0"),
        ({"repeats": 0}, ValueError, "repeats must be an integer >= 1, got 0"),
        ({"method": "best"}, ValueError, "method must be"),
        ({"accumulate": 0}, ValueError, "accumulate must be"),
        ({"loss_only": 3}, TypeError, "lr_find: loss_only must be a function, got 3"),
        ({"generators": 3}, TypeError, "generators must be a list, got int"),
        ({"also": np.zeros(3)}, TypeError, "also must be a list, got ndarray"),
    ],
)
def test_arguments(options, kind, text):
    job = Regression()
    with pytest.raises(kind, match=text):
        job.find(lrcore.SGD(job.w, lr=0.1), **options)
    assert job.calls == []


@pytest.mark.parametrize(
    ("both", "kind", "text"),
    [
        (lambda rows: 1.0, TypeError, "lr_find: loss_and_grads must return a loss and gradients"),
        (lambda rows: ("x", np.zeros(4)), TypeError, "must return a number as the loss, got str"),
        (lambda rows: (1.0, np.zeros(3)), ValueError, r"grads: shape must be \(4,\), got \(3,\)"),
        (
            lambda rows: (1.0, [np.zeros(4)]),
            TypeError,
            "grads: must be a NumPy array or None, got list",
        ),
    ],
)
def test_what_the_loss_returns(both, kind, text):
    job = Regression()
    with pytest.raises(kind, match=text):
        lr_find(lrcore.SGD(job.w, lr=0.1), both, job.rows)


def test_other_bad_input():
    job = Regression()
    opt = lrcore.SGD(job.w, lr=0.1)
    with pytest.raises(TypeError, match="opt must be an optimizer of lrcore, got float"):
        lr_find(0.1, job.loss_and_grads, job.rows)
    for find in (lr_find, lr_range_test):
        text = f"{find.__name__}: loss_and_grads must be a function, got None"
        with pytest.raises(TypeError, match=text):
            find(opt, None, job.rows)
    with pytest.raises(TypeError, match="which can be gone through only once"):
        lr_find(opt, job.loss_and_grads, iter(job.rows))
    with pytest.raises(ValueError, match="batches must give at least one batch"):
        lr_find(opt, job.loss_and_grads, [])
    with pytest.raises(ValueError, match=r"LRFinder: rule must be an optimizer or one of .*AdamW"):
        LRFinder(rule="Adamm")
    finder = LRFinder()
    finder.ask()
    with pytest.raises(TypeError, match=r"LRFinder.tell: loss must be a number, got list"):
        finder.tell([1.0])
    with pytest.raises(ValueError, match=r"lr_range_test: end must be above start, 1\.0, got 0\.5"):
        lr_range_test(opt, job.loss_and_grads, job.rows, start=1.0, end=0.5)
    free = lrcore.ScheduleFreeSGD(job.w, lr=0.1)
    free.eval()
    with pytest.raises(ValueError, match="opt must be in training"):
        lr_find(free, job.loss_and_grads, job.rows)
