"""Rules that train one point and evaluate another: eval() and train()."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import BACKENDS, COPIES, missing

import lrcore
from lrcore import _cases, schedules

RULES = [lrcore.ScheduleFreeSGD, lrcore.ScheduleFreeAdamW]
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)


def draw(k, shape=(3, 7), dtype="float32"):
    return np.random.default_rng(k).standard_normal(shape).astype(dtype)


def run(opt, first, last):
    for k in range(first, last):
        opt.step([draw(k), draw(k, (5,))])


def made(rule, **options):
    params = [draw(100), draw(101, (5,))]
    return params, rule(params, lr=0.1, **options)


@EACH
@BACKENDS
def test_training_goes_on_as_if_there_had_been_no_evaluation(rule, backend):
    p, a = made(rule, backend=backend)
    q, b = made(rule, backend=backend)
    for k in range(6):
        run(a, k, k + 1)
        run(b, k, k + 1)
        trained = [x.copy() for x in p]
        a.eval()
        a.eval()
        assert not a.training
        assert k == 0 or any((x != y).any() for x, y in zip(p, trained, strict=True))
        a.train()
        a.train()
        assert a.training
        assert "trained" not in a.state["0"]
        for x, y in zip(p, q, strict=True):
            assert_array_equal(x, y)


@EACH
def test_what_is_evaluated_is_the_weighted_mean_of_z(rule):
    p, opt = made(rule, warmup_steps=3, r=1.0, weight_lr_power=2.0)
    zs, weights = [], []
    for k in range(8):
        run(opt, k, k + 1)
        zs.append(opt.state["0"]["z"].astype(float))
        weights.append((k + 1) * (0.1 * min(1, (k + 1) / 3)) ** 2)
    opt.eval()
    np.testing.assert_allclose(p[0], np.average(zs, axis=0, weights=weights), rtol=0, atol=1e-6)


def test_the_mean_stays_one_where_the_momentum_changes():
    p = draw(1, (6,), "float64")
    momentum = schedules.Linear(0.9, steps=9, end=0.3)
    opt = lrcore.ScheduleFreeSGD(p, lr=0.1, momentum=momentum)
    zs = []
    for k in range(10):
        opt.step(draw(k, (6,), "float64"))
        zs.append(opt.state[""]["z"].copy())
        y = p.copy()
        opt.eval()
        np.testing.assert_allclose(p, np.mean(zs, axis=0), rtol=1e-12)
        beta = momentum(k)
        np.testing.assert_allclose(y, (1 - beta) * zs[-1] + beta * p, rtol=1e-12)
        opt.train()


@EACH
@BACKENDS
def test_a_step_in_the_wrong_mode_is_refused_and_changes_nothing(rule, backend):
    p, opt = made(rule, backend=backend)
    run(opt, 0, 2)
    opt.accumulate([draw(7), draw(8, (5,))])
    opt.drop()
    opt.eval()
    before = [x.copy() for x in p], opt.state_dict()
    grads = [draw(2), draw(2, (5,))]
    for what in ("step", "accumulate"):
        words = rf"{rule.__name__}\.{what}: must come after train\(\), since eval\(\) has put"
        with pytest.raises(RuntimeError, match=words):
            getattr(opt, what)(grads)
    for x, y in zip(p, before[0], strict=True):
        assert_array_equal(x, y)
    assert opt.t == 2
    np.testing.assert_equal(opt.state_dict(), before[1])
    opt.train()
    assert opt.step(grads)


@EACH
def test_a_state_dict_says_the_mode_and_a_run_goes_on_from_either(rule):
    p, whole = made(rule)
    run(whole, 0, 4)
    for evaluating in (False, True):
        if evaluating:
            whole.eval()
        saved, params = whole.state_dict(), [x.copy() for x in p]
        assert saved["training"] is not evaluating
        q, part = made(rule)
        part.load_state_dict(saved)
        for x, y in zip(q, params, strict=True):
            x[...] = y
        assert part.training is not evaluating
        part.train()
        whole.train()
        for x, y in zip(p, q, strict=True):
            assert_array_equal(x, y)
        run(part, 4, 6)
        run(whole, 4, 6)
        for x, y in zip(p, q, strict=True):
            assert_array_equal(x, y)
        assert_array_equal(part.state["0"]["z"], whole.state["0"]["z"])


@EACH
def test_a_state_of_the_other_mode_sets_the_mode(rule):
    p, opt = made(rule)
    run(opt, 0, 2)
    saved, params = opt.state_dict(), [x.copy() for x in p]
    opt.eval()
    opt.load_state_dict(saved)
    assert opt.training
    for x, y in zip(p, params, strict=True):
        x[...] = y
    assert opt.step([draw(2), draw(2, (5,))])
    with pytest.raises(ValueError, match=r"training must be True or False, got 1"):
        opt.load_state_dict({**saved, "training": 1})
    del saved["training"]
    with pytest.raises(ValueError, match="'training'"):
        opt.load_state_dict(saved)


@EACH
@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_keeps_the_mode(rule, copied):
    params, opt = made(rule)
    run(opt, 0, 3)
    opt.eval()
    twin, q = copied((opt, params))
    assert not twin.training
    for x, y in zip(params, q, strict=True):
        assert_array_equal(x, y)
    opt.train()
    twin.train()
    for x, y in zip(params, q, strict=True):
        assert_array_equal(x, y)


@EACH
@pytest.mark.parametrize("master", [None, "float32", "split"])
def test_narrow_parameters_and_their_masters_come_back(rule, master):
    if not _cases.has_bfloat16():
        missing("ml_dtypes")
    p, q = (draw(1).astype(_cases.dtype_of("bfloat16")) for _ in range(2))
    a, b = (rule(x, lr=0.1, master=master) for x in (p, q))
    for k in range(4):
        for opt in (a, b):
            opt.step(draw(k))
        a.eval()
        assert p.dtype == q.dtype
        assert k == 0 or (p != q).any()
        a.train()
        assert_array_equal(p.view(np.uint16), q.view(np.uint16))


@EACH
def test_weights_that_are_loaded_in_between_are_what_is_trained_and_averaged(rule):
    p, opt = made(rule)
    run(opt, 0, 3)
    opt.eval()
    for x in p:
        x[...] = 5.0
    opt.resync()
    opt.train()
    assert (p[0] == 5.0).all()
    opt.eval()
    assert (p[0] == 5.0).all()


@EACH
def test_groups_may_be_added_while_evaluating(rule):
    p = draw(1)
    opt = rule(p, lr=0.1)
    opt.step(draw(0))
    opt.eval()
    more = draw(2)
    opt.add_param_group({"params": more})
    opt.train()
    assert_array_equal(more, draw(2))
    assert opt.step([draw(3), draw(4)])


def test_other_rules_have_one_point():
    p = draw(1)
    opt = lrcore.Adam(p)
    opt.step(draw(0))
    before = p.copy()
    opt.eval()
    assert opt.training
    assert_array_equal(p, before)
    assert opt.step(draw(1))
    assert "training" not in opt.state_dict()


@EACH
def test_what_the_average_is_made_with_must_be_between_zero_and_one(rule):
    sgd = rule is lrcore.ScheduleFreeSGD
    name = "momentum" if sgd else r"betas\[0\]"
    values = {"momentum": 0.0} if sgd else {"betas": (0.0, 0.9)}
    with pytest.raises(ValueError, match=rf"{rule.__name__}: {name} must be in \(0, 1\), got 0.0"):
        rule(draw(1), **values)
    with pytest.raises(
        ValueError, match=r"warmup_steps must be an integer in \[0, 2\*\*53\], got -1"
    ):
        rule(draw(1), warmup_steps=-1)
    with pytest.raises(ValueError, match=r'state_dtype "?\'?bfloat16"?\'? cannot hold the state'):
        rule(draw(1), state_dtype="bfloat16")
