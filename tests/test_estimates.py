"""Rules that keep numbers for tensors or groups: what those are, and what they make of bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import BACKENDS

import lrcore
from lrcore import functional, schedules

HYPERGRADIENTS = [lrcore.HypergradientSGD, lrcore.HypergradientAdam]


def draw(k, n=9):
    return np.random.default_rng(k).standard_normal(n)


# ------------------------------------------------------------------------------- PolyakSGD


@BACKENDS
@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (None, ValueError, r"loss must be given, as in step\(grads, loss=loss\)"),
        (np.nan, ValueError, r"loss must be in \(-inf, inf\), got nan"),
        (-np.inf, ValueError, r"loss must be in \(-inf, inf\), got -inf"),
        ("1", TypeError, "loss must be a number"),
    ],
)
def test_polyak_without_a_loss_is_refused_and_changes_nothing(loss, error, words, backend):
    p = draw(0)
    opt = lrcore.PolyakSGD(p, backend=backend)
    opt.step(draw(1), loss=1.0)
    before, estimates = p.copy(), opt.estimates
    given = {} if loss is None else {"loss": loss}
    with pytest.raises(error, match=rf"^PolyakSGD\.step: {words}"):
        opt.step(draw(2), **given)
    assert_array_equal(p, before)
    assert (opt.t, opt.estimates) == (1, estimates)


def test_the_function_wants_a_loss_too():
    p = draw(0)
    state = functional.init("polyaksgd", p)
    with pytest.raises(ValueError, match=r"^polyaksgd: loss must be given"):
        functional.polyaksgd(p, draw(1), state, t=1)
    functional.polyaksgd(p, draw(1), state, t=1, loss=2.0)
    assert_allclose(p, draw(0) - 2 / (0.5 * (draw(1) ** 2).sum()) * draw(1))


def test_the_function_refuses_scalars_it_cannot_write_before_anything_has_changed():
    p = draw(0)
    state = functional.init("lamb", p)
    state[-1].setflags(write=False)
    with pytest.raises(ValueError, match=r"^lamb: the scalars of state must be writeable"):
        functional.lamb(p, draw(1), state, t=1)
    assert_array_equal(p, draw(0))
    assert not state[0].any()


@BACKENDS
def test_polyak_looks_at_all_groups_and_each_has_its_largest_rate(backend):
    p, q = draw(0), draw(1, 5)
    opt = lrcore.PolyakSGD([{"params": p}, {"params": q, "max_lr": 0.01}], backend=backend)
    g, h = draw(2), draw(3, 5)
    opt.step([g, h], loss=0.7)
    eta = 0.7 / (0.5 * ((g**2).sum() + (h**2).sum()))
    assert 0.01 < eta < 1
    assert_allclose([x["eta"] for x in opt.estimates], [eta, 0.01], rtol=1e-14)
    assert_allclose(p, draw(0) - eta * g)
    assert_allclose(q, draw(1, 5) - 0.01 * h)


@BACKENDS
@pytest.mark.parametrize("case", ["below", "no gradient", "ascent"])
def test_polyak_at_the_edges(case, backend):
    p = draw(0)
    opt = lrcore.PolyakSGD(p, f_star=-3.0, maximize=case == "ascent", backend=backend)
    g = np.zeros(9) if case == "no gradient" else draw(1)
    opt.step(g, loss={"below": -4.0, "no gradient": 5.0, "ascent": 2.0}[case])
    gap = 0.0 if case != "ascent" else -2.0 + 3.0  # the least that minus the loss can be is -3
    assert_allclose(p, draw(0) + gap / (0.5 * (draw(1) ** 2).sum()) * draw(1), rtol=1e-13)


def test_polyak_scales_with_the_rate_of_a_parameter():
    p, q = draw(0), draw(0)
    opt = lrcore.PolyakSGD([p, q], lr_scale=[1.0, 0.25])
    opt.step([draw(1), draw(1)], loss=0.3)
    assert_allclose(q - draw(0), 0.25 * (p - draw(0)), rtol=1e-12)


# -------------------------------------------------------------------------- hypergradients


@BACKENDS
@pytest.mark.parametrize("rule", HYPERGRADIENTS)
def test_what_has_been_learned_is_a_factor_on_the_schedule(rule, backend):
    p, q = draw(0), draw(0)
    lr = schedules.Linear(0.1, steps=10, end=0.0)
    kind = {"hyper_lr": 0.02, "multiplicative": True, "backend": backend}
    a, b = rule(p, lr=lr, **kind), rule(q, lr=0.1, **kind)
    for k in range(10):
        a.step(draw(k) + 1)
        b.step(draw(k) + 1)
        assert_allclose(a.estimates[0]["factor"], b.estimates[0]["factor"], rtol=1e-12)
        assert_allclose(a.estimates[0]["eta"], lr(k) * a.estimates[0]["factor"], rtol=1e-15)
    assert a.estimates[0]["factor"] > 1.01
    assert a.estimates[0]["shift"] == 0.0
    before = p.copy()
    a.step(draw(0))
    assert_array_equal(p, before)


@BACKENDS
@pytest.mark.parametrize("rule", HYPERGRADIENTS)
def test_the_additive_form_shifts_a_schedule_and_starts_from_its_smallest_rates(rule, backend):
    p, q = draw(0), draw(0)
    lr = schedules.Constant(0.1, warmup=5, warmup_start=1e-9)
    kind = {"hyper_lr": 1e-3, "floor": 1e-4, "backend": backend}
    a, b = rule(p, lr=lr, **kind), rule(q, lr=0.1, **kind)
    for k in range(10):
        a.step(draw(k) + 1)
        b.step(draw(k) + 1)
        assert_allclose(a.estimates[0]["shift"], b.estimates[0]["shift"], rtol=1e-12)
        assert_allclose(a.estimates[0]["eta"], max(lr(k) + a.estimates[0]["shift"], 1e-4))
    assert 0.001 < a.estimates[0]["shift"] < 0.5
    a.param_groups[0]["lr"] = 0.0
    before = p.copy()
    a.step(draw(0))
    assert_array_equal(p, before)
    assert a.estimates[0]["eta"] == 0.0


@BACKENDS
@pytest.mark.parametrize("multiplicative", [False, True])
def test_a_schedule_below_the_floor_leaves_what_was_learned(multiplicative, backend):
    p = draw(0)
    lr = schedules.PiecewiseConstant([3, 6], [0.1, 1e-8, 0.1])
    kind = {"hyper_lr": 1e-4, "multiplicative": multiplicative, "backend": backend}
    opt = lrcore.HypergradientSGD(p, lr=lr, floor=0.01, **kind)
    rates = []
    for k in range(9):
        opt.step(draw(k))
        rates.append(opt.estimates[0]["eta"])
    assert_allclose(rates, [0.1] * 3 + [0.01] * 3 + [0.1] * 3, rtol=0.05)


@pytest.mark.parametrize("rule", HYPERGRADIENTS)
def test_a_rate_learns_from_nothing_but_its_group(rule):
    p, q, r = draw(0), draw(1, 4), draw(2)
    both = rule([{"params": [p, q]}, {"params": r, "lr": 0.5}], lr=0.01, hyper_lr=1e-3)
    p2, q2, r2 = draw(0), draw(1, 4), draw(2)
    first, second = rule([p2, q2], lr=0.01, hyper_lr=1e-3), rule(r2, lr=0.5, hyper_lr=1e-3)
    for k in range(5):
        grads = draw(k + 9), draw(k + 20, 4), draw(k + 30)
        both.step([list(grads[:2]), grads[2]])
        first.step(list(grads[:2]))
        second.step(grads[2])
    for x, y in zip((p, q, r), (p2, q2, r2), strict=True):
        assert_array_equal(x, y)
    assert both.estimates == first.estimates + second.estimates
    assert both.estimates[0]["eta"] != 0.01


@BACKENDS
@pytest.mark.parametrize("multiplicative", [False, True])
@pytest.mark.parametrize("rule", HYPERGRADIENTS)
def test_a_rate_stops_at_its_floor_and_rises_again_at_once(rule, multiplicative, backend):
    p = np.zeros(3)
    given = {"hyper_lr": 0.4, "multiplicative": multiplicative, "backend": backend}
    opt = rule(p, lr=0.1, floor=0.05, **given)
    for k in range(8):
        opt.step(np.full(3, (-1.0) ** k))
    assert opt.estimates[0]["eta"] == 0.05
    for _ in range(2):
        opt.step(np.full(3, -1.0))
    assert opt.estimates[0]["eta"] > 0.05


@BACKENDS
@pytest.mark.parametrize("rule", HYPERGRADIENTS)
def test_an_infinite_gradient_teaches_nothing(rule, backend):
    p = draw(0)
    opt = rule(p, nonfinite="ignore", hyper_lr=0.01, backend=backend)
    for k in range(3):
        opt.step(draw(k))
    before = opt.estimates
    assert before[0]["shift"] != 0
    with np.errstate(all="ignore"):
        opt.step(np.full(9, np.inf))
    assert opt.estimates == before


# -------------------------------------------------------------------------- of each tensor


def test_lars_moves_each_tensor_by_a_share_of_its_own_length():
    p, q = draw(0), 100 * draw(0)
    opt = lrcore.LARS([p, q], lr=1.0, momentum=0.0, trust_coefficient=0.01, eps=0.0)
    opt.step([draw(1), 1e-6 * draw(1)])
    for x, start in ((p, draw(0)), (q, 100 * draw(0))):
        moved = np.linalg.norm(x - start) / np.linalg.norm(start)
        assert moved == pytest.approx(0.01, rel=1e-9)


def test_lars_leaves_tensors_without_decay_to_sgd_where_it_is_told_to():
    p, q = draw(0), draw(0)
    options = {"lr": 0.1, "weight_decay": 0.1, "decay_mask": [True, False]}
    opt = lrcore.LARS([p, q], always_adapt=False, **options)
    sgd = draw(0)
    plain = lrcore.SGD(sgd, lr=0.1, momentum=0.9)
    for k in range(3):
        opt.step([draw(k), draw(k)])
        plain.step(draw(k))
    assert_array_equal(q, sgd)
    assert opt.estimates["1"]["ratio"] == 1.0 != opt.estimates["0"]["ratio"]


def test_novograd_starts_at_the_first_gradient_that_is_not_zero():
    p = np.zeros(2)
    opt = lrcore.NovoGrad(p, lr=0.1)
    opt.step(np.zeros(2))
    assert_array_equal(p, [0, 0])
    opt.step(np.array([3.0, 4.0]))
    assert opt.estimates[""]["v"] == 25.0
    assert_allclose(p, [-0.06, -0.08], rtol=1e-8)


def test_stable_adamw_is_adamw_where_gradients_are_as_expected_and_slower_where_they_are_not():
    p, q = draw(0), draw(0)
    a, b = lrcore.StableAdamW(p, betas=(0.9, 0.99)), lrcore.AdamW(q, betas=(0.9, 0.99))
    calm = np.sign(draw(1))
    for k in range(20):
        for opt in (a, b):
            opt.step(calm * (1 - 0.01 * k))
    assert a.estimates[""]["shrink"] == 1.0
    assert_allclose(p, q, rtol=1e-10)
    a.step(100 * calm)
    assert a.estimates[""]["shrink"] < 0.5
