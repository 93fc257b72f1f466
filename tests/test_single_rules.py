"""What single rules promise, beyond what all of them do."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrcore
from lrcore import schedules
from lrcore.reference.rules import rule as reference

DTYPES = ["float32", "float64"]


# ------------------------------------------------------------------------------- FTRL


@pytest.mark.parametrize("isa", lrcore.isas())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("power", [-0.0, -0.3, -1.0, -2.5])
def test_every_power_of_ftrl_has_the_reference_bits(power, dtype, isa):
    before = lrcore.get_isa()
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(n).astype(dtype) for n in (1, 63, 64, 65, 200)]
    mine, plain = [p.copy() for p in start], [p.copy() for p in start]
    options = {"lr": 0.1, "lr_power": power, "l1": 0.01, "weight_decay": 0.1}
    a = lrcore.FTRL(mine, **options)
    b = lrcore.FTRL(plain, **options, backend="numpy")
    lrcore.set_isa(isa)
    try:
        for _ in range(3):
            grads = [rng.standard_normal(p.size).astype(dtype) for p in start]
            a.step(grads)
            b.step(grads)
    finally:
        lrcore.set_isa(before)
    for path in a.state:
        for name, array in a.state[path].items():
            assert_array_equal(array, b.state[path][name])
    for p, q, first in zip(mine, plain, start, strict=True):
        assert_array_equal(p, q)
        assert (p != first).all()


def test_l1_of_ftrl_leaves_exact_zeros():
    w, rng = np.zeros(100), np.random.default_rng(0)
    opt = lrcore.FTRL(w, lr=0.1, l1=1.0)
    told = np.arange(100) < 10
    for _ in range(50):
        opt.step(np.where(told, -1.0, 0.01 * rng.standard_normal(100)))
    assert (w[told] > 0).all()
    assert (w[~told] == 0).all()


def test_another_rate_of_ftrl_scales_the_step_and_not_the_parameter():
    steps = []
    for factor in (1.0, 0.5):
        w = np.zeros(1)
        opt = lrcore.FTRL(w, lr=0.1)
        for _ in range(5):
            opt.step(np.ones(1))
        before = float(w[0])
        opt.param_groups[0]["lr"] = 0.1 * factor
        opt.step(np.ones(1))
        steps.append(before - float(w[0]))
    assert steps[1] == pytest.approx(0.5 * steps[0], rel=1e-12)


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_an_element_without_a_gradient_stays_0(backend):
    w = np.zeros(3)
    opt = lrcore.FTRL(w, lr=0.1, initial_accumulator_value=0.0, backend=backend)
    opt.step(np.array([0.0, 1.0, 0.0]))
    assert_array_equal(w, [0.0, -0.1, 0.0])


# ---------------------------------------------------------------------------- MADGRAD


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_cube_root_of_madgrad(dtype):
    info = np.finfo(dtype)
    exponents = np.arange(np.log2(float(info.smallest_subnormal)), info.maxexp)
    rng = np.random.default_rng(0)
    x = (np.exp2(exponents) * (1 + rng.random((200, exponents.size)))).astype(dtype).ravel()
    x = x[np.isfinite(x) & (x > 0)]
    with np.errstate(all="ignore"):
        root = reference("madgrad")._cube_root(x)
        odd = reference("madgrad")._cube_root(np.array([0.0, np.inf, np.nan], dtype))
    exact = np.cbrt(x.astype(np.longdouble))
    assert np.abs((root - exact) / (exact * info.eps)).max() < 3
    assert_array_equal(odd, np.array([0.0, np.inf, np.nan], dtype))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_madgrad_without_eps_leaves_what_has_no_gradient(backend, momentum):
    w = np.array([3.0, 4.0])
    opt = lrcore.MADGRAD(w, momentum=momentum, eps=0.0, backend=backend)
    opt.step(np.array([0.0, 1.0]))
    assert w[0] == 3.0
    assert w[1] < 4.0


# ------------------------------------------------------------------------------ Rprop


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_rprop_begins_at_the_first_rate_that_is_not_0(backend):
    w = np.zeros(1)
    opt = lrcore.Rprop(w, schedules.Constant(0.25, warmup=1), backend=backend)
    opt.step(np.ones(1))
    assert w[0] == 0
    opt.step(np.ones(1))
    assert w[0] == -0.25
    opt.step(np.ones(1))
    assert w[0] == pytest.approx(-0.25 - 0.3)


def test_rprop_scales_its_first_step_as_the_rates_are_scaled():
    params = {"a": np.zeros(1), "b": np.zeros(1)}
    opt = lrcore.Rprop(params, 0.1, lr_scale={"b": 0.5})
    opt.step({"a": np.ones(1), "b": np.ones(1)})
    assert params["b"][0] == pytest.approx(0.5 * params["a"][0])


# ------------------------------------------------------------------------------- ASGD


def test_the_average_of_asgd_is_the_mean_from_t0_on():
    w, rng, seen = np.zeros(4), np.random.default_rng(0), []
    opt = lrcore.ASGD({"w": w}, lr=0.1, t0=5)
    assert_array_equal(opt.state["w"]["ax"], w)
    for t in range(1, 21):
        opt.step({"w": rng.standard_normal(4)})
        seen.append(w.copy())
        mean = np.mean(seen[6:], axis=0) if t > 6 else w
        np.testing.assert_allclose(opt.state["w"]["ax"], mean, rtol=1e-12)


def test_asgd_goes_by_the_rate_of_the_update_before():
    w = np.zeros(1)
    opt = lrcore.ASGD(w, lr=1.0, lambd=0.0, alpha=1.0)
    moved = []
    for lr in (1.0, 0.5, 0.25):
        opt.param_groups[0]["lr"], before = lr, w[0]
        opt.step(np.ones(1))
        moved.append(before - w[0])
    assert moved == [1.0, 1.0, 0.5]
    assert opt.estimates[""]["eta"] == 0.25
