"""Schedules and callbacks of lrcore.keras in ``fit``."""

import keras_runs as runs
import numpy as np
import pytest
from keras_runs import ON_TENSORFLOW, backend, fit, keras, network, same_bits
from peers import draws
from schedule_cases import CASES

import lrcore
import lrcore.keras
from lrcore import schedules
from lrcore.instruments import DivergedError, DivergedWarning

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
OPTIMIZERS = {
    "ours": lambda rate: lrcore.keras.AdamW(rate),
    "Keras's": lambda rate: keras.optimizers.AdamW(rate),
}
EVERY = pytest.mark.parametrize("kind", OPTIMIZERS)


def test_every_schedule_has_the_values_of_lrcore_rounded():
    for kind, r in zip(sorted(CASES), draws("keras", len(CASES)), strict=True):
        s = CASES[kind](r)
        made = lrcore.keras.Schedule(s)
        at = made if not ON_TENSORFLOW else backend.function(made)
        for t in (0, 1, 5, 50):
            step = backend.constant(t, backend.int64) if ON_TENSORFLOW else t
            np.testing.assert_equal(runs.number(made(step)), np.float32(s(t)))
            np.testing.assert_equal(runs.number(at(step)), np.float32(s(t)))


def test_a_schedule_is_saved():
    s = schedules.Cosine(0.1, steps=50, warmup=5) * 0.5
    made = keras.optimizers.schedules.serialize(lrcore.keras.Schedule(s))
    again = keras.optimizers.schedules.deserialize(made)
    assert isinstance(again, lrcore.keras.Schedule)
    assert again.schedule == s


@EVERY
def test_a_schedule_drives_an_optimizer(kind):
    s = schedules.Cosine(0.05, steps=24, warmup=3)
    by_schedule, by_hand = network(OPTIMIZERS[kind](lrcore.keras.Schedule(s))), network(OPTIMIZERS[kind](0.1))  # fmt: skip

    class Set(keras.callbacks.Callback):
        step = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = float(np.float32(s(self.step)))
            self.step += 1

    fit(by_schedule, 3)
    fit(by_hand, 3, callbacks=[Set()])
    for a, b in zip(by_schedule.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@EVERY
def test_learning_rate_scheduler(kind):
    model = network(OPTIMIZERS[kind](0.1))
    s = schedules.Linear(0.1, steps=4)
    rates = fit(model, 4, callbacks=[lrcore.keras.LearningRateScheduler(s)])["learning_rate"]
    np.testing.assert_allclose(rates, [s(t) for t in range(4)], rtol=1e-6)
    halve = lrcore.keras.LearningRateScheduler(lambda epoch, lr: lr / 2)
    model = network(OPTIMIZERS[kind](0.1))
    np.testing.assert_allclose(fit(model, 3, callbacks=[halve])["learning_rate"], [0.05, 0.025, 0.0125], rtol=1e-6)  # fmt: skip
    with pytest.raises(TypeError, match="schedule must be a schedule of lrcore or a function"):
        lrcore.keras.LearningRateScheduler(0.1)


NAN = float("nan")
#: An optimizer whose third update has a value that is out of its domain, and what is said of it.
LEAVING = [
    ("AdamW", {"learning_rate": -1.0}, r": learning_rate must be in \[0, inf\), got -1.0"),
    ("AdamW", {"learning_rate": NAN}, r": learning_rate must be in \[0, inf\), got nan"),
    ("Muon", {"learning_rate": -1.0}, r": learning_rate must be in \[0, inf\), got -1.0"),
    ("PolyakSGD", {"learning_rate": -1.0}, r": learning_rate must be in \[0, inf\), got -1.0"),
    ("RMSprop", {"rho": 2.0}, r" at update 2: rho must be in \[0, 1\), got 2.0"),
    ("Lion", {"beta_1": 2.0}, r" at update 2: beta_1 must be in \[0, 1\), got 2.0"),
    ("LARS", {"eps": -2.0}, r" at update 2: eps must be in \[0, inf\), got -2.0"),
]


@pytest.mark.parametrize(("name", "given", "words"), LEAVING)
@pytest.mark.parametrize("eager", [False, True])
def test_a_value_that_leaves_its_domain_has_the_name_that_keras_has_for_it(
    name, given, words, eager
):
    value, bad = next(iter(given.items()))
    good = {"beta_1": 0.9, "rho": 0.9}.get(value, 0.01)
    opt = getattr(lrcore.keras, name)(**{value: schedules.Lambda(lambda t: good if t < 2 else bad)})
    model = network(opt, run_eagerly=eager)
    error = Exception if ON_TENSORFLOW else ValueError  # in a graph TensorFlow has its own
    with pytest.raises(error, match=rf"lrcore.keras.{name}{words}") as raised:
        fit(model)
    assert "param_groups" not in str(raised.value)
    assert opt.core.t == 2


@EVERY
def test_plateau_is_that_of_keras(kind):
    options = {"monitor": "loss", "factor": 0.3, "patience": 2, "min_delta": 0.2, "min_lr": 1e-4}
    rates = [
        fit(network(OPTIMIZERS[kind](0.01)), 12, callbacks=[kinds.ReduceLROnPlateau(**options)])
        for kinds in (keras.callbacks, lrcore.keras)
    ]
    assert rates[0]["learning_rate"][-1] < 0.004
    np.testing.assert_allclose(rates[1]["learning_rate"], rates[0]["learning_rate"], rtol=1e-5)


def test_plateau_reduces_a_schedule():
    s = schedules.Linear(0.1, steps=100)
    model = network(lrcore.keras.SGD(s))
    reduce = lrcore.keras.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=100.0)
    rates = fit(model, 4, callbacks=[reduce])["learning_rate"]
    np.testing.assert_allclose(rates, [s(8), s(16), s(24) / 2, s(32) / 4])
    assert model.optimizer._host.schedule == s * 0.5 * 0.5 * 0.5
    model = network(lrcore.keras.SGD(keras.optimizers.schedules.CosineDecay(0.1, 100)))
    with pytest.raises(
        TypeError, match="must be a number or a schedule of lrcore, got CosineDecay"
    ):
        fit(model, 4, callbacks=[reduce])


@EVERY
def test_the_finder_finds_and_leaves_no_trace(kind):
    model = network(OPTIMIZERS[kind](0.125))
    fit(model)
    before, more = model.get_weights(), [runs.number(v) for v in model.optimizer.variables[:2]]
    state = model.optimizer.core.state_dict() if kind == "ours" else None
    others = runs.values(model.optimizer.variables[2:])
    finder = lrcore.keras.LRFinder(steps=50, short=60)
    fit(model, 100, callbacks=[finder])
    assert finder.result.reliable
    assert 1e-3 < finder.result.suggested < 0.3
    assert len(finder.result.lrs) > 20
    assert len(finder.result.probes) > 0
    assert same_bits(model.get_weights(), before)
    assert same_bits(runs.values(model.optimizer.variables[2:]), others)
    assert [runs.number(v) for v in model.optimizer.variables[:2]] == more
    if state is not None:
        after = model.optimizer.core.state_dict()
        assert after["t"] == state["t"] == 8
        for path, entry in after["param_groups"][0]["params"].items():
            np.testing.assert_equal(entry, state["param_groups"][0]["params"][path])
    assert runs.number(model.optimizer.learning_rate) == 0.125
    assert finder.result.losses[0] < 2  # of a batch, not of the epoch so far


def test_the_finder_under_a_schedule():
    s = schedules.Constant(0.01)
    model = network(lrcore.keras.SGD(s, momentum=0.9))
    finder = lrcore.keras.LRFinder(steps=30, short=0)
    fit(model, 50, callbacks=[finder])
    assert 1e-4 < finder.result.suggested < 1
    fit(model)
    assert model.optimizer.core.lr == 0.01
    theirs = network(keras.optimizers.SGD(lrcore.keras.Schedule(s)))
    with pytest.raises(TypeError, match="must have a learning_rate that can be set, got Schedule"):
        fit(theirs, callbacks=[lrcore.keras.LRFinder()])
    finder = lrcore.keras.LRFinder(steps=30, short=0)
    fit(model, 2, callbacks=[finder])
    assert not finder.result.reliable
    assert finder.result.reasons[0].endswith("give fit more epochs")
    with pytest.raises(ValueError, match="end must be above start"):
        lrcore.keras.LRFinder(start=1.0, end=0.1)


@EVERY
def test_the_monitor_stops_what_diverges(kind, capsys):
    keras_kind = {"ours": lrcore.keras.SGD, "Keras's": keras.optimizers.SGD}[kind]
    monitor = lrcore.keras.Monitor()
    history = fit(network(keras_kind(1e5)), 20, callbacks=[monitor])
    assert len(history["loss"]) < 20
    assert monitor.diagnosis.verdict == "diverged"
    assert "diverged" in capsys.readouterr().out
    for mode, error in (("raise", DivergedError), ("warn", DivergedWarning)):
        asked = lrcore.keras.Monitor(on_divergence=mode, verbose=0)
        with pytest.raises(error) if mode == "raise" else pytest.warns(error):
            fit(network(keras_kind(1e5)), 5, callbacks=[asked])


@pytest.mark.parametrize(
    "wrong", [{"on_divergence": "cry"}, {"lang": "xx"}, {"every": -1}], ids=str
)
def test_what_a_monitor_is_told_is_checked_at_once(wrong):
    with pytest.raises(ValueError, match=f"lrcore.keras.Monitor: {next(iter(wrong))} must be"):
        lrcore.keras.Monitor(**wrong)


@EVERY
def test_the_monitor_watches_and_changes_nothing(kind):
    watched, alone = network(OPTIMIZERS[kind](0.01)), network(OPTIMIZERS[kind](0.01))
    monitor = lrcore.keras.Monitor(verbose=0)
    x, y = runs.data()
    history = fit(watched, 30, callbacks=[monitor], validation_data=(x, y))
    fit(alone, 30)
    assert same_bits(watched.get_weights(), alone.get_weights())
    curve = monitor.diagnosis.curve
    assert curve.steps == 240
    losses = curve.loss[:8] if curve.width == 1 else None
    np.testing.assert_allclose(np.mean(losses), history["loss"][0], rtol=1e-4)
    assert np.nanmax(np.abs(curve.val_loss[7::8] - history["val_loss"])) < 1e-6
    np.testing.assert_allclose(curve.lr, 0.01, rtol=1e-6)
    measured = np.isfinite(curve.cos).sum()
    assert measured > 200 if kind == "ours" else measured == 0


def test_the_average_is_what_is_evaluated():
    x, y = runs.data()
    model = network(lrcore.keras.ScheduleFreeSGD(0.5))
    history = fit(model, 3, callbacks=[lrcore.keras.EvaluateAverage()], validation_data=(x, y))
    assert not model.optimizer.core.training
    at_average = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(history["val_loss"][-1], at_average, rtol=1e-6)
    weights = model.get_weights()
    model.optimizer.train()
    assert not same_bits(model.get_weights(), weights)
    assert model.evaluate(x, y, verbose=0) != at_average
    alone = network(lrcore.keras.ScheduleFreeSGD(0.5))
    fit(alone, 3)
    assert same_bits(alone.get_weights(), model.get_weights())
