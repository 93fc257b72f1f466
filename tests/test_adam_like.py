"""What is peculiar to the rules that descend from Adam."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrcore
from lrcore import schedules

BACKENDS = pytest.mark.parametrize("backend", ["c", "numpy"])


@pytest.mark.parametrize(
    ("rule", "options", "error", "message"),
    [
        ("AdaBound", {"gamma": 0.0}, ValueError, "gamma must be in (0, 1), got 0.0"),
        ("AdaBound", {"final_lr": -1.0}, ValueError, "final_lr must be in [0, inf), got -1.0"),
        ("QHAdam", {"nus": (1.0, 1.5)}, ValueError, "nus[1] must be in [0, 1], got 1.5"),
        ("QHAdam", {"nus": 0.7}, ValueError, "nus must be a tuple of 2 numbers, got 0.7"),
        ("ADOPT", {"clip_exp": -1.0}, ValueError,
         "clip_exp must be None or in [0, inf), got -1.0"),
        ("AdEMAMix", {"beta3_warmup": 0}, ValueError,
         "beta3_warmup must be None or in (0, inf), got 0"),
        ("AdEMAMix", {"betas": (0.9, 0.999)}, ValueError,
         "betas must be a tuple of 3 numbers, got (0.9, 0.999)"),
        ("AdEMAMix", {"alpha": None}, TypeError, "alpha must be a number in [0, inf), got None"),
        ("AdaBelief", {"rectify": 1}, TypeError, "rectify must be True or False, got 1"),
        ("RMSprop", {"alpha": 5.0}, ValueError, "alpha must be in [0, 1), got 5.0"),
    ],
)  # fmt: skip
def test_what_is_outside_its_domain_is_refused(rule, options, error, message):
    with pytest.raises(error, match=f"^{re.escape(f'{rule}: {message}')}$"):
        getattr(lrcore, rule)(np.ones(2), **options)


def test_what_may_be_none_is_saved_and_set():
    opt = lrcore.AdEMAMix(np.ones(2), beta3_warmup=10)
    group = opt.param_groups[0]
    assert (group["beta3_warmup"], group["alpha_warmup"]) == (10, None)
    again = lrcore.AdEMAMix(np.ones(2), alpha_warmup=10)
    again.load_state_dict(opt.state_dict())
    assert again.param_groups[0]["beta3_warmup"] == 10
    assert again.param_groups[0]["alpha_warmup"] is None
    group["beta3_warmup"] = None
    assert group["beta3_warmup"] is None


@BACKENDS
def test_adabound_comes_to_the_rate_of_sgd(backend):
    w = np.array([1.0, 1.0])
    opt = lrcore.AdaBound(w, final_lr=0.01, gamma=0.999, betas=(0.0, 0.999), backend=backend)
    grads = np.array([1e-3, 1e3])
    for _ in range(2000):
        opt.step(grads)
    before = w.copy()
    opt.step(grads)
    np.testing.assert_allclose(before - w, 0.01 * grads, rtol=1e-3)


@BACKENDS
def test_adabounds_limits_follow_the_rate(backend):
    """Half the rate, half the bounds: also for a tensor with an lr_scale, and down to zero."""
    rates = schedules.Lambda(lambda t: [0.1, 0.05, 0.0][t])
    w = {"a": np.zeros(3), "b": np.zeros(3)}
    opt = lrcore.AdaBound(
        w,
        lr=rates,
        gamma=0.5,
        betas=(0.0, 0.0),
        final_lr=1e-4,
        lr_scale={"b": 0.5},
        backend=backend,
    )
    at = [0.0]
    for _ in range(3):
        opt.step({"a": np.ones(3), "b": np.ones(3)})
        at.append(float(w["a"][0]))
    assert_array_equal(w["b"], w["a"] / 2)
    steps = -np.diff(at)
    np.testing.assert_allclose(steps[:2], [1e-4 * 3, 0.5e-4 * 2], rtol=1e-12)  # the upper bounds
    assert steps[2] == 0
    assert opt.estimates == [{"base": 0.1}]


@BACKENDS
def test_adopts_first_step_only_measures(backend):
    w = np.array([1.0, -2.0, 3.0])
    opt = lrcore.ADOPT(w, lr=0.1, weight_decay=0.5, backend=backend)
    opt.step(np.array([1.0, 2.0, 0.0]))
    assert_array_equal(w, [1.0, -2.0, 3.0])
    assert_array_equal(opt.state[""]["m"], 0)
    assert_array_equal(opt.state[""]["v"], [1.5**2, 1.0, 1.5**2])


@BACKENDS
def test_adopt_clips_by_the_power_of_the_step(backend):
    """The gradient grows a thousandfold: u is 1 at t = 2, and 2 ** clip_exp at t = 3."""
    for exponent, bound in (0.25, 2**0.25), (0.5, 2**0.5), (None, 1000.0):
        w = np.zeros(1)
        opt = lrcore.ADOPT(w, lr=1.0, betas=(0.0, 1 - 1e-15), clip_exp=exponent, backend=backend)
        for g in 1.0, 1.0, 1000.0:
            before = w.copy()
            opt.step(np.array([g]))
        np.testing.assert_allclose(before - w, bound, rtol=1e-9)


@BACKENDS
def test_adan_takes_the_difference_to_the_tensors_own_last_gradient(backend):
    """A tensor that is left out for a step goes on where it was."""
    a, b = np.ones(3), np.ones(3)
    both, alone = (
        lrcore.Adan(x, lr=0.1, backend=backend) for x in ([a.copy(), b.copy()], [b.copy()])
    )
    g = np.array([1.0, -2.0, 3.0])
    for t in range(5):
        both.step([g * t, None if t in (0, 3) else g * t * t])
        if t not in (0, 3):
            alone.step([g * t * t])
    assert_array_equal(both.state["1"]["prev"], 16 * g)
    for name, x in alone.state["0"].items():
        assert_array_equal(both.state["1"][name], x)


@BACKENDS
def test_ademamix_is_adamw_while_the_slow_mean_weighs_nothing(backend):
    rng = np.random.default_rng(0)
    p, q = np.ones(50), np.ones(50)
    mixed = lrcore.AdEMAMix(p, lr=0.1, alpha=0.0, weight_decay=0.1, backend=backend)
    plain = lrcore.AdamW(q, lr=0.1, weight_decay=0.1, backend=backend)
    for _ in range(20):
        g = rng.standard_normal(50)
        mixed.step(g)
        plain.step(g)
    np.testing.assert_allclose(p, q, rtol=1e-12)


@BACKENDS
def test_ademamixs_slow_mean_begins_as_the_fast_one(backend):
    """In the first step of a long warm-up beta3 is all but beta1, then its half-life grows."""
    w = np.zeros(1)
    opt = lrcore.AdEMAMix(w, beta3_warmup=1000, backend=backend)
    lengths = []
    for _ in range(500):
        before = float(opt.state[""]["m_slow"][0])
        opt.step(np.ones(1))
        beta3 = 1 - (float(opt.state[""]["m_slow"][0]) - before) / (1 - before)
        lengths.append(np.log(0.5) / np.log(beta3))
    first, last = np.log(0.5) / np.log([0.9, 0.9999])
    expected = first + (last - first) * np.arange(1, 501) / 1000
    np.testing.assert_allclose(lengths[:60], expected[:60], rtol=1e-6)
    np.testing.assert_allclose(lengths[-1], expected[-1], rtol=1e-2)


@BACKENDS
def test_yogi_forgets_by_no_more_than_the_new_square(backend):
    """After one large gradient Adam's v shrinks by a part of itself, Yogi's by a part of g^2."""
    w = np.zeros(1)
    opt = lrcore.Yogi(w, initial_accumulator_value=100.0, betas=(0.9, 0.5), backend=backend)
    for g, v in (1.0, 99.5), (2.0, 97.5), (20.0, 297.5):
        opt.step(np.array([g]))
        assert opt.state[""]["v"][0] == v
