"""Callbacks: rates that change between epochs, and loops that end."""

import pickle

import numpy as np
import pytest

import lrcore
from lrcore.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
from lrcore.schedules import Cosine, Exponential
from lrcore.tasks import fit, linear


def sgd(lr=1.0):
    return lrcore.SGD(np.zeros(1), lr=lr)


# ------------------------------------------------------------------ LearningRateScheduler


def test_the_rate_of_an_epoch():
    opt = sgd(lr=8.0)
    callback = LearningRateScheduler(opt, lambda epoch, lr: lr if epoch < 2 else lr / 2)
    rates = []
    for epoch in range(5):
        callback.on_epoch_begin(epoch)
        rates.append(opt.lr)
    assert rates == [8.0, 8.0, 4.0, 2.0, 1.0]


def test_functions_of_one_argument_and_of_any():
    opt = sgd()
    LearningRateScheduler(opt, lambda epoch: 0.5 + epoch).on_epoch_begin(3)
    assert opt.lr == 3.5
    LearningRateScheduler(opt, lambda *both: both[1] + both[0]).on_epoch_begin(2)
    assert opt.lr == 5.5
    LearningRateScheduler(opt, lambda epoch, lr=7: np.float32(0.25)).on_epoch_begin(2)
    assert opt.lr == 0.25
    LearningRateScheduler(opt, max).on_epoch_begin(1)  # says nothing of its arguments
    assert opt.lr == 1.0


def test_every_group_from_its_own_rate():
    opt = lrcore.SGD([{"params": np.zeros(1), "lr": 1.0}, {"params": np.zeros(1), "lr": 3.0}])
    LearningRateScheduler(opt, lambda epoch, lr: lr / 2).on_epoch_begin(0)
    assert [group["lr"] for group in opt.param_groups] == [0.5, 1.5]
    schedule = sgd(Exponential(1.0, 0.5))
    schedule.step(np.zeros(1))
    LearningRateScheduler(schedule, lambda epoch, lr: lr * 0.5).on_epoch_begin(0)
    assert schedule.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ("0.1", TypeError, "schedule must return a number, got '0.1' for epoch 4"),
        (None, TypeError, "schedule must return a number, got None for epoch 4"),
        (True, TypeError, "schedule must return a number, got True"),
        (1j, TypeError, "schedule must return a number"),
        (np.ones(1), TypeError, "schedule must return a number"),
        (-1.0, ValueError, "epoch 4: what schedule returns must be .* got -1.0"),
        (float("nan"), ValueError, "must be .* got nan"),
    ],
)
def test_what_is_no_rate_is_refused_and_none_is_changed(answer, error, text):
    opt = lrcore.SGD([{"params": np.zeros(1), "lr": 1.0}, {"params": np.zeros(1), "lr": 3.0}])
    callback = LearningRateScheduler(opt, lambda epoch, lr: 0.5 if lr == 1.0 else answer)
    with pytest.raises(error, match=f"LearningRateScheduler.*{text}"):
        callback.on_epoch_begin(4)
    assert [group["lr"] for group in opt.param_groups] == [1.0, 3.0]


# ---------------------------------------------------------------------- ReduceLROnPlateau


def rates(metrics, lr=1.0, name="val_loss", **options):
    opt = sgd(lr)
    callback = ReduceLROnPlateau(opt, name, **options)
    out = []
    for epoch, metric in enumerate(metrics):
        callback.on_epoch_end(epoch, {name: metric})
        out.append(opt.lr)
    return out


def test_rates_are_reduced():
    assert rates([1.0] * 7, factor=0.5, patience=2) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert rates([1.0] * 4, factor=0.5, patience=0) == [1, 0.5, 0.25, 0.125]
    assert rates([1.0] * 7, factor=0.5, patience=1, cooldown=3) == [
        1,
        0.5,
        0.5,
        0.5,
        0.25,
        0.25,
        0.25,
    ]
    assert rates([3.0, 2.0, 1.0], factor=0.5, patience=1) == [1, 1, 1]
    assert rates([3.0, 2.0, 1.0], factor=0.5, patience=1, min_delta=1.5) == [1, 0.5, 0.5]
    assert rates([1.0] * 5, factor=0.5, patience=1, min_lr=0.3) == [1, 0.5, 0.3, 0.3, 0.3]
    assert rates([1.0] * 3, lr=0.2, factor=0.5, patience=1, min_lr=0.3) == [0.2] * 3
    assert rates([1.0, 2.0, np.nan, 0.5], factor=0.5, patience=2) == [1, 1, 0.5, 0.5]


def test_which_way_is_better():
    rising = [1.0, 2.0, 3.0]
    for name in ("val_accuracy", "test_auc", "acc"):
        assert rates(rising, name=name, patience=1) == [1, 1, 1]
    for name in ("val_loss", "loss", "test_error"):
        assert rates(rising, name=name, patience=1, factor=0.5) == [1, 0.5, 0.25]
    assert rates(rising, name="distance", mode="max", patience=1) == [1, 1, 1]
    text = 'mode must be "min" or "max" for a metric of the name \'distance\', got "auto"'
    with pytest.raises(ValueError, match=text):
        ReduceLROnPlateau(sgd(), "distance")


def test_a_schedule_is_reduced_in_its_shape():
    opt = sgd(Cosine(1.0, 10))
    callback = ReduceLROnPlateau(opt, factor=0.5, patience=1, min_lr=0.1)
    for epoch in range(2):
        callback.on_epoch_end(epoch, {"val_loss": 1.0})
    t = np.arange(11)
    np.testing.assert_array_equal(
        opt.param_groups[0]["lr"](t), np.maximum(Cosine(1.0, 10)(t) * 0.5, 0.1)
    )
    assert callback.plateau.scale == 0.5


def test_a_metric_that_is_missing():
    callback = ReduceLROnPlateau(sgd())
    with pytest.warns(UserWarning, match="metrics must have 'val_loss', got 'loss', 'x'"):
        callback.on_epoch_end(0, {"loss": 1.0, "x": 2.0})
    with pytest.warns(UserWarning, match="got nothing"):
        callback.on_epoch_end(0, {})
    assert callback.plateau.best is None


# ------------------------------------------------------------------------- TerminateOnNaN


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf, np.float32(np.nan)])
def test_a_loss_that_is_not_finite_stops(loss):
    callback = TerminateOnNaN(sgd(0.5))
    callback.on_step_end(0, 1e300)
    assert not callback.stop
    callback.on_step_end(1, loss)
    assert callback.stop
    assert callback.reason == f"loss {float(loss)} at step 1, learning rate 0.5"
    callback.on_step_end(2, np.nan)
    assert "step 1," in callback.reason


# -------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: LearningRateScheduler(3, max), TypeError, "opt must be an optimizer"),
        (lambda: LearningRateScheduler(sgd(), 0.1), TypeError, r"a function of \(epoch, lr\), got 0.1"),
        (lambda: ReduceLROnPlateau(None), TypeError, "opt must be an optimizer"),
        (lambda: ReduceLROnPlateau(sgd(), 3), TypeError, "monitor must be the name .* got 3"),
        (lambda: ReduceLROnPlateau(sgd(), factor=1.0), ValueError, "factor must be .* got 1.0"),
        (lambda: ReduceLROnPlateau(sgd(), patience=-1), ValueError, "patience must be .* got -1"),
        (lambda: ReduceLROnPlateau(sgd(), patience=1.5), ValueError, "patience must be .* got 1.5"),
        (lambda: ReduceLROnPlateau(sgd(), mode="up"), ValueError, "mode must be .* got 'up'"),
        (lambda: ReduceLROnPlateau(sgd(), min_delta=-1), ValueError, "min_delta must be .* got -1"),
        (lambda: ReduceLROnPlateau(sgd(), cooldown=-1), ValueError, "cooldown must be .* got -1"),
        (lambda: ReduceLROnPlateau(sgd(), min_lr=-1), ValueError, "min_lr must be .* got -1"),
        (lambda: TerminateOnNaN(3), TypeError, "opt must be an optimizer of lrcore, got 3"),
    ],
)  # fmt: skip
def test_wrong_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_callbacks_can_be_pickled():
    opt = sgd()
    before = ReduceLROnPlateau(opt, patience=2), TerminateOnNaN(opt)
    before[0].on_epoch_end(0, {"val_loss": 1.0})
    after = pickle.loads(pickle.dumps(before))
    assert after[0].plateau == before[0].plateau
    assert after[0].opt is after[1].opt


class Told(Callback):
    def __init__(self, until=10**9):
        self.log, self.until = [], until

    def on_epoch_begin(self, epoch):
        self.log.append(("begin", epoch))

    def on_step_end(self, step, loss):
        self.log.append((step, loss))
        self.stop = step + 1 >= self.until

    def on_epoch_end(self, epoch, metrics):
        self.log.append(("end", epoch, dict(metrics)))


def job(epochs, *callbacks, lr=0.01, **options):
    task = linear.load()
    params = task.init()
    opt = lrcore.SGD(params, lr=lr, **options)
    made = [make(opt) if callable(make) else make for make in callbacks]
    return opt, fit(task, params, opt, epochs, callbacks=made), made


def test_fit_tells_its_callbacks():
    told = Told()
    _, run, _ = job(3, told)
    assert run.stopped == ""
    steps = [x for x in told.log if isinstance(x[0], int)]
    assert steps == list(enumerate(run.losses))
    assert [x[:2] for x in told.log if x[0] in ("begin", "end")] == [
        (what, epoch) for epoch in range(3) for what in ("begin", "end")
    ]
    last = told.log[-1][2]
    assert last.items() >= run.final.items()
    assert last.get("val_loss") == run.final.get("test_loss")


def test_fit_ends_when_a_callback_says_so():
    told = Told(until=2)
    _, run, _ = job(5, told)
    assert (run.stopped, len(run.losses)) == ("asked", 2)
    assert len(run.history) == 1 + 2  # one update an epoch
    _, run, (told,) = job(5, Told(until=0))
    assert len(run.losses) == 1


@pytest.mark.parametrize("nonfinite", ["raise", "ignore"])
def test_fit_that_meets_nan(nonfinite):
    told = Told()
    _, run, (guard, told) = job(10**4, TerminateOnNaN, told, lr=1e30, nonfinite=nonfinite)
    assert run.stopped == "diverged"
    assert not np.isfinite(told.log[-2][1]) or nonfinite == "raise"
    assert guard.stop == (not np.isfinite(told.log[-2][1]))


def test_fit_with_rates_by_epoch():
    seen = []

    class Rates(Told):
        def on_epoch_end(self, epoch, metrics):
            seen.append(opt_of[0].lr)

    opt_of = []

    def scheduler(opt):
        opt_of.append(opt)
        return LearningRateScheduler(opt, lambda epoch, lr: 0.01 / (1 + epoch))

    _, run, _ = job(3, scheduler, Rates())
    assert seen == [0.01, 0.005, 0.01 / 3]
    assert sorted(set(run.lrs), reverse=True) == seen
