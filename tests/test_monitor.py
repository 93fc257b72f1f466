"""Monitor: the diagnosis of its own numbers, the cost of watching, early stops."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import BACKENDS

import lrcore
from lrcore.instruments import DivergedError, DivergedWarning
from lrcore.instruments.diagnosis import monitor as module

CURVATURE = np.geomspace(0.05, 1.0, 40)


def loss_of(w, target):
    return float(0.5 * np.sum(CURVATURE * (w - target) ** 2))


def run(updates, lr=0.05, watch=None, **options):
    """SGD on a noisy parabola; what a monitor is told, and the optimizer's own statistics."""
    rng = np.random.default_rng(7)
    w = rng.standard_normal(40)
    opt = lrcore.SGD(w, lr=lr, stats=True, **options)
    monitor = lrcore.Monitor(opt, on_divergence="ignore")
    told = {name: [] for name in ("loss", "lr", "val", "cos", "gain", "grad_norm", "step_norm")}
    told["param_norm"] = []
    for t in range(updates):
        target = 0.1 * rng.standard_normal(40)
        before, lr_now = loss_of(w, target), opt.lr
        opt.step(CURVATURE * (w - target))
        after = loss_of(w, target) if t % 3 == 0 else None
        val = loss_of(w, 0.0) if t % 50 == 49 else None
        stats = opt.stats
        told["loss"].append(before)
        told["lr"].append(lr_now)
        told["val"].append(np.nan if val is None else val)
        told["gain"].append(np.nan if after is None else (after - before) / stats.slope)
        for name in ("cos", "grad_norm", "step_norm", "param_norm"):
            told[name].append(getattr(stats, name))
        monitor.update(before, val, loss_after=after)
        if watch is not None:
            watch(t, monitor)
    return monitor, told


def same(a, b):
    """Two diagnoses, bit for bit."""
    assert a.to_dict() == b.to_dict()
    assert str(a) == str(b)
    for name in ("steps", "width"):
        assert getattr(a.curve, name) == getattr(b.curve, name)
    for name in ("loss", "low", "high", "lr", "cos", "gain", "val_loss"):
        assert_array_equal(getattr(a.curve, name), getattr(b.curve, name), err_msg=name)


def diagnosed(told, opt):
    stats = {k: told[k] for k in ("cos", "gain", "grad_norm", "step_norm", "param_norm")}
    return lrcore.diagnose(
        told["loss"], lrs=told["lr"], val_losses=told["val"], stats=stats, rule=opt
    )


@pytest.mark.parametrize("updates", [1, 99, 700, module.ROWS, module.ROWS + 1, 9001])
def test_a_report_is_the_diagnosis_of_the_same_numbers(updates):
    monitor, told = run(updates, lr=lrcore.schedules.Cosine(0.1, 10_000))
    assert monitor.steps == updates
    same(monitor.report(), diagnosed(told, monitor._opt))


def test_reports_in_between_change_nothing():
    def look(t, monitor):
        if t % 97 == 0:
            monitor.report()

    monitor, told = run(5000, watch=look)
    first = monitor.report()
    same(first, diagnosed(told, monitor._opt))
    monitor.update(1.0)
    assert first.curve.steps == first.steps == 5000


@BACKENDS
def test_a_few_of_many_steps_are_measured(backend):
    w = np.ones(40)
    opt = lrcore.SGD(w, lr=0.05, backend=backend)
    with lrcore.Monitor(opt, every=16) as monitor:
        measured, cosines = [], []
        for _ in range(40):
            opt.step(CURVATURE * w)
            monitor.update(loss_of(w, 0.0))
            measured.append(monitor.measured)
            cosines.append(opt.stats.cos if monitor.measured else np.nan)
        assert measured == [t % 16 < 4 for t in range(40)]
        assert np.isnan([cosines[0], cosines[16], cosines[32]]).all()
        assert_array_equal(monitor.report().curve.cos, cosines)
        assert np.isfinite(cosines).sum() == 9
        assert "trace" in opt.state[""]
    assert "trace" not in opt.state[""]
    monitor.update(1.0)
    assert monitor.report().steps == 41
    monitor.close()  # again


def test_watching_changes_no_bit_of_the_run():
    rng = np.random.default_rng(1)
    grads = rng.standard_normal((30, 5000)).astype(np.float32)
    ends = []
    for every in (None, 0, 1, 7):
        w = np.ones(5000, np.float32)
        opt = lrcore.AdamW(w, lr=0.01, ema=0.9)
        for t, g in enumerate(grads):
            if t == 5 and every is not None:
                monitor = lrcore.Monitor(opt, every=every)
            opt.step(g)
            if t == 20 and every is not None:
                monitor.close()
        ends.append((w.tobytes(), opt.state[""]["m"].tobytes(), opt.averages().tobytes()))
    assert len(set(ends)) == 1


def test_what_is_measured_without_being_asked():
    """All steps of few parameters and where the optimizer measures; otherwise a few."""
    small, large = np.zeros(module.SMALL - 1), np.zeros(module.SMALL)
    assert lrcore.Monitor(lrcore.SGD(small))._opt._layout.watched == 1
    assert lrcore.Monitor(lrcore.SGD(large))._opt._layout.watched == module.SELDOM
    opt = lrcore.SGD(large, stats=True)
    with lrcore.Monitor(opt, every=100):
        for _ in range(6):
            opt.step(np.ones(module.SMALL))
    assert np.isfinite(opt.stats.cos)
    plain = lrcore.SGD(small)
    with lrcore.Monitor(plain, every=8), lrcore.Monitor(plain, every=0):
        assert plain._layout.watched == 0
    assert plain._layout.watched == 0
    outer = lrcore.Monitor(plain, every=8)
    lrcore.Monitor(plain, every=0).close()
    assert plain._layout.watched == 8
    outer.close()
    another = lrcore.Monitor(plain, every=8)
    outer.close()
    assert plain._layout.watched == 8
    another.close()
    with pytest.raises(RuntimeError, match="stats=True"):
        repr(plain.stats)


@pytest.mark.parametrize(
    ("microseconds", "every"),
    [(1, 1024), (10, 256), (5, 512), (30, 128), (200, 16), (250, 16), (500, 8), (600, 1), (1e5, 1)],
)
def test_how_often_steps_are_measured_follows_from_the_time_of_the_loop(
    monkeypatch, microseconds, every
):
    """3 % of it, where four of 30,000 parameters are taken for 64 us; a pause does not count."""
    now = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    w = np.zeros(30_000)
    opt = lrcore.SGD(w)
    monitor = lrcore.Monitor(opt)
    seen = []
    for t in range(600):
        opt.step(w)
        now[0] += 1.0 if t in (3, 9, 17) else microseconds * 1e-6
        monitor.update(1.0)
        seen.append(monitor.measured)
    assert opt._layout.watched == every
    assert seen[:20] == [True] * 4 + [False] * 16
    assert seen[20:] == [t % every < 4 or every == 1 for t in range(20, 600)]
    monitor.close()
    assert opt._layout.watched == 0


def test_steps_of_some_rows_go_on():
    w = np.ones((5, 2), np.float32)
    opt = lrcore.SGD(w, lr=0.1)
    monitor = lrcore.Monitor(opt, every=1)
    for _ in range(3):
        assert opt.step(lrcore.RowGrad([1], np.ones((1, 2), np.float32), (5, 2)))
        monitor.update(1.0)
        assert not monitor.measured
    assert np.isnan(monitor.report().curve.cos).all()


def test_memory_does_not_grow():
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3)), on_divergence="ignore")
    sizes = []
    for _ in range(4):
        for loss in np.linspace(2, 1, 3 * module.ROWS).tolist():
            monitor.update(loss)
        sizes.append(len(pickle.dumps(monitor)))
    assert max(sizes) < 1.3 * min(sizes) < 1e6


# ------------------------------------------------------------------- losses of all kinds


@pytest.mark.parametrize(
    "loss",
    [0.5, np.float32(0.5), np.array(0.5), np.array([[0.5]]), Fraction(1, 2), np.float16(0.5)],
    ids=repr,
)
def test_numbers_of_any_kind(loss):
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3)))
    monitor.update(loss, loss, loss_after=loss)
    curve = monitor.report().curve
    assert (curve.loss[0], curve.val_loss[0]) == (0.5, 0.5)


@pytest.mark.parametrize(
    "loss",
    ["0.5", b"1", None, 1j, np.complex64(1), np.nan, np.inf, -np.inf, 10**400, [1.0], np.ones(2)],
    ids=repr,
)
def test_what_is_no_number_is_a_finding(loss):
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3)), on_divergence="ignore")
    for _ in range(150):
        monitor.update(1.0)
    assert not monitor.stop
    monitor.update(loss)
    assert monitor.stop
    assert monitor.report().verdict == "diverged"
    assert monitor.report().curve.bad.sum() == 1


# ---------------------------------------------------------------------------- divergence


def losses(rise_at, n, factor=5.0, seed=0):
    """Falling, then rising by a factor within 50 updates."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    level = 1 + np.exp(-t / 200)
    level *= factor ** np.clip((t - rise_at) / 50, 0, 1)
    return (level * (1 + 0.2 * rng.standard_normal(n))).tolist()


def first_stop(values, **options):
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3), **options), on_divergence="ignore")
    for t, loss in enumerate(values):
        monitor.update(loss)
        if monitor.stop:
            return t, monitor
    return None, monitor


@pytest.mark.parametrize("rise_at", [300, 1000, 4000])
def test_a_rise_of_the_loss_stops_soon_and_as_diagnose_says(rise_at):
    values = losses(rise_at, 2 * rise_at)
    stopped, monitor = first_stop(values)
    assert rise_at < stopped < rise_at + 2 * module.BLOCK + rise_at / 4
    assert lrcore.diagnose(values[: stopped + 1]).verdict == "diverged"
    assert monitor.report().verdict == "diverged"


def test_an_explosion_late_in_a_long_run_stops_soon():
    values = losses(10**6, 40_000)
    values[30_000:] = [100 * x for x in values[30_000:]]
    stopped, monitor = first_stop(values)
    assert 30_000 < stopped < 31_200
    assert monitor.report().verdict == "diverged"


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_run_goes_on(seed):
    rng = np.random.default_rng(seed)
    noise = np.exp(rng.standard_normal(20_000))
    for values in (noise, losses(10**6, 6000, seed=seed), noise - 5, np.zeros(3000)):
        stopped, monitor = first_stop(np.asarray(values).tolist())
        assert stopped is None
        assert monitor.report().verdict != "diverged"


def test_a_run_that_explodes_from_the_start_stops_within_a_hundred_updates():
    """The first look is early: otherwise all that is seen has exploded."""
    stopped, monitor = first_stop([28 * 1.3**t for t in range(400)])
    assert stopped < 100
    assert monitor.report().verdict == "diverged"


@pytest.mark.parametrize("n", [96, 224])
def test_a_short_healthy_run_goes_on(n):
    rng = np.random.default_rng(n)
    for _ in range(300):
        noise = 1 + 0.3 * rng.standard_normal(n)
        for values in (noise, np.exp(0.7 * rng.standard_normal(n)), noise + np.linspace(1, 0, n)):
            assert first_stop(values.tolist())[0] is None


def raised(monitor, values):
    try:
        for loss in values:
            monitor.update(loss)
    except DivergedError as error:
        return error
    raise AssertionError("the run went on")


def test_what_happens_on_divergence():
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3), lr=0.25), on_divergence="raise")
    monitor.update(2.0)
    with pytest.raises(DivergedError, match=r"diverged at update 1 \(loss nan, learning rate 0.25"):
        monitor.update(np.nan)
    assert monitor.stop
    monitor.update(np.nan)  # said once
    with pytest.warns(DivergedWarning, match="Monitor: diverged at update 0") as seen:
        lrcore.Monitor(lrcore.SGD(np.zeros(3))).update(np.inf)
    assert seen[0].filename == __file__
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3)), on_divergence="raise")
    error = raised(monitor, losses(1000, 3000))
    assert error.step == monitor.steps - 1
    assert error.loss == losses(1000, 3000)[error.step]
    assert error.lr == monitor._opt.lr
    assert error.reason
    assert error.advice
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_losses_that_are_not_finite_while_a_scale_is_sought():
    """With nonfinite="skip" such steps are skipped: ten in a row are too many."""
    values = [1.0, *[np.inf] * 9, 1.0, *[np.inf] * 9, 1.0, *[np.nan] * 12]
    assert first_stop(values, nonfinite="skip")[0] == len(values) - 3
    assert first_stop(values)[0] == 1
    assert first_stop([1.0] * 300 + [np.inf] + [1.0] * 300, nonfinite="skip")[0] is None
    assert first_stop([1.0] * 300 + [np.inf] + [1.4] * 300, nonfinite="skip")[0] is not None
    at = [1.0] * (module.ROWS - 5) + [np.inf] * 12  # while the buffer is emptied
    assert first_stop(at, nonfinite="skip")[0] == module.ROWS + 4


def test_chinese():
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3)), lang="zh")
    with pytest.warns(DivergedWarning, match="[一-鿿]"):
        monitor.update(np.nan)
    assert any("一" <= x <= "鿿" for x in monitor.report().text())


# --------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_alike(copied):
    w = np.ones(40)
    opt = lrcore.SGD(w, lr=0.3)
    monitor = lrcore.Monitor(opt, every=5)
    for t in range(200):
        opt.step(CURVATURE * w)
        monitor.update(loss_of(w, 0.0))
        if t == 151:
            other = copied(monitor)
    w = next(iter(other._opt._layout.leaves)).array
    for _ in range(152, 200):
        other._opt.step(CURVATURE * w)
        other.update(loss_of(w, 0.0))
    same(monitor.report(), other.report())
    assert repr(other) == repr(monitor) == "<Monitor of SGD, 200 updates>"


# ---------------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"opt": 3}, TypeError, "Monitor: opt must be an optimizer of lrcore, got int"),
        ({"lang": "fr"}, ValueError, "Monitor: lang must be .* got 'fr'"),
        ({"every": -1}, ValueError, "Monitor: every must be .* got -1"),
        ({"every": 1.5}, ValueError, "Monitor: every must be .* got 1.5"),
        ({"on_divergence": "stop"}, ValueError, "Monitor: on_divergence must be .* got 'stop'"),
    ],
)
def test_wrong_arguments(options, error, text):
    opt = lrcore.SGD(np.zeros(3))
    with pytest.raises(error, match=text):
        lrcore.Monitor(**{"opt": opt, **options})
    assert opt._layout.watched == 0


# --------------------------------------------------------------------------- in a loop


def test_validation_losses_of_epochs():
    """Also where the last update of an epoch is the last that the buffer holds."""
    monitor = lrcore.Monitor(lrcore.SGD(np.zeros(3)))
    told, val = [], []
    for epoch in range(6):
        monitor.on_epoch_begin(epoch)
        for step in range(module.ROWS // 4):
            told.append(2.0 - epoch / 10)
            monitor.on_step_end(step, told[-1])
        monitor.on_epoch_end(epoch, {"val_loss": 1.0 + epoch} if epoch != 2 else {})
        val.append((len(told) - 1, 1.0 + epoch))
    del val[2]
    curve = lrcore.diagnose(told, val_losses=val).curve
    assert np.isfinite(curve.val_loss).sum() == 5
    assert_array_equal(monitor.report().curve.val_loss, curve.val_loss)


def test_fit_with_a_monitor_ends_early():
    from lrcore.tasks import digits, fit

    task = digits.load()
    for lr, stopped in (0.1, ""), (1e4, "diverged"):
        params = task.init()
        opt = lrcore.SGD(params, lr=lr, nonfinite="ignore")
        monitor = lrcore.Monitor(opt, every=1, on_divergence="ignore")
        done = fit(task, params, opt, 3, callbacks=[monitor])
        assert done.stopped == stopped
        assert monitor.stop == (stopped != "")
        assert monitor.steps == len(done.losses)
        assert_array_equal(monitor.report().curve.loss, lrcore.diagnose(done.losses).curve.loss)
        if not stopped:
            val = monitor.report().curve.val_loss
            assert val[np.isfinite(val)].tolist() == [x["test_loss"] for x in done.history[1:]]
        else:
            assert len(done.losses) < task.updates_per_epoch
