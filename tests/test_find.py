"""The finder: what it says of problems whose best rate is known, and of those that have none."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from small_run import MAKERS, after, shared, twins

import lrcore
from lrcore import LRFinder, lr_find, lr_range_test
from lrcore.instruments.finder import family, judge, suggest


class Regression:
    """y = x w, the inputs of one spread; the best rate of a gradient descent is near 1."""

    def __init__(self, *, noise=0.1, spread=1.0, seed=0, dtype=np.float64):
        rng = np.random.default_rng(seed)
        self.x = spread * rng.normal(size=(320, 4))
        self.y = self.x @ np.array([3.0, -2.0, 1.0, 4.0]) + noise * rng.normal(size=320)
        self.w = np.zeros(4, dtype)
        self.rows = np.arange(320).reshape(20, 16)
        self.calls = []

    def loss_and_grads(self, rows):
        self.calls.append("both")
        error = self.x[rows] @ self.w - self.y[rows]
        return (error**2).mean() / 2, (self.x[rows].T @ error / len(rows)).astype(self.w.dtype)

    def loss_only(self, rows):
        self.calls.append("loss")
        return ((self.x[rows] @ self.w - self.y[rows]) ** 2).mean() / 2

    def find(self, opt, **options):
        return lr_find(opt, self.loss_and_grads, self.rows, **options)


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


# ---------------------------------------------------------------------- nothing is changed


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


# ---------------------------------------------------------------------- when not to trust


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


# ------------------------------------------------------------------------------ ask and tell


def descent(finder, *, curvature=1.0, gains=True):
    """A parabola whose lowest point differs from batch to batch, by hand."""
    rng, w = np.random.default_rng(0), np.zeros(1)
    while not finder.done:
        if finder.begins:
            w[:] = 5.0
        lr, away = finder.ask(), 0.1 * rng.normal()
        loss, g = 0.5 * curvature * (w[0] - away) ** 2 + 1, curvature * (w[0] - away)
        w -= lr * g
        after = 0.5 * curvature * (w[0] - away) ** 2 + 1
        if gains:
            finder.tell(loss, slope=-lr * g * g, loss_after=after)
        else:
            finder.tell(loss)
    return finder.result()


@pytest.mark.parametrize("curvature", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("gains", [True, False])
def test_a_loop_by_hand(curvature, gains):
    found = descent(LRFinder(end=1e3, rule="SGD"), curvature=curvature, gains=gains)
    assert 0.03 < found.suggested * curvature < 2
    assert found.interval[0] < 1 / curvature < found.interval[1]
    assert found.reliable
    assert np.isnan(found.gains).all() == (not gains)


def test_asking_and_telling():
    finder = LRFinder(start=1e-3, end=1.0, steps=10, repeats=2)
    rates = []
    while not finder.done:
        assert finder.begins == (len(rates) % 10 == 0)
        rates.append(finder.ask())
        assert finder.ask() == rates[-1]
        finder.tell(1.0)
    assert rates == list(np.geomspace(1e-3, 1.0, 10)) * 2
    with pytest.raises(RuntimeError, match=r"LRFinder.ask: must not be called after done"):
        finder.ask()
    with pytest.raises(RuntimeError, match=r"LRFinder.tell: must follow ask"):
        finder.tell(1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_a_sweep_ends_early(bad):
    finder = LRFinder(steps=50, repeats=2)
    for i in range(12):
        finder.ask()
        finder.tell(1.0 + 0.01 * (i % 3) if i < 11 else bad)
    assert finder.begins
    assert not finder.done
    finder.ask()
    finder.tell(bad)
    found = finder.result()
    assert found.lrs.shape == (12,)
    assert found.losses.shape == (2, 12)
    assert any("stopped where the loss" in reason for reason in found.reasons)


def test_one_odd_batch_does_not_end_a_sweep():
    finder = LRFinder(steps=20)
    for i in range(20):
        finder.ask()
        finder.tell(9.0 if i == 8 else 1.0 + 0.1 * (i % 2))
    assert finder.done
    assert len(finder.result().lrs) == 20


def test_nothing_told_and_nothing_learned():
    found = LRFinder().result()
    assert not found.reliable
    assert math.isnan(found.suggested)
    flat = LRFinder(steps=30)
    while not flat.done:
        flat.ask()
        flat.tell(0.7)
    assert not flat.result().reliable


def test_the_rule_may_be_unknown():
    known, unknown = (descent(LRFinder(end=1e3, rule=r)) for r in ("SGD", None))
    ratio = [math.log(x.interval[1] / x.interval[0]) for x in (known, unknown)]
    assert ratio[1] > ratio[0]
    opt = lrcore.SGD(np.zeros(2), lr=0.1)
    assert descent(LRFinder(end=1e3, rule=opt)).suggested == known.suggested


# ------------------------------------------------------------------------------- the parts


def test_the_gain_ratio_of_a_parabola():
    w, curvature = np.full(3, 2.0), 4.0
    found = lr_find(
        lrcore.SGD(w, lr=0.1),
        lambda _: (0.5 * curvature * float(w @ w), curvature * w),
        [0],
        start=1e-3,
        loss_only=lambda _: 0.5 * curvature * float(w @ w),
    )
    before = found.lrs < 0.3  # until the loss is so small that its digits are gone
    assert np.allclose(found.gains[before], 1 - found.lrs[before] * curvature / 2)


def test_gains_are_of_steps_downhill():
    told = [
        np.array(x) for x in ([2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 1.0, np.inf], [-2.0, -2.0, 1.0, -1])
    ]
    found = suggest.gains(*told)
    assert found[:2].tolist() == [0.5, -0.5]
    assert np.isnan(found[2])
    assert found[3] == -math.inf


def test_families():
    def of(name, **options):
        return family.of(getattr(lrcore, name)(np.zeros(3), lr=0.1, **options))

    assert of("SGD") == pytest.approx((1, 0, 0), abs=0.1)
    assert of("SGD", momentum=0.9).growth == pytest.approx(0.63, abs=0.1)
    assert of("Lion") == pytest.approx((0, 0, 0), abs=0.01)
    assert of("Adam") == pytest.approx((0, 0, -0.6), abs=0.1)
    assert of("Adagrad").growth == pytest.approx(-0.6, abs=0.05)
    assert family.named("x", "adam") == family.named("x", lrcore.Adam(np.zeros(2)))


@pytest.mark.parametrize("name", lrcore.optimizers.__all__)
def test_every_rule_has_a_family(name):
    assert all(abs(x) <= 2 for x in family.named("x", name))


def test_decreasing_fit():
    assert suggest.decreasing(np.array([3.0, 1.0, 2.0, 0.0])).tolist() == [3, 1.5, 1.5, 0]
    assert suggest.decreasing(np.arange(4.0)).tolist() == [1.5] * 4


def test_the_bottom_of_a_bowl():
    x = np.array([0.0, 0.5, 1.5])
    assert suggest.bottom(x, 0.2 * (x - 0.6) ** 2) == pytest.approx(0.6)
    assert suggest.bottom(x, np.array([np.inf, 0.0, np.inf])) == pytest.approx(0.75)
    assert suggest.bottom(x, x) == 0.0


# ------------------------------------------------------------------------------ range test


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


# -------------------------------------------------------------------------------- bad input


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


def test_one_batch_is_enough():
    job = Regression()
    found = lr_find(lrcore.SGD(job.w, lr=0.1), job.loss_and_grads, [job.rows.ravel()])
    assert found.reliable
    assert 0.1 < found.suggested < 2.0


def test_gradients_that_are_not_finite_are_named():
    w = np.zeros(4)
    bad = np.full(4, np.nan)
    found = lr_find(lrcore.SGD(w), lambda batch: (1.0 + 0.01 * batch, bad), range(20))
    assert math.isnan(found.suggested)
    assert not found.reliable
    assert found.reasons[0].endswith("look at the gradients")


def test_a_test_that_is_not_over_is_not_reliable():
    finder = lrcore.LRFinder(rule="AdamW")
    rng = np.random.default_rng(0)
    for i in range(16):
        finder.ask()
        finder.tell(3 + 0.3 * rng.standard_normal() - 0.1 * i)
    found = finder.result()
    assert not found.reliable
    assert found.reasons[0] == "the test is not over: higher rates are still to be tried"
