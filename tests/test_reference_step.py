"""The reference's sums, stages and statistics, each against something that is not ours.

What C makes of them is compared with the reference in test_bits.py; here is what they mean.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_steps import adamw, go, hypers, make, numbers

from lrcore.reference import stats, step
from lrcore.reference.reduce import chunk_sums, strip_sums, unit_squares

# ----------------------------------------------------------------------------------- sums


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 1000, 8192, 8193, 20000])
def test_sums_are_sums(n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, n)).astype(np.float32)
    assert len(chunk_sums(a, b)) == len(strip_sums(a, b)) == -(-n // 8192)
    a8, b8 = a.astype("f8"), b.astype("f8")
    for got in (chunk_sums(a, b), strip_sums(a8, b8)):
        assert_allclose(sum(got), np.dot(a8, b8), rtol=1e-11)
    assert_allclose(sum(strip_sums(a, b)), np.dot(a8, b8), rtol=0, atol=1e-6 * n)
    assert_allclose(sum(strip_sums(a, a)), np.dot(a8, a8), rtol=1e-6)
    square = a.reshape(-1, 1).astype("f8") ** 2
    for units in (1, 2, 5, 40):
        if n and n % units == 0:
            rows = square.reshape(units, -1).sum(axis=1)
            assert_allclose(unit_squares(a, units, True), rows, rtol=1e-12)
            columns = square.reshape(-1, units).sum(axis=0)
            assert_allclose(unit_squares(a, units, False), columns, rtol=1e-12)


def test_lanes_of_a_unit_go_on_over_the_whole_run():
    """Added to 1 one after the other, quarters of its last place are lost; together they are not."""
    small = 2.0**-27 * np.ones(4)
    for lane, want in ((0, 1.0), (1, 1 + 2.0**-52)):
        a = np.zeros(2 * 8192)
        a[0] = 1
        a[8192 + lane : 8192 + lane + 128 : 32] = small
        assert unit_squares(a, 1, True).tolist() == [want]


def test_strips_are_of_1024_elements():
    """In float32 an eighth of the last place is lost beside a 1, but not from the next strip on."""
    for at, want in ((0, 1.0), (992, 1.0), (1024, 1 + 2.0**-26), (8160, 1 + 2.0**-26)):
        a = np.zeros(8192, np.float32)
        a[at % 32] = 1
        a[at + (32 if at == 0 else 0)] = 2.0**-13
        assert strip_sums(a, a) == [want]


# ------------------------------------------------------------------------------- the step


def test_the_gradient_is_divided_clipped_and_limited_in_this_order():
    store = make(np.zeros(2))
    group = step.Group(hypers(lr=1.0), maximize=True, clip_value=0.75, clip_norm=2.5)
    norm, bad = go(store, np.array([6.0, 8.0]), groups=[group], divisor=2.0)
    # norm 10 / 2; clip 2.5 / 5; 6 and 8 become 1.5 and 2, then 0.75; ascending
    assert (norm, bad) == (0.0, -1)
    assert_allclose(store.p, [0.75, 0.75])
    group.clip_value = 1.9
    store.p[:] = 0
    go(store, np.array([6.0, 8.0]), groups=[group], divisor=2.0)
    assert_allclose(store.p, [1.5, 1.9], rtol=1e-6)
    store.p[:] = 0
    go(store, np.array([6.0, 8.0]), groups=[step.Group(hypers(lr=1.0))], divisor=4.0)
    assert_array_equal(store.p, [-1.5, -2])


def test_groups_with_a_norm_of_their_own_are_left_out_of_the_global_one():
    groups = [step.Group(hypers(lr=1.0), clip_norm=k) for k in (0.0, 1.0, 0.0)]
    stores = [make(np.zeros(1), group=k) for k in (0, 1, 2, 1, 0)]
    grads = [np.array([x]) for x in (3.0, 30.0, 4.0, 40.0, 12.0)]
    norm, _ = go(stores, grads, groups=groups, clip_norm=6.5)
    assert norm == 13  # of 3, 4 and 12
    assert_allclose([-s.p[0] for s in stores], [1.5, 0.6, 2, 0.8, 6], rtol=1e-6)
    norm, _ = go(stores, grads, groups=groups, clip_norm=6.5, divisor=2.0)
    assert norm == 6.5
    norm, _ = go(stores, grads, groups=groups)
    assert norm == 0


@pytest.mark.parametrize(("maximize", "eps"), [(False, 1e-3), (True, 1e-3), (False, 1e-8)])
@pytest.mark.parametrize(
    ("shape", "order", "axis", "units", "rows"),
    [
        ((7,), "C", -1, 1, True),
        ((), "C", -1, 1, True),
        ((60, 50), "C", -1, 50, False),
        ((60, 50), "C", 0, 60, True),
        ((60, 50), "F", -1, 50, True),
        ((60, 50), "F", 0, 60, False),
        ((3, 3, 40, 8), "C", -1, 8, False),
        ((8, 40, 3, 3), "C", 0, 8, True),
    ],
)
def test_agc_is_that_of_nfnets(shape, order, axis, units, rows, maximize, eps):
    """deepmind-research/nfnets/agc_optax.py and optim.py, written for one tensor in float64."""

    def unitwise_norm(x):
        axes = None if x.ndim <= 1 else tuple(i for i in range(x.ndim) if i != axis % x.ndim)
        return np.sum(x**2, axis=axes, keepdims=True) ** 0.5

    def adaptive_clip(g, p, clipping, eps):
        p_norm, g_norm = unitwise_norm(p), unitwise_norm(g)
        max_norm = np.maximum(p_norm, eps) * clipping
        clipped = g * (max_norm / np.maximum(g_norm, 1e-6))
        return np.where(g_norm < max_norm, g, clipped)

    start, g = numbers(shape), numbers(shape, 1)
    if g.ndim > 1:  # units of all sizes: clipped, free, zero
        size = 10.0 ** np.linspace(-9, 1, units)
        g *= np.moveaxis(size * np.ones((*np.delete(shape, axis), units)), -1, axis)
        np.moveaxis(g, axis, 0)[3] = 0
        for k in (0, 1, -1):
            np.moveaxis(start, axis, 0)[k] = 0
    p = np.array(start, order=order)
    store = make(p, units=units, rows=rows)
    group = step.Group(hypers(lr=1.0), maximize=maximize, agc=0.05, agc_eps=eps)
    go(store, 4 * g, groups=[group], divisor=4.0)
    want = adaptive_clip(g, start, 0.05, eps)
    assert_allclose(p, start + want if maximize else start - want, rtol=1e-13, atol=1e-15)
    assert 0 < (np.abs(want) < np.abs(g)).mean() <= 1


def adam_direction(m, v, g, t, h):
    """Adam's update of p, per lr, as torch and optax have it; m and v in place."""
    m[...] = h.beta1 * m + (1 - h.beta1) * g
    v[...] = h.beta2 * v + (1 - h.beta2) * g**2
    return (m / (1 - h.beta1**t)) / (np.sqrt(v / (1 - h.beta2**t)) + h.eps)


@pytest.mark.parametrize("select", ["cautious", "grams"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_cautious_and_grams_are_those_of_their_papers(select, weight_decay):
    h = adamw(weight_decay=weight_decay)
    p, m, v = numbers(500), np.zeros(500), np.zeros(500)
    store = make(p.copy(), [np.zeros(500), np.zeros(500), None])
    groups = [step.Group(h, select=select)]
    for t in range(1, 12):
        g = numbers(500, t)
        g[:3] = 0
        go(store, g, t - 1, "adamw", groups)
        u = adam_direction(m, v, g, t, h)
        p = p * (1 - h.lr * h.weight_decay)
        if select == "cautious":  # Liang et al. 2024, algorithm 1, and kyleliang919/C-Optim
            mask = (u * g > 0).astype(np.float64)
            p = p - h.lr * u * mask / max(mask.mean(), 1e-3)
        else:  # Cao et al. 2024, algorithm 1
            p = p - h.lr * np.sign(g) * np.abs(u)
        assert_allclose(store.p, p, rtol=1e-11, atol=1e-13)
    assert_allclose(store.states[0], m, rtol=1e-12)


def test_where_nothing_agrees_cautious_makes_only_the_decay():
    store = make(np.ones(5), [np.full(5, 100.0), np.ones(5), None])
    groups = [step.Group(adamw(weight_decay=0.5), select="cautious")]
    go(store, np.full(5, -1e-3), 5, "adamw", groups)
    assert_array_equal(store.p, np.full(5, 0.95))


def test_averages_are_those_of_simple_loops():
    n, steps = 50, 40
    store = make(numbers(n))
    store.averages = [store.p.copy() for _ in range(3)]
    p, slow, ema, seen = store.p.copy(), store.p.copy(), store.p.copy(), []
    swa = p.copy()
    for k in range(1, steps + 1):
        g = numbers(n, k)
        go(store, g, k - 1, lookahead=(5, 0.3), ema=(0.9, False), swa=(7, 3))
        p = p - 0.1 * g
        if k % 5 == 0:  # Zhang et al. 2019
            slow = slow + 0.3 * (p - slow)
            p = slow.copy()
        ema = 0.9 * ema + 0.1 * p
        if k in range(7, steps + 1, 3):
            seen.append(p)
            swa = np.mean(seen, axis=0)
        assert_allclose(store.p, p, rtol=1e-12)
        for got, want in zip(store.averages, (slow, ema, swa), strict=True):
            assert_allclose(got, want, rtol=1e-12)


def test_a_running_mean_from_the_start_forgets_where_it_started():
    store = make(numbers(9))
    store.averages[2] = store.p.copy()
    seen = []
    for k in range(1, 6):
        go(store, numbers(9, k), k - 1, swa=(0, 1))
        seen.append(store.p.copy())
        assert_allclose(store.averages[2], np.mean(seen, axis=0), rtol=1e-14)


def test_the_warm_up_of_an_exponential_average():
    """TensorFlow's: the decay is at most (1 + k) / (10 + k)."""
    store = make(numbers(9))
    ema = store.averages[1] = store.p.copy()
    want = ema.copy()
    for k in range(1, 60):
        go(store, numbers(9, k), k - 1, ema=(0.8, True))
        d = min(0.8, (1 + k) / (10 + k))
        want = d * want + (1 - d) * store.p
        assert_allclose(ema, want, rtol=1e-13)
    ema[:] = 1e20
    go(store, numbers(9), 60, ema=(0.0, False))
    assert_array_equal(ema, store.p)


def test_decay_and_rate_are_the_parameters_own():
    start = numbers(20)
    plain, masked, scaled = (make(start.copy()) for _ in range(3))
    masked.decays, scaled.lr_scale = False, 0.25
    g = numbers(20, 1)
    go([plain, masked, scaled], [g] * 3, groups=[step.Group(hypers(weight_decay=0.5))])
    assert_allclose(plain.p, start - 0.1 * (g + 0.5 * start), rtol=1e-13)
    assert_allclose(masked.p, start - 0.1 * g, rtol=1e-13)
    assert_allclose(scaled.p, start - 0.025 * (g + 0.5 * start), rtol=1e-13)

    stores = [make(start.copy(), [np.zeros(20)]) for _ in range(2)]
    stores[1].decays = False
    h = adamw(weight_decay=0.5)
    go(stores, [g] * 2, rule="lion", groups=[step.Group(h)])
    assert_allclose(stores[0].p, 0.95 * start - 0.1 * np.sign(g), rtol=1e-13)
    assert_allclose(stores[1].p, start - 0.1 * np.sign(g), rtol=1e-13)


def row_of(store, n=1):
    rows = np.full((n, stats.COLUMNS), 99.0)
    store.trace = np.zeros(store.p.size, store.p.dtype)
    return rows


@pytest.mark.parametrize(("real", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-11)])
def test_statistics_are_what_numpy_says_in_float64(real, rtol):
    n = 10000
    store = make(numbers(n, dtype=real))
    rows, before, last = row_of(store), store.p.copy(), np.zeros(n)
    for t in range(3):
        g = numbers(n, t, real)
        group = step.Group(hypers(lr=1e-3), clip_norm=5.0)
        go(store, g, t, groups=[group], stats=rows, divisor=2.0)
        d = (store.p - before).astype(np.float64)
        g8, p8 = g.astype(np.float64), store.p.astype(np.float64)
        gg, tt = np.dot(g8, g8), np.dot(last, last)
        clip = 5.0 / (sqrt(gg) / 2 + 1e-6)
        lost = ((d == 0) & (g != 0)).sum()
        dot = rows[0, stats.DOT]
        assert_allclose(dot, np.dot(g8, last), rtol=0, atol=rtol * sqrt(gg * tt))
        slope = np.dot(g8, d)
        want = [gg, np.dot(p8, p8), np.dot(d, d), dot, gg, tt, slope, 0, lost, clip, 2.0]
        assert_allclose(rows[0], want, rtol=rtol)
        assert_array_equal(store.trace, d)
        before, last = store.p.copy(), d
    assert dot != 0


def test_every_eighth_chunk_of_the_previous_step_is_kept():
    n, c = 8192 * 17 + 100, 8192
    mask = (np.arange(n) // c) % 8 == 0
    store = make(np.zeros(n), trace=np.zeros(mask.sum()))
    assert store.trace.size == 2 * c + c  # chunks 0, 8 and 16
    rows = np.zeros((1, stats.COLUMNS))
    g, h = numbers(n), numbers(n, 1)
    go(store, g, stats=rows, trace_every=8)
    assert_array_equal(store.trace, -0.1 * g[mask])
    go(store, h, 1, stats=rows, trace_every=8)
    assert_allclose(rows[0, stats.DOT], np.dot(h[mask], -0.1 * g[mask]), rtol=1e-9)
    assert_allclose(rows[0, stats.DOT_GRAD2], np.dot(h[mask], h[mask]), rtol=1e-12)
    assert_allclose(rows[0, stats.TRACE2], 0.01 * np.dot(g[mask], g[mask]), rtol=1e-12)
    assert_allclose(rows[0, stats.GRAD2], np.dot(h, h), rtol=1e-12)


def test_updates_lost_to_rounding_are_counted():
    p = np.ones(6, np.float32)
    g = np.array([1.0, 2.0**-30, 0.0, -(2.0**-30), 1e-8, 2.0**-20])
    store = make(p)
    rows = row_of(store)
    go(store, g, groups=[step.Group(hypers(lr=1.0))], stats=rows)
    assert rows[0, stats.LOST] == 3


def test_what_cautious_holds_back_is_not_lost(bf16):
    one = np.ones(4, np.float32)
    store = make(np.ones(4, bf16), [one.copy(), one.copy(), None], trace=np.zeros(4, np.float32))
    rows = np.zeros((1, stats.COLUMNS))
    group = step.Group(adamw(lr=1e-4), select="cautious")
    go(store, np.array([-1e-3, 1e-3, 0, 1e-3]), 9, "adamw", [group], stats=rows)
    assert_array_equal(store.p.astype(np.float32), 1)
    assert rows[0, stats.LOST] == 2


def test_statistics_of_a_narrow_parameter_are_of_what_is_stored(bf16):
    store = make(np.ones(3, bf16))
    rows = row_of(store)
    store.trace = np.zeros(3, np.float32)
    go(store, np.array([2.0**-12, 0.5, 0]), groups=[step.Group(hypers(lr=1.0))], stats=rows)
    assert rows[0, stats.LOST] == 1
    assert rows[0, stats.STEP2] == 0.25
    assert rows[0, stats.PARAM2] == 2.25
    store = make(np.ones(3, bf16), master=np.ones(3, np.float32), trace=np.zeros(3, np.float32))
    go(store, np.array([2.0**-12, 0.5, 0]), groups=[step.Group(hypers(lr=1.0))], stats=rows)
    assert rows[0, stats.LOST] == 0
    assert rows[0, stats.STEP2] == 0.25 + 2.0**-24


def test_statistics_of_what_is_refused_or_left_alone():
    stores = [make(np.ones(2)) for _ in range(3)]
    for s in stores:
        s.trace = np.full(2, 5.0)
    rows = np.full((3, stats.COLUMNS), 99.0)
    grads = [np.array([3.0, 4.0]), None, np.array([np.nan, -np.inf])]
    groups = [step.Group(hypers(), maximize=True)]
    assert go(stores, grads, groups=groups, stats=rows, divisor=4.0, clip_norm=1.0) == (0.0, 2)
    assert_array_equal(rows[0], [25, 0, 0, 0, 0, 0, 0, 0, 0, 0, -4])
    assert_array_equal(rows[1], 0)
    assert np.isnan(rows[2, stats.GRAD2])
    assert_array_equal(rows[2, 1:], [0, 0, 0, 0, 0, 0, 2, 0, 0, -4])
    for s in stores:
        assert_array_equal(s.p, 1)
        assert_array_equal(s.trace, 5)
    norm, bad = go(stores[:2], grads[:2], groups=groups, stats=rows[:2], divisor=4.0, clip_norm=1.0)
    assert (norm, bad) == (1.25, -1)
    assert_allclose(rows[0, stats.CLIP], 1 / 1.25, rtol=1e-6)
    assert_array_equal(rows[1], 0)
    assert go(stores, grads, nonfinite="ignore", groups=groups, stats=rows)[1] == -1
    assert rows[2, stats.NONFINITE] == 2
    assert np.isnan(stores[2].p[0])
