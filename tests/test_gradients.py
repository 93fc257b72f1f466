"""Gradients between steps: accumulation, and the scale of the loss."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import BACKENDS, COPIES, f32

import lrcore
from lrcore import schedules

# ------------------------------------------------------------------------- accumulation


@BACKENDS
def test_accumulated_gradients_are_averaged(backend):
    a, b = np.zeros(3, np.float32), np.zeros(2)
    opt = lrcore.SGD([a, b], lr=schedules.Linear(1.0, steps=2, end=0.5), backend=backend)
    assert opt.nbytes == 0
    opt.accumulate([np.full(3, 1, np.float16), None])
    opt.accumulate([f32(3, 3, 3), np.array([1.0, 2.0])])
    assert opt.nbytes == 3 * 4 + 2 * 8
    assert (opt.t, a[0]) == (0, 0.0)
    assert opt.step()
    assert_array_equal(a, f32(-2, -2, -2))
    assert_array_equal(b, [-0.5, -1.0])
    assert opt.t == 1
    opt.step([f32(1, 1, 1), None])
    assert_array_equal(a, f32(-2.75, -2.75, -2.75))
    ages = [e["t"] for e in opt.state_dict()["param_groups"][0]["params"].values()]
    assert ages == [2, 1]
    opt.accumulate([f32(1, 1, 1), np.ones(2)])  # begins anew
    opt.step()
    assert_array_equal(a, f32(-3.25, -3.25, -3.25))
    assert_array_equal(b, [-1.0, -1.5])


@BACKENDS
def test_a_parameter_without_any_gradient_is_left_alone(backend):
    a, b = np.ones(1), np.ones(1)
    opt = lrcore.AdamW([a, b], lr=0.5, weight_decay=1.0, backend=backend)
    opt.accumulate([None, np.zeros(1)])
    opt.step()
    assert (a[0], b[0]) == (1.0, 0.5)


@BACKENDS
def test_accumulation_refuses_in_sentences(backend):
    opt = lrcore.SGD([np.zeros(3)], backend=backend)
    with pytest.raises(ValueError, match=r"SGD\.step: grads must be given; nothing has been accum"):
        opt.step()
    assert opt.step(None)  # no gradient is not the same as none given
    with pytest.raises(ValueError, match=r"grads\[0\]: shape must be \(3,\), got \(2,\)"):
        opt.accumulate([np.zeros(2)])
    assert opt.nbytes == 0
    opt.accumulate([np.ones(3)])
    with pytest.raises(ValueError, match=r"shape must be"):
        opt.accumulate([np.zeros(2)])
    text = r"SGD\.step: grads must be left out, since 1 accumulated micro-batch waits"
    with pytest.raises(ValueError, match=text):
        opt.step([np.ones(3)])
    opt.accumulate([np.ones(3)])
    with pytest.raises(ValueError, match="SGD: loss_scale must stay as it is while accumulated"):
        opt.loss_scale = 2.0
    with pytest.raises(ValueError, match="since 2 accumulated micro-batches wait"):
        opt.step([np.ones(3)])
    assert opt.step()
    assert opt.step([np.ones(3)])


@BACKENDS
def test_what_waits_can_be_dropped(backend):
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, ema=0.5, backend=backend)
    opt.drop()
    opt.accumulate(np.ones(1))
    with pytest.raises(ValueError, match=r"drop\(\) forgets what waits"):
        opt.step(np.ones(1))
    with opt.averaged(), pytest.raises(RuntimeError, match="must be left alone"):
        opt.drop()
    opt.drop()
    with pytest.raises(ValueError, match="nothing has been accumulated"):
        opt.step()
    assert opt._direct == (backend == "c")
    opt.accumulate(np.full(1, 3.0))
    opt.step()
    assert_array_equal(w, -3.0)


@BACKENDS
@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_what_is_not_finite_is_dropped_with_the_step(nonfinite, backend):
    w = np.zeros(2)
    opt = lrcore.SGD(w, lr=1.0, nonfinite=nonfinite, backend=backend)
    opt.accumulate(np.array([np.inf, 1.0]))
    opt.accumulate(np.array([1.0, 1.0]))
    if nonfinite == "skip":
        assert opt.step() is False
    else:
        with pytest.raises(lrcore.NonFiniteError):
            opt.step()
    assert opt.step(np.ones(2))
    assert_array_equal(w, -1.0)


@BACKENDS
def test_what_waits_is_saved_and_copied(backend):
    def make():
        params = [np.ones((3, 2), np.float32), np.ones(4)]
        return params, lrcore.Adam(params, lr=0.1, backend=backend)

    def grads(t):
        rng = np.random.default_rng(t)
        return [rng.standard_normal((3, 2)), None if t == 1 else rng.standard_normal(4)]

    straight, a = make()
    resumed, b = make()
    for opt in (a, b):
        opt.step(grads(0))
        opt.accumulate(grads(1))
    fresh = lrcore.Adam(resumed, backend=backend)
    fresh.load_state_dict(b.state_dict())
    np.testing.assert_equal(fresh.state_dict(), b.state_dict())
    copied, copied_params = copy.deepcopy((b, resumed))
    for opt in (a, fresh, copied):
        opt.accumulate(grads(2))
        assert opt.step()
    for x, y, z in zip(straight, resumed, copied_params, strict=True):
        assert_array_equal(x, y)
        assert_array_equal(x, z)
    state = a.state_dict()
    assert "sum" not in state["param_groups"][0]["params"]["0"]
    fresh.accumulate(grads(3))
    fresh.load_state_dict(state)  # forgets what waited
    assert fresh.step(grads(4))


def test_zero_grads_goes_with_everything():
    for backend in ("c", "numpy"):
        w, g = np.zeros(3), np.ones(3)
        opt = lrcore.SGD(w, lr=1.0, zero_grads=True, nonfinite="skip", backend=backend)
        opt.step(g)
        assert not g.any()
        g[:] = [1.0, np.nan, 1.0]
        assert opt.step(g) is False
        assert not g.any()
        g[:] = 1.0
        opt.accumulate(g)
        assert not g.any()
        opt.accumulate(g)
        opt.step()
        assert_array_equal(w, -1.5)
        g.flags.writeable = False
        with pytest.raises(ValueError, match="must be writable, since zero_grads"):
            opt.step(g)
        with pytest.raises(ValueError, match="must share no memory with parameters"):
            opt.step(w)


# ------------------------------------------------------------------------- loss scale


@BACKENDS
def test_a_fixed_scale_divides(backend):
    w = np.zeros(2)
    opt = lrcore.SGD(w, lr=1.0, loss_scale=4, clip_norm=100.0, backend=backend)
    assert opt.loss_scale == 4.0
    opt.step(np.array([4.0, 8.0]))
    assert_array_equal(w, [-1.0, -2.0])
    assert opt.grad_norm == np.sqrt(5.0)
    opt.loss_scale = 8
    opt.step(np.array([4.0, 8.0]))
    assert_array_equal(w, [-1.5, -3.0])
    scaler = lrcore.LossScaler(init=4.0, every=2)
    other = lrcore.SGD(w, loss_scale=scaler, nonfinite="skip", backend=backend)
    other.step(np.ones(2))
    other.loss_scale = 2.0  # counts from here
    other.step(np.ones(2))
    assert other.loss_scale == 2.0
    other.step(np.ones(2))
    assert other.loss_scale == 4.0
    for bad in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"SGD: loss_scale must be in \(0, inf\)"):
            opt.loss_scale = bad
    assert lrcore.SGD(np.zeros(1)).loss_scale == 1.0


@BACKENDS
def test_the_scaler_backs_off_and_grows(backend):
    scaler = lrcore.LossScaler(init=8.0, every=2, floor=2.0, ceiling=16.0)
    w = np.zeros(1)
    opt = lrcore.SGD(w, lr=1.0, loss_scale=scaler, nonfinite="skip", backend=backend)
    seen = []
    for bad in (0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0):
        scale = opt.loss_scale
        seen.append(scale)
        before = w.copy()
        made = opt.step(np.array([np.nan if bad else scale]))
        assert made == (not bad)
        assert_array_equal(before - w, float(made))
    assert seen == [8, 8, 16, 16, 8, 4, 2, 2, 2, 4, 4, 8, 8, 4, 4]
    assert opt.loss_scale == 8.0
    other = lrcore.SGD(np.zeros(1), loss_scale=scaler, nonfinite="skip")
    assert other.loss_scale == 8.0


@pytest.mark.parametrize("how", [*COPIES, None])
def test_the_scale_is_part_of_the_run(how):
    scaler = lrcore.LossScaler(init=8.0, every=3)
    opt = lrcore.SGD(np.zeros(1), loss_scale=scaler, nonfinite="skip")
    for g in (np.inf, 1.0, 1.0):
        opt.step(np.array([g]))
    if how is None:
        other = lrcore.SGD(np.zeros(1))
        other.load_state_dict(opt.state_dict())
    else:
        other = how(opt)
    assert other.loss_scale == 4.0
    for x in (opt, other):
        x.step(np.array([1.0]))
        assert x.loss_scale == 8.0
    np.testing.assert_equal(other.state_dict(), opt.state_dict())
    state = opt.state_dict()
    for name, value in (("scale", 0.0), ("good_steps", -1), ("loss_scale", {"init": 0})):
        with pytest.raises(ValueError, match=name):
            opt.load_state_dict({**state, name: value})


@BACKENDS
def test_a_scaler_skips_and_keeps_to_its_range(backend):
    scaler = lrcore.LossScaler(init=8.0, floor=2.0, ceiling=16.0)
    opt = lrcore.SGD(np.zeros(1), loss_scale=scaler, backend=backend)
    assert opt.step(np.array([np.inf])) is False
    assert opt.loss_scale == 4.0
    text = r"loss_scale must be in the LossScaler's \[floor, ceiling\] = \[2.0, 16.0\], got 32.0"
    with pytest.raises(ValueError, match=f"SGD: {text}"):
        opt.loss_scale = 32
    with pytest.raises(ValueError, match=r"got 1\.0"):
        opt.loss_scale = 1.0
    assert opt.loss_scale == 4.0
    opt.loss_scale = 16
    with pytest.raises(ValueError, match=r"SGD.load_state_dict: scale must be in the LossScaler's"):
        opt.load_state_dict({**opt.state_dict(), "scale": 32.0})
    with pytest.raises(ValueError, match='must go with nonfinite="skip"'):
        opt.load_state_dict({**opt.state_dict(), "nonfinite": "raise"})
