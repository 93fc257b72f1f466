"""Probes: what they find, what they leave behind, and what they say of their horizon."""

import json
import math

import numpy as np
import pytest

import lrcore
from lrcore import schedules
from lrcore.instruments.trials.probe import ProbeResult, probe_lr
from lrcore.instruments.trials.student import t_cdf, t_quantile

CURVE = np.array([1.0, 3.0, 10.0])


class Bowl:
    """A noisy bowl: `scale` is the noise of its batches, `drop` draws from a generator."""

    def __init__(self, make, scale=0.01, drop=False, dtype=np.float64):
        self.w = np.full(3, 3.0, dtype)
        self.opt = make(self.w)
        self.batches = list(np.random.default_rng(0).normal(size=(100, 3)) * scale)
        self.rng, self.drop, self.calls = np.random.default_rng(1), drop, []

    def __call__(self, batch):
        self.calls.append(batch)
        kept = self.rng.random(3) < 0.8 if self.drop else 1.0
        off = (self.w - batch) * kept
        return float(CURVE @ (off * off) / 2), (CURVE * off).astype(self.w.dtype)

    def train(self, batches):
        """The losses of some updates."""
        losses = []
        for batch in batches:
            loss, grads = self(batch)
            losses.append(loss)
            self.opt.step(grads, loss=loss)
        return losses


def probed(lr, **options):
    run = Bowl(lambda w: lrcore.SGD(w, lr=lr), **options)
    return lrcore.probe_lr(run.opt, run, run.batches, steps=20)


# ------------------------------------------------------------------------------ what it finds


@pytest.mark.parametrize(("lr", "best"), [(0.001, 3.0), (0.15, 1.0)])
def test_the_best_factor(lr, best):
    result = probed(lr)
    assert (result.best, result.decided) == (best, True)
    assert result.confidence > 0.99
    assert result.lr == lr
    assert f"{lr * best:.3g}" in result.advice
    assert ("Raise" in result.advice) == (best > 1)
    assert result.losses.shape == result.halfway.shape == (5, 3)


def test_divergence_is_an_answer():
    result = probed(0.15)
    assert np.isinf(result.losses[:, 2]).all()
    assert result.differences[2] == math.inf
    assert "diverged" in str(result)
    higher = probed(0.3)
    assert higher.best == pytest.approx(1 / 3)
    assert higher.decided
    assert higher.advice.startswith("Lower the rate to 0.1 or less: 0.3 diverged over the next 20")
    np.testing.assert_array_equal(higher.differences, [-math.inf, math.nan, math.nan])


def test_all_diverge():
    result = probed(1e3)
    assert np.isinf(result.losses).all()
    assert (result.confidence, result.decided) == (0.0, False)
    assert "far too high; try 33.3" in result.advice
    assert json.dumps(result.to_dict(), allow_nan=False)


def test_what_is_raised_for_a_number_out_of_range_is_divergence():
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.01))

    def fails(batch):
        if abs(run.w).max() > 4:
            raise OverflowError("math range error")
        return run(batch)

    result = probe_lr(run.opt, fails, run.batches, factors=(1, 100), steps=10, repeats=2)
    assert np.isinf(result.losses).tolist() == [[False, True]] * 2


def test_gradients_that_are_not_finite_are_divergence():
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.01))

    def fails(batch):
        loss, grads = run(batch)
        return loss, grads * (math.nan if abs(run.w).max() > 4 else 1)

    result = probe_lr(run.opt, fails, run.batches, factors=(1, 100), steps=10, repeats=2)
    assert np.isinf(result.losses).tolist() == [[False, True]] * 2


def test_a_loss_of_training_that_is_not_finite_is_divergence():
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.01))

    def fails(batch):
        loss, grads = run(batch)
        return (math.inf if abs(run.w).max() > 4 else loss), grads * 0.1

    options = {"factors": (1, 100), "steps": 10, "repeats": 2, "loss_only": lambda b: 1.0}
    wild = probe_lr(run.opt, fails, run.batches, **options)
    assert np.isinf(wild.losses).tolist() == [[False, False]] * 2
    options["factors"] = (1, 1000)
    wild = probe_lr(run.opt, fails, run.batches, **options)
    assert np.isinf(wild.losses).tolist() == [[False, True]] * 2


def test_no_warning_on_the_way_to_inf():
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.01))

    def fails(batch):
        return float(np.exp(run.w * run.w).sum()), run(batch)[1]

    result = probe_lr(run.opt, fails, run.batches, factors=(1, 100), steps=10, repeats=2)
    assert np.isinf(result.losses).tolist() == [[False, True]] * 2


def test_nothing_differs():
    """Losses that do not depend on the parameters: nothing is claimed."""
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.1))
    result = probe_lr(run.opt, lambda b: (float(b @ b), np.zeros(3)), run.batches)
    assert (result.confidence, result.decided) == (0.5, False)
    assert result.advice.startswith("Keep 0.1: nothing else is better for certain over the next 50")


def test_noise_is_not_decided():
    """Losses that are noise; 5 % of 100 probes may decide."""
    rng, decided = np.random.default_rng(0), 0
    for _ in range(100):
        losses = rng.normal(size=(5, 3)) + 10
        result = ProbeResult(0.1, (1 / 3, 1.0, 3.0), losses, losses, 10.0, 50, 0)
        decided += result.decided
    assert decided <= 10


def test_differences_are_paired():
    losses = np.array([[1.0, 2.0, 3.1], [11.0, 12.1, 13.0], [21.0, 22.0, 23.0]])
    result = ProbeResult(0.1, (0.5, 1.0, 2.0), losses, losses, 10.0, 50, 0)
    paired = losses[:, 0] - losses[:, 1]
    error = paired.std(ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(result.differences, [paired.mean(), 0, 1.0])
    np.testing.assert_allclose(
        result.intervals[0], paired.mean() + np.array([-1, 1]) * t_quantile(0.975, 2) * error
    )
    assert result.confidence == pytest.approx(t_cdf(-paired.mean() / error, 2))
    assert (result.best, result.decided, result.level) == (0.5, True, 95)
    five = ProbeResult(1.0, (0.1, 0.5, 1.0, 2.0, 9.0), np.ones((2, 5)), losses, 1.0, 5, 0)
    assert five.level == 97.5


def test_the_horizon_is_said_and_a_lead_that_shrinks_too():
    end, half = np.array([[1.0, 1.5]] * 3), np.array([[2.0, 3.0]] * 3)
    shrinks = ProbeResult(0.1, (0.5, 1.0), end, half, 9.0, 40, 0)
    grows = ProbeResult(0.1, (0.5, 1.0), end, end + [[0.0, -0.3]], 9.0, 40, 0)
    assert (shrinks.shrinking, grows.shrinking) == (True, False)
    for result in (shrinks, grows):
        assert "over the next 40 updates" in result.advice
        assert "short horizon prefers small rates" in result.advice
        assert "steps=160" in result.advice
    assert shrinks.advice.startswith("Not yet: 0.05 is better")
    assert grows.advice.startswith("Lower the rate to 0.05")


def test_schedules_are_multiplied():
    run = Bowl(lambda w: lrcore.SGD(w, lr=schedules.Linear(0.01, steps=50, warmup=5)))
    result = probe_lr(run.opt, run, run.batches, factors=(1, 2.0), steps=20)
    assert result.scheduled
    assert "Raise the schedule to 2 times the schedule" in result.advice
    twice = Bowl(lambda w: lrcore.SGD(w, lr=schedules.Linear(0.02, steps=50, warmup=5)))
    now = probe_lr(twice.opt, twice, twice.batches, factors=(1,), steps=20)
    np.testing.assert_allclose(result.losses[:, 1], now.losses[:, 0], rtol=1e-9)


def test_groups_keep_their_ratios():
    a, b = np.ones(2), np.ones(2)
    opt = lrcore.SGD([{"params": a, "lr": 0.1}, {"params": b, "lr": 0.01}])
    seen = set()

    def loss_and_grads(batch):
        seen.add(tuple(round(g["lr"], 6) for g in opt.param_groups))
        return float(a @ a + b @ b), [2 * a, 2 * b]

    probe_lr(opt, loss_and_grads, [0], factors=(1, 3), steps=2, repeats=2)
    assert seen == {(0.1, 0.01), (0.3, 0.03)}
    assert [g["lr"] for g in opt.param_groups] == [0.1, 0.01]


def test_every_factor_sees_the_same_batches_and_noise():
    run = Bowl(lambda w: lrcore.SGD(w, lr=1e-9), drop=True)
    options = {"steps": 6, "repeats": 3, "evaluation": 2}
    result = probe_lr(run.opt, run, run.batches, factors=(0.5, 1, 2), **options)
    assert result.passes == len(run.calls) == 2 + 3 * 3 * (6 + 2 + 2)
    shape = (3, 3, -1, 3)
    calls = np.array(run.calls[2:]).reshape(shape)
    assert (calls == calls[:, :1]).all()
    assert not (calls[0] == calls[1]).all()
    np.testing.assert_allclose(result.losses.T, [result.losses[:, 1]] * 3, rtol=1e-6)
    assert np.ptp(result.losses[:, 1]) > 1e-3


def test_batches_that_are_seen_again_come_in_another_order():
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.01), scale=1.0)
    result = probe_lr(run.opt, run, run.batches[:5], steps=10, evaluation=5)
    assert len(set(result.losses[:, 1])) == 5


def test_the_loss_alone():
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.01))
    cheap = []

    def loss_only(batch):
        cheap.append(batch)
        return run(batch)[0]

    a = probe_lr(run.opt, run, run.batches, steps=8, repeats=2, loss_only=loss_only)
    b = probe_lr(run.opt, run, run.batches, steps=8, repeats=2)
    np.testing.assert_array_equal(a.losses, b.losses)
    assert (a.before, a.passes) == (b.before, b.passes)
    assert len(cheap) == a.passes - 2 * 3 * 8


def test_schedule_free_is_evaluated_at_its_average():
    run = Bowl(lambda w: lrcore.ScheduleFreeSGD(w, lr=0.05))
    result = probe_lr(run.opt, run, run.batches[:1], factors=(1,), steps=3, repeats=2)
    assert run.opt.training
    run.train(run.batches[:1] * 3)
    assert abs(result.losses[0, 0] - run(run.batches[0])[0]) > 0.1
    run.opt.eval()
    assert result.losses[0, 0] == pytest.approx(run(run.batches[0])[0], rel=1e-12)


# ------------------------------------------------------------------------ what it leaves behind

MAKERS = {
    "AdamW": lambda w: lrcore.AdamW(w, lr=schedules.Cosine(0.05, steps=100, warmup=5)),
    "momentum": lambda w: lrcore.SGD(w, lr=0.01, momentum=0.9),
    "Plateau": lambda w: lrcore.SGD(w, lr=schedules.Plateau(0.01, patience=1, factor=0.5)),
    "schedule-free": lambda w: lrcore.ScheduleFreeAdamW(w, lr=0.05),
    "Prodigy": lambda w: lrcore.Prodigy(w),
    "averages": lambda w: lrcore.Adam(w, lr=0.05, ema=0.9, lookahead=4),
    "Polyak": lambda w: lrcore.PolyakSGD(w),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_training_that_follows_is_that_without_it(make):
    alone, run = Bowl(make, drop=True), Bowl(make, drop=True)
    assert alone.train(alone.batches[:15]) == run.train(run.batches[:15])
    probe_lr(run.opt, run, run.batches, steps=7, repeats=2)
    assert run.train(run.batches[15:30]) == alone.train(alone.batches[15:30])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_everything_is_put_back_after_an_exception(error):
    alone, run = (Bowl(lambda w: lrcore.Adam(w, lr=0.1), drop=True) for _ in range(2))

    def fails(batch):
        if len(run.calls) == 40:
            raise error("in the middle")
        return run(batch)

    with pytest.raises(error, match="in the middle"):
        probe_lr(run.opt, fails, run.batches)
    run.calls.clear()
    assert run.opt.lr == 0.1
    assert run.train(run.batches[:10]) == alone.train(alone.batches[:10])


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"opt": 3}, TypeError, "opt must be an optimizer of lrcore, got 3"),
        ({"loss_and_grads": 3}, TypeError, "loss_and_grads must be a function, got 3"),
        ({"batches": iter([1])}, TypeError, "batches must be a list, a loader, or a function"),
        ({"factors": (0.5, 2)}, ValueError, r"factors must have 1 among them, got \[0.5, 2.0\]"),
        ({"factors": (1, 1)}, ValueError, "factors must be distinct"),
        ({"factors": (1, -3)}, ValueError, r"factors\[1\] must be in \(0, inf\), got -3"),
        ({"steps": 0}, ValueError, "steps must be an integer"),
        ({"repeats": 1}, ValueError, "repeats must be an integer"),
        ({"evaluation": 1.5}, ValueError, "evaluation must be an integer"),
        ({"loss_only": 1}, TypeError, "loss_only must be a function, got 1"),
    ],
)
def test_what_is_refused_runs_nothing(change, error, message):
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.1))
    arguments = {"opt": run.opt, "loss_and_grads": run, "batches": run.batches, **change}
    with pytest.raises(error, match=rf"^probe_lr: {message}"):
        probe_lr(**arguments)
    assert run.calls == []
    assert (run.w == 3).all()


def test_no_batch():
    run = Bowl(lambda w: lrcore.SGD(w, lr=0.1))
    with pytest.raises(ValueError, match="probe_lr: batches must give at least one batch"):
        probe_lr(run.opt, run, [])


def test_one_factor_alone_is_not_better_than_others():
    w = np.ones(3)
    opt = lrcore.SGD(w, lr=0.1)
    said = str(
        lrcore.probe_lr(opt, lambda b: (float(w @ w), 2 * w), [None], factors=(1.0,), steps=4)
    )
    assert "nothing to compare" in said
    assert "others" in said
    assert "better than" not in said
