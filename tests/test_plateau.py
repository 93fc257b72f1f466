"""Plateau: what reduces it, what follows it, and that a resumed run is an uninterrupted one."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from support import BACKENDS

import lrcore
from lrcore import schedules
from lrcore.schedules import Constant, Cosine, Lambda, Plateau, Scale, join


def falling(t):
    """A function that pickles."""
    return 1.0 / (t + 1)


def reductions(plateau, metrics):
    return [i for i, metric in enumerate(metrics) if plateau.update(metric)]


@pytest.mark.parametrize(
    ("options", "metrics", "reduced"),
    [
        ({"patience": 2}, [1] * 10, [3, 6, 9]),
        ({"patience": 1}, [1] * 7, [2, 4, 6]),
        ({"patience": 0}, [1] * 4, [1, 2, 3]),
        ({"patience": 1}, [5, 4, 3, 3, 2, 2, 2, 2], [6]),
        ({"patience": 0, "cooldown": 2}, [1] * 8, [1, 4, 7]),
        ({"patience": 1, "cooldown": 2}, [1] * 10, [2, 6]),
        ({"patience": 0}, [1, 0.9999, 0.9998], [1]),
        ({"patience": 0, "threshold": 0.0}, [1, 0.9999, 0.9999], [2]),
        ({"patience": 0, "threshold": 0.1}, [10, 9.5, 8.9, 8.9], [1, 3]),
        ({"patience": 0, "threshold": 0.1, "threshold_mode": "abs"}, [10, 9.5, 9.45, 9.3], [2]),
        ({"patience": 0, "mode": "max"}, [1, 2, 2.0001, 3, 2], [2, 4]),
        ({"patience": 0, "mode": "max", "threshold": 1, "threshold_mode": "abs"}, [1, 2, 2.5], [1]),
        ({"patience": 0}, [1, math.nan, math.inf, 0.5], [1, 2]),
        ({"patience": 1}, [math.nan, math.nan, 1, 1], [1]),
        ({"patience": 0}, [-1, -1, -0.99995], []),  # relative to a best below zero, as torch does
        ({"patience": 0, "threshold_mode": "abs"}, [-1, -1, -1.001], [1]),
        ({"patience": 0}, [0, 0, -1e-9], [1]),
    ],
    ids=repr,
)
def test_when_it_is_reduced(options, metrics, reduced):
    assert reductions(Plateau(1.0, **options), metrics) == reduced


def test_its_value_is_that_beneath_times_the_reductions():
    base = Cosine(1.0, steps=100, warmup=10)
    s, t = Plateau(base, factor=0.5, patience=0), np.arange(120)
    assert s(t).tolist() == base(t).tolist()
    for n in range(1, 4):
        s.update(1.0)
        assert s.scale == 0.5 ** (n - 1)
        assert s(t).tolist() == (base(t) * 0.5 ** (n - 1)).tolist()
        assert [s(i) for i in (0, 5, 50)] == s([0, 5, 50]).tolist()
        assert s.reference(50) == s(50)


def test_it_is_never_below_the_least():
    s = Plateau(1.0, factor=0.1, patience=0, min_lr=0.05)
    values = [s.update(1.0) or s(0) for _ in range(5)]
    assert values[0] == 1.0
    assert [s(0), s(10**9)] == [0.05, 0.05]


def test_its_own_warmup():
    s = Plateau(Constant(1.0), factor=0.5, patience=0, warmup=4)
    s.update(1.0), s.update(1.0)
    assert s(range(6)).tolist() == [0, 0.125, 0.25, 0.375, 0.5, 0.5]


def test_what_is_made_of_it_follows():
    s = Plateau(1.0, factor=0.5, patience=0)
    made = [s * 2, s + 1, s.clip(0.75, 9), join([Constant(3.0), s], [2]), s.every(2), s.shift(1)]
    before = [m(5) for m in made]
    s.update(1.0), s.update(1.0)
    assert before == [2, 2, 1, 1, 1, 1]
    assert [m(5) for m in made] == [m.reference(5) for m in made] == [1, 1.5, 0.75, 0.5, 0.5, 0.5]


def test_what_it_tells_of_itself():
    s = Plateau(Cosine(0.1, steps=9), patience=1, mode="max")
    assert repr(s) == "Plateau(schedule=Cosine(lr=0.1, steps=9), patience=1, mode='max')"
    reductions(s, [1.0, 2.0, 2.0])
    assert (s.best, s.bad, s.cooling, s.scale) == (2.0, 1, 0, 1.0)
    for other in (
        eval(repr(s), vars(schedules).copy()),
        copy.copy(s),
        copy.deepcopy(s),
        pickle.loads(pickle.dumps(s)),
        Plateau.from_dict(json.loads(json.dumps(s.to_dict()))),
    ):
        assert other == s
        assert other is not s
        assert reductions(other, [2.0, 2.0, 2.0]) == [0, 2]
        assert other != s
        assert hash(other) == hash(s)
    assert s.bad == 1


@pytest.mark.parametrize("name", ["best", "bad", "scale", "factor", "anything"])
def test_it_cannot_be_changed_from_outside(name):
    with pytest.raises(AttributeError, match="a schedule cannot be changed"):
        setattr(Plateau(1.0), name, 1)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Plateau("0.1"), TypeError, "Plateau: schedule must be a schedule, got '0.1'"),
        (lambda: Plateau(-1.0), ValueError, "Constant: lr must be in [0, inf), got -1.0"),
        (
            lambda: Plateau(1.0, factor=1.0),
            ValueError,
            "Plateau: factor must be in (0, 1), got 1.0",
        ),
        (lambda: Plateau(1.0, factor=0), ValueError, "Plateau: factor must be in (0, 1), got 0"),
        (lambda: Plateau(1.0, patience=-1), ValueError, "Plateau: patience must be an integer"),
        (lambda: Plateau(1.0, patience=1.5), ValueError, "Plateau: patience must be an integer"),
        (lambda: Plateau(1.0, threshold=math.nan), ValueError, "threshold must be in [0, inf)"),
        (
            lambda: Plateau(1.0, threshold_mode="relative"),
            ValueError,
            'Plateau: threshold_mode must be "rel" or "abs", got \'relative\'',
        ),
        (lambda: Plateau(1.0, mode=1), TypeError, 'Plateau: mode must be "min" or "max", got 1'),
        (lambda: Plateau(1.0, cooldown=-2), ValueError, "Plateau: cooldown must be an integer"),
        (lambda: Plateau(1.0, min_lr=-2), ValueError, "Plateau: min_lr must be in [0, inf)"),
        (lambda: Plateau(1.0, best=math.nan), ValueError, "Plateau: best must be in [-inf, inf]"),
        (lambda: Plateau(1.0, bad=-1), ValueError, "Plateau: bad must be an integer"),
        (lambda: Plateau(1.0, scale=2), ValueError, "Plateau: scale must be in [0, 1], got 2"),
        (lambda: Plateau(1.0).update("1"), TypeError, "Plateau: metric must be a number, got '1'"),
        (
            lambda: Plateau(1.0).update(None),
            TypeError,
            "Plateau: metric must be a number, got None",
        ),
        (
            lambda: Plateau(1.0).update(True),
            TypeError,
            "Plateau: metric must be a number, got True",
        ),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_a_refused_metric_changes_nothing():
    s = Plateau(1.0, patience=0)
    s.update(1.0)
    before = repr(s)
    with pytest.raises(TypeError):
        s.update([1.0])
    assert repr(s) == before


# ---------------------------------------------------------------------------- in an optimizer


LOSSES = [3.0, 2.0, 2.0, 2.5, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def made(lr, w, backend="c"):
    return lrcore.AdamW(
        [{"params": w[:2]}, {"params": w[2:], "lr": lr * 0.5}], lr=lr, backend=backend
    )


def run(opt, plateau, losses, r):
    for loss in losses:
        opt.step([r.standard_normal(2), r.standard_normal(3)])
        plateau.update(loss)


@BACKENDS
@pytest.mark.parametrize("base", [Cosine(0.1, steps=20, warmup=3), 0.1, Lambda(falling)], ids=repr)
def test_resumed_is_uninterrupted(backend, base):
    whole, r = np.ones(5), np.random.default_rng(0)
    lr = Plateau(base, patience=1, factor=0.5)
    opt = made(lr, whole, backend)
    run(opt, lr, LOSSES, r)
    assert lr.scale == 0.125

    first, r = np.ones(5), np.random.default_rng(0)
    lr = Plateau(base, patience=1, factor=0.5)
    opt = made(lr, first, backend)
    run(opt, lr, LOSSES[:4], r)
    state = pickle.loads(pickle.dumps(opt.state_dict()))
    second, lr = first.copy(), Plateau(base, patience=1, factor=0.5)
    lr.update(0.5), lr.update(7.0)  # which loading forgets
    resumed = made(lr, second, backend)
    resumed.load_state_dict(state)
    assert resumed.param_groups[0]["lr"] is lr
    run(resumed, lr, LOSSES[4:], r)
    assert second.tolist() == whole.tolist()
    assert resumed.lr == lr(10) == lr.scale * Scale(lr.schedule, 1.0)(10)


def test_its_state_is_saved_as_plain_data():
    lr = Plateau(Constant(0.1), patience=1)
    opt = lrcore.SGD(np.ones(2), lr=lr)
    lr.update(2.0), lr.update(3.0)
    saved = json.loads(json.dumps(opt.state_dict()["param_groups"][0]["lr"]))
    assert (saved["kind"], saved["best"], saved["bad"], saved["scale"]) == ("plateau", 2.0, 1, 1.0)
    other = lrcore.SGD(np.ones(2), lr=0.5)  # there is no such schedule: it is made
    other.load_state_dict(opt.state_dict())
    assert other.param_groups[0]["lr"] == lr
    assert other.param_groups[0]["lr"] is not lr


def test_a_refused_state_leaves_it_alone():
    lr = Plateau(Lambda(falling), patience=1)
    opt = lrcore.SGD(np.ones(2), lr=lr)
    good = opt.state_dict()
    lr.update(2.0), lr.update(3.0)
    before = repr(lr)
    for bad in ({"scale": 2.0}, {"nothing": 1}):
        state = copy.deepcopy(good)
        state["param_groups"][0]["lr"]["state"] = [bad]
        with pytest.raises(ValueError, match=r"param_groups\[0\]\['lr'\]\['state'\]: "):
            opt.load_state_dict(state)
    state = copy.deepcopy(good)
    state["param_groups"][0]["lr"]["state"] = []
    with pytest.raises(ValueError, match=r"\['state'\] must be a list of 1, got \[\]"):
        opt.load_state_dict(state)
    state = copy.deepcopy(good)
    state["t"] = -1
    with pytest.raises(ValueError, match="t must be"):
        opt.load_state_dict(state)
    assert repr(lr) == before


def test_a_copied_optimizer_has_one_of_its_own():
    lr = Plateau(0.1, patience=0)
    opt = lrcore.SGD(np.ones(2), lr=lr, weight_decay=lr * 0.1)
    other = copy.deepcopy(opt)
    theirs = other.param_groups[0]["lr"]
    theirs.update(1.0), theirs.update(1.0)
    assert other.param_groups[0]["weight_decay"](0) == pytest.approx(0.001)
    assert (opt.lr, other.lr) == (0.1, 0.1 * 0.1)
