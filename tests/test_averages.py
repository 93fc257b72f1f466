"""Averages of the parameters: what they are, how they are read and shown."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import BACKENDS, message_of

import lrcore

# ------------------------------------------------------------------------- averages


def run(opt, w, steps):
    seen = []
    for t in range(steps):
        opt.step(np.array([-1.0 - t]))
        seen.append(w.copy())
    return np.array(seen)[:, 0]


@BACKENDS
def test_averages_are_what_they_say(backend):
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, ema=0.75, swa=lrcore.SWA(start=2, every=2), backend=backend)
    seen = run(opt, w, 5)
    ema = 0.0
    for x in seen:
        ema += 0.25 * (x - ema)
    assert opt.averages("ema")[0] == ema
    assert opt.averages("swa")[0] == (seen[1] + seen[3]) / 2
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, ema=lrcore.EMA(0.99, warmup=True), backend=backend)
    opt.step(np.array([-1.0]))
    np.testing.assert_allclose(opt.averages(), 1 - 2 / 11)
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, lookahead=lrcore.Lookahead(2, 0.5), backend=backend)
    assert_array_equal(run(opt, w, 4), [1.0, 1.5, 4.5, 5.0])
    assert opt.averages("slow") == w


def test_averages_have_the_structure_of_the_parameters():
    params = {"a": [np.ones(2), (np.zeros(1), np.ones((2, 2), np.float16))]}
    opt = lrcore.SGD(params, swa=True)
    found = opt.averages()
    assert isinstance(found["a"], list)
    assert isinstance(found["a"][1], tuple)
    assert found["a"][1][1].dtype == np.float32
    assert found["a"][0] is opt.averages("swa")["a"][0]  # live
    groups = lrcore.SGD([{"params": np.ones(1)}, {"params": {"b": np.ones(1)}}], ema=0.5)
    assert [type(x) for x in groups.averages()] == [np.ndarray, dict]
    groups.add_param_group({"params": np.full(2, 7.0)})
    assert_array_equal(groups.averages()[2], 7.0)
    assert groups.averages()[2] is groups.state["2."]["ema"]


def test_which_average():
    for call in ("averages", "averaged"):
        for options, which, kind, text in [
            ({}, None, RuntimeError, "SGD: averages must be switched on with ema=, swa= or lookahead= at construction"),
            ({"ema": 0.5, "swa": True}, None, ValueError, 'SGD: which must be "ema" or "swa", since both are on'),
            ({"ema": 0.5}, "swa", RuntimeError, "SGD: the average 'swa' must be switched on with swa= at construction"),
            ({"ema": 0.5}, "slow", RuntimeError, "must be switched on with lookahead="),
            ({"ema": 0.5}, "lookahead", RuntimeError, "must be switched on with lookahead="),
            ({"ema": 0.5}, "mean", ValueError, 'SGD: which must be "ema", "swa" or "lookahead" (or "slow"), got \'mean\''),
        ]:  # fmt: skip
            with pytest.raises(kind) as error:
                getattr(lrcore.SGD(np.zeros(1), **options), call)(which)
            assert text in message_of(error)
    opt = lrcore.SGD(np.zeros(1), lookahead=2)
    assert opt.averages() is opt.averages("slow") is opt.averages("lookahead")
    with opt.averaged("lookahead"):
        pass
    both = lrcore.SGD(np.zeros(1), lookahead=2, ema=0.5)
    assert both.averages() is both.state[""]["ema"]


@BACKENDS
def test_averages_in_place_of_the_parameters(backend):
    w, h = np.array([0.1, -0.0, np.nan]), np.array([1.0, 2.0], np.float16)
    opt = lrcore.SGD([w, h], lr=1.0, ema=0.5, nonfinite="ignore", backend=backend)
    opt.step([np.array([1.0, 0.0, 1.0]), np.array([1.0, 70000.0])])
    state = opt.state_dict()
    before = w.tobytes(), h.tobytes()
    with opt.averaged():
        assert_array_equal(w, opt.averages()[0])
        assert_array_equal(h, np.array([0.5, -35000.0], np.float16))
        for refused in (
            lambda: opt.step([w, h]),
            lambda: opt.accumulate([w, h]),
            lambda: opt.load_state_dict(state),
            lambda: opt.add_param_group({"params": np.ones(1)}),
            lambda: opt.param_groups[0].update(lr=0.5),
            lambda: setattr(opt, "loss_scale", 2.0),
            lambda: opt.averaged().__enter__(),
            lambda: copy.deepcopy(opt),
            lambda: pickle.dumps(opt),
        ):
            with pytest.raises(
                RuntimeError,
                match=r'SGD: must be left alone inside the `with` of averaged\(\).*"ema"',
            ):
                refused()
    assert (w.tobytes(), h.tobytes()) == before
    with pytest.raises(ZeroDivisionError), opt.averaged("ema"):
        w[0] = 1 / 0
    assert (w.tobytes(), h.tobytes()) == before
    np.testing.assert_equal(opt.state_dict(), state)
    assert opt.step([np.ones(3), np.ones(2)])


def test_averages_must_agree_when_loading():
    plain, ema = lrcore.SGD(np.ones(2)), lrcore.SGD(np.ones(2), ema=0.5)
    ema.step(np.ones(2))
    with pytest.raises(ValueError, match="ema must be on here as it is in the state, got off"):
        plain.load_state_dict(ema.state_dict())
    with pytest.raises(ValueError, match="ema must be off here as it is in the state, got on"):
        ema.load_state_dict(plain.state_dict())
    plain.load_state_dict(ema.state_dict(), convert=True)
    assert plain.state == {"": {}}
    state = plain.state_dict()
    ema.load_state_dict(state, convert=True)
    assert_array_equal(ema.averages(), ema.param_groups[0]["params"])
    other = lrcore.SGD(np.ones(2), ema=lrcore.EMA(0.9, warmup=True))
    other.load_state_dict(ema.state_dict())
    assert other._layout.whole.ema == lrcore.EMA(0.5)


@BACKENDS
def test_averages_begin_again_where_weights_are_loaded(backend):
    w = np.zeros(2)
    opt = lrcore.SGD(w, lr=1.0, ema=0.5, swa=True, lookahead=2, backend=backend)
    w[:] = [4.0, 8.0]
    assert not opt.averages("ema").any()
    opt.resync()
    for name in ("ema", "swa", "lookahead"):
        assert_array_equal(opt.averages(name), w)
    opt.step(np.ones(2))
    assert_array_equal(opt.averages("ema"), [3.5, 7.5])
    assert_array_equal(opt.averages("swa"), [3.0, 7.0])
    opt.step(np.ones(2))
    assert_array_equal(w, [3.0, 7.0])
    with opt.averaged("ema"), pytest.raises(RuntimeError, match="must be left alone"):
        opt.resync()
