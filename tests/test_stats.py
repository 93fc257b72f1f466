"""Statistics of a step."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import BACKENDS, f32

import lrcore
from lrcore import schedules

# ------------------------------------------------------------------------- statistics


@BACKENDS
def test_statistics(backend):
    a, b, c = np.array([3.0, 4.0]), np.array([1.0]), np.array([5.0])
    groups = [{"params": {"a": a, "b": b}}, {"params": c, "maximize": True}]
    opt = lrcore.SGD(groups, lr=0.5, clip_norm=6.5, loss_scale=2.0, stats=True, backend=backend)
    before = opt.stats
    assert np.isnan(before.total.grad_norm)
    assert np.isnan(before.tensors["1."].lost)
    assert type(before.tensors["1."].nonfinite) is int
    opt.step([{"a": np.array([6.0, 8.0]), "b": None}, np.array([24.0])])
    first = opt.stats
    assert np.isnan(before.total.grad_norm)
    assert first.total.grad_norm == 13.0 == opt.grad_norm
    np.testing.assert_allclose(first.total.clip, 0.5, rtol=1e-6)
    assert list(first.tensors) == ["0.a", "0.b", "1."] == list(opt.state)
    assert np.isnan(first.tensors["0.b"].param_norm)
    assert first.tensors["0.a"] == first.groups[0]
    np.testing.assert_allclose(first.groups[0].step_norm, 1.25, rtol=1e-6)
    np.testing.assert_allclose(first.groups[0].param_norm, 3.75, rtol=1e-6)
    np.testing.assert_allclose(first.groups[0].ratio, 1 / 3, rtol=1e-6)
    assert np.isnan(first.total.cos)
    assert (first.total.nonfinite, first.total.lost) == (0, 0.0)
    opt.step([{"a": np.array([6.0, 8.0]), "b": np.zeros(1)}, np.array([-24.0])])
    second = opt.stats
    np.testing.assert_allclose([g.cos for g in second.groups], [-1.0, 1.0])
    assert np.isnan(second.tensors["0.b"].cos)
    assert second.tensors["0.b"].step_norm == 0.0
    later = opt.stats
    opt.step([{"a": np.array([-6.0, -8.0]), "b": None}, None])
    np.testing.assert_allclose(later.groups[0].cos, -1.0)  # looked at only now
    np.testing.assert_allclose(opt.stats.groups[0].cos, 1.0)
    assert first.total.ratio == first.total.step_norm / first.total.param_norm


@BACKENDS
def test_statistics_of_what_goes_wrong(backend):
    w = np.array([1.0, 1e4, 1.0, 1.0], np.float16)
    opt = lrcore.SGD(w, lr=0.1, stats=True, nonfinite="skip", backend=backend)
    opt.step(np.array([1.0, 1.0, 0.0, 1e-5]))
    assert opt.stats.total.lost == 0.5
    assert opt.step(np.array([np.inf, np.nan, 0.0, 1.0])) is False
    assert opt.stats.total.nonfinite == 2
    nothing = lrcore.SGD(np.zeros(2), stats=True, backend=backend)
    nothing.step(None)
    assert np.isnan(nothing.stats.total.ratio)
    nothing.step(np.zeros(2))
    assert np.isnan(nothing.stats.total.ratio)
    assert nothing.stats.total.grad_norm == 0.0


def test_statistics_must_be_switched_on():
    opt = lrcore.AdamW(np.zeros(1))
    text = "AdamW: stats must be switched on with stats=True at construction"
    with pytest.raises(RuntimeError, match=text):
        repr(opt.stats)
    opt = lrcore.AdamW(np.ones(1), stats=True)
    opt.step(np.ones(1))
    assert "grad_norm=1.0" in repr(opt.stats)
    assert isinstance(opt.stats, lrcore.Stats)
    assert isinstance(opt.stats.total, lrcore.StepStats)


def test_statistics_go_on_with_the_optimizer():
    params = [np.ones(3)]
    opt = lrcore.SGD(params, lr=0.1, stats=True)
    opt.step([np.ones(3)])
    rows = copy.deepcopy(opt).stats._rows
    assert_array_equal(rows, opt.stats._rows)
    opt.param_groups[0]["momentum"] = 0.9  # a new plan
    assert_array_equal(rows, opt.stats._rows)
    opt.step([np.ones(3)])
    assert opt.stats.total.cos == pytest.approx(-1.0)
    other = lrcore.SGD(params, stats=True)
    other.load_state_dict(opt.state_dict())
    assert np.isnan(other.stats.total.cos)
    other.step([np.ones(3)])
    assert other.stats.total.cos == pytest.approx(-1.0)  # the trace is saved
    plain = lrcore.SGD(params)
    plain.load_state_dict(opt.state_dict())  # and left out where nothing is measured
    opt.load_state_dict(plain.state_dict())
    opt.step([np.ones(3)])
    assert np.isnan(opt.stats.total.cos)


@BACKENDS
def test_statistics_outlive_a_new_plan(backend):
    a, b = np.ones(2), np.ones(2)
    opt = lrcore.SGD({"a": a}, lr=0.5, stats=True, backend=backend)
    opt.step({"a": np.array([3.0, 4.0])})
    before = opt.stats["a"]
    opt.param_groups[0]["agc"] = 100.0
    assert opt.stats.total == before
    opt.add_param_group({"params": {"b": b}})
    assert opt.stats.total == opt.stats["0.a"]
    assert opt.stats.grad_norm == 5.0
    assert np.isnan(opt.stats["1.b"].grad_norm)
    opt.step([{"a": np.array([3.0, 4.0])}, {"b": np.array([0.0, 12.0])}])
    assert opt.stats.grad_norm == 13.0
    opt.load_state_dict(opt.state_dict())
    assert np.isnan(opt.stats.grad_norm)
    opt.step([None, {"b": np.array([5.0, 12.0])}])
    assert opt.stats.grad_norm == 13.0


def test_statistics_are_a_mapping_and_the_total():
    params = {f"p{i}": np.ones(3) for i in range(40)}
    opt = lrcore.SGD(params, lr=0.5, stats=True)
    rng = np.random.default_rng(0)
    opt.step({k: None if k == "p7" else rng.standard_normal(3) for k in params})
    stats = opt.stats
    assert list(stats) == list(opt.state) == list(stats.tensors)
    assert (len(stats), "p3" in stats, "q" in stats) == (40, True, False)
    assert stats["p3"] is stats.tensors["p3"]
    for name in lrcore.StepStats.__dataclass_fields__:
        np.testing.assert_equal(getattr(stats, name), getattr(stats.total, name))
    for path, one in stats.items():
        alone = lrcore.SGD({path: np.ones(3)}, lr=0.5, stats=True)
        seen = opt._layout.stats[list(params).index(path)]
        alone._layout.stats[0] = seen
        np.testing.assert_equal(vars(alone.stats.total), vars(one))
    with pytest.raises(AttributeError, match="'Stats' object has no attribute 'norm'"):
        repr(stats.norm)
    with pytest.raises(KeyError):
        stats["q"]
    again = pickle.loads(pickle.dumps(stats))
    np.testing.assert_equal(vars(again["p7"]), vars(stats["p7"]))


def test_a_row_of_another_trace_is_forgotten():
    opt = lrcore.SGD(np.zeros(2**20, np.float32), stats=True)
    opt.step(np.ones(2**20, np.float32))
    opt.add_param_group({"params": np.zeros(8192, np.float32)})
    assert np.isnan(opt.stats.step_norm)


def test_the_trace_is_thinned_out_for_many_elements():
    small = lrcore.SGD(np.zeros(2**20, np.float32), stats=True)
    assert small.state[""]["trace"].size == 2**20
    small.add_param_group({"params": np.zeros(3 * 8192 + 5, np.float32)})
    sizes = [own["trace"].size for own in small.state.values()]
    assert sizes == [2**16, 8192]
    small.step([np.ones(2**20, np.float32), np.ones(3 * 8192 + 5, np.float32)])


@BACKENDS
def test_a_part_stands_for_the_whole(backend):
    n = 2**20 + 20_000
    w, small = np.ones(n, np.float32), np.zeros(3, np.float32)
    opt = lrcore.SGD([w, small], lr=0.5, stats=True, backend=backend)
    opt.step([np.ones(n, np.float32), f32(0, 1, 1)])
    opt.step([np.full(n, 1e-9, np.float32), f32(0, 1, 1)])
    one, two = opt.stats.tensors.values()
    assert (one.lost, one.step_norm, one.cos) == (pytest.approx(1.0), 0.0, pytest.approx(-1.0))
    assert (two.lost, two.step_norm) == (0.0, pytest.approx(0.5 * np.sqrt(2)))
    assert opt.stats.total.lost == pytest.approx(n / (n + 3))
    opt.step([np.ones(n, np.float32), None])
    assert opt.stats.total.step_norm == pytest.approx(0.5 * np.sqrt(n))


# ------------------------------------------------------------------- the slope of a step


@BACKENDS
def test_slope_is_the_change_that_the_gradient_predicts(backend):
    """Of the loss itself: neither its scale, clipping, micro-batches nor maximize show in it."""
    for options in (
        {},
        {"loss_scale": 8.0},
        {"clip_norm": 1.0, "momentum": 0.9},
        {"maximize": True},
    ):
        w, sign = f32(1.0, -2.0, 3.0), -1.0 if options.get("maximize") else 1.0
        opt = lrcore.SGD(w, lr=0.125, stats=True, backend=backend, **options)
        scale = options.get("loss_scale", 1.0)
        for _ in range(3):
            g, before = w.copy(), w.copy()
            for _ in range(2):
                opt.accumulate(g * np.float32(scale))
            opt.step()
            want = sign * np.dot(g.astype(float), (w - before).astype(float))
            assert opt.stats.slope == pytest.approx(want, rel=1e-6)
            assert opt.stats.slope < 0
            change = sign * 0.5 * (np.dot(w, w) - np.dot(before, before))
            gain, step2 = change / opt.stats.slope, opt.stats.step_norm**2
            assert gain == pytest.approx(1 + sign * 0.5 * step2 / opt.stats.slope, rel=1e-5)


@BACKENDS
@pytest.mark.parametrize(
    "options", [{"clip_value": 0.5}, {"cautious": True}, {"weight_decay": 0.5}]
)
def test_slope_is_of_the_gradient_as_it_came(backend, options):
    """Also where a strided one was loaded into the place where it is then changed."""
    rng = np.random.default_rng(5)
    w = rng.standard_normal(3000).astype(np.float32)
    opt = lrcore.Adam(w, lr=0.01, stats=True, backend=backend, **options)
    for _ in range(2):
        g = rng.standard_normal((3000, 2))[:, 1]
        before = w.astype(float)
        opt.step(g)
        want = np.dot(g, w.astype(float) - before)
        assert opt.stats.slope == pytest.approx(want, rel=1e-4, abs=1e-6)


@BACKENDS
def test_slope_of_a_part_stands_for_the_whole(backend):
    n = 2**20 + 20_000
    opt = lrcore.SGD(np.ones(n, np.float32), lr=0.5, stats=True, backend=backend)
    opt.step(np.ones(n, np.float32))
    assert opt.stats.slope == pytest.approx(-0.5 * n)


# ----------------------------------------------------- the same in one call, of some steps


def last(opt, **losses):
    names = lrcore._core.RECORD
    out = np.full((2, len(names)), 7.0)
    opt._plan.record(out, 1, **losses)
    assert (out[0] == 7).all()
    return dict(zip(names, out[1], strict=True))


MEASURED = lrcore._core.RECORD[4:]


def agrees(opt):
    told, stats = last(opt), opt.stats.total
    for name in MEASURED:
        np.testing.assert_equal(told[name], getattr(stats, name), err_msg=name)


@BACKENDS
@pytest.mark.parametrize("shape", [(), (40, 30), (2**20 + 20_001,)])
def test_last_is_the_total_bit_for_bit(backend, shape):
    rng = np.random.default_rng(3)
    params = {k: rng.standard_normal(shape).astype(np.float32) for k in "abc"}
    groups = [
        {"params": {"a": params["a"], "b": params["b"]}, "lr": schedules.Exponential(0.1, 0.9)},
        {"params": params["c"], "maximize": True, "lr": 1e-3},
    ]
    opt = lrcore.AdamW(groups, stats=True, loss_scale=3.0, nonfinite="skip", backend=backend)
    agrees(opt)
    for given in ("abc", "ac", "", "b", "abc"):
        grads = [rng.standard_normal(shape).astype(np.float32) for _ in "abc"]
        a, b, c = (g if k in given else None for k, g in zip("abc", grads, strict=True))
        lr = opt.lr
        opt.step([{"a": a, "b": b}, c])
        agrees(opt)
        assert last(opt)["lr"] == lr
    grads[0][...] = np.inf
    assert not opt.step([{"a": grads[0], "b": grads[1]}, grads[2]])
    agrees(opt)


def test_record_has_the_losses_and_the_gain_ratio():
    w = np.array([4.0])
    opt = lrcore.SGD(w, lr=0.5, stats=True)
    opt.step(w.copy())
    told = last(opt, loss=8.0, val_loss=1.0, loss_after=2.0)
    assert (told["loss"], told["val_loss"], told["slope"], told["gain"]) == (8.0, 1.0, -8.0, 0.75)
    assert np.isnan(last(opt, loss=8.0)["gain"])
    opt.step(np.zeros(1))
    assert np.isnan(last(opt, loss=8.0, loss_after=8.0)["gain"])
    for out, i in (np.zeros((2, 3)), 0), (np.zeros((2, 10)), 2), (np.zeros((2, 10)), -1):
        with pytest.raises(ValueError, match=f"record: out must have a row {i} of 10 float64"):
            opt._plan.record(out, i)
    with pytest.raises(ValueError, match="in C order"):
        opt._plan.record(np.zeros((10, 10)).T, 0)


@BACKENDS
def test_a_few_of_many_steps_are_measured(backend):
    """With the numbers of an optimizer that measures all, and the same parameters."""
    rng = np.random.default_rng(4)
    start = rng.standard_normal((50, 3)).astype(np.float32)
    a, b = start.copy(), start.copy()
    some, every = (lrcore.Lion(x, lr=0.1, stats=x is b, backend=backend) for x in (a, b))
    assert some._watch(10) == 0
    for t in range(25):
        g = rng.standard_normal(start.shape).astype(np.float32)
        some.step(g)
        every.step(g)
        told, want = last(some), last(every)
        assert_array_equal(a, b)
        if t % 10 == 0:
            assert np.isnan(told["cos"])  # the step before was not kept
            want["cos"] = np.nan
        if t % 10 < 4:
            np.testing.assert_equal(told, want)
        else:
            assert all(np.isnan(told[k]) for k in MEASURED)
        if t == 12:
            some = copy.deepcopy(some)
            a = next(iter(some._layout.leaves)).array
    assert some._watch(0) == 10
    assert "trace" not in some.state[""]
    with pytest.raises(RuntimeError, match="stats=True"):
        repr(some.stats)


@BACKENDS
def test_named_rows_are_not_measured_where_all_need_not_be(backend):
    w = np.ones((4, 2), np.float32)
    opt = lrcore.SGD(w, lr=0.5, backend=backend)
    opt._watch(1)
    opt.step(np.ones((4, 2), np.float32))
    assert last(opt)["slope"] == -4.0
    opt.step(lrcore.RowGrad([1], np.ones((1, 2), np.float32), (4, 2)))
    assert np.isnan(last(opt)["slope"])
    assert w[1].tolist() == [0.0, 0.0]
    opt.step(np.ones((4, 2), np.float32))
    assert np.isnan(last(opt)["cos"])  # the step before was not kept
    assert last(opt)["slope"] == -4.0
