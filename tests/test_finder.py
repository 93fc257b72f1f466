"""`LRFinder` by ask and tell, and the parts that the finder is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lrcore
from lrcore import LRFinder, lr_find
from lrcore.instruments.finder import family, suggest

# --------------------------------------------------------------------------- ask and tell


def descent(finder, *, curvature=1.0, gains=True):
    """A parabola whose lowest point differs from batch to batch, by hand."""
    rng, w = np.random.default_rng(0), np.zeros(1)
    while not finder.done:
        if finder.begins:
            w[:] = 5.0
        lr, away = finder.ask(), 0.1 * rng.normal()
        loss, g = 0.5 * curvature * (w[0] - away) ** 2 + 1, curvature * (w[0] - away)
        w -= lr * g
        after = 0.5 * curvature * (w[0] - away) ** 2 + 1
        if gains:
            finder.tell(loss, slope=-lr * g * g, loss_after=after)
        else:
            finder.tell(loss)
    return finder.result()


@pytest.mark.parametrize("curvature", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("gains", [True, False])
def test_a_loop_by_hand(curvature, gains):
    found = descent(LRFinder(end=1e3, rule="SGD"), curvature=curvature, gains=gains)
    assert 0.03 < found.suggested * curvature < 2
    assert found.interval[0] < 1 / curvature < found.interval[1]
    assert found.reliable
    assert np.isnan(found.gains).all() == (not gains)


def test_asked_but_not_told():
    finder = LRFinder(steps=10)
    finder.ask()
    found = finder.result()
    assert math.isnan(found.suggested)
    assert not found.reliable


def test_asking_and_telling():
    finder = LRFinder(start=1e-3, end=1.0, steps=10, repeats=2)
    rates = []
    while not finder.done:
        assert finder.begins == (len(rates) % 10 == 0)
        rates.append(finder.ask())
        assert finder.ask() == rates[-1]
        finder.tell(1.0)
    assert rates == list(np.geomspace(1e-3, 1.0, 10)) * 2
    with pytest.raises(RuntimeError, match=r"LRFinder.ask: must not be called after done"):
        finder.ask()
    with pytest.raises(RuntimeError, match=r"LRFinder.tell: must follow ask"):
        finder.tell(1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_a_sweep_ends_early(bad):
    finder = LRFinder(steps=50, repeats=2)
    for i in range(12):
        finder.ask()
        finder.tell(1.0 + 0.01 * (i % 3) if i < 11 else bad)
    assert finder.begins
    assert not finder.done
    finder.ask()
    finder.tell(bad)
    found = finder.result()
    assert found.lrs.shape == (12,)
    assert found.losses.shape == (2, 12)
    assert any("stopped where the loss" in reason for reason in found.reasons)


def test_one_odd_batch_does_not_end_a_sweep():
    finder = LRFinder(steps=20)
    for i in range(20):
        finder.ask()
        finder.tell(9.0 if i == 8 else 1.0 + 0.1 * (i % 2))
    assert finder.done
    assert len(finder.result().lrs) == 20


def test_nothing_told_and_nothing_learned():
    found = LRFinder().result()
    assert not found.reliable
    assert math.isnan(found.suggested)
    flat = LRFinder(steps=30)
    while not flat.done:
        flat.ask()
        flat.tell(0.7)
    assert not flat.result().reliable


def test_the_rule_may_be_unknown():
    known, unknown = (descent(LRFinder(end=1e3, rule=r)) for r in ("SGD", None))
    ratio = [math.log(x.interval[1] / x.interval[0]) for x in (known, unknown)]
    assert ratio[1] > ratio[0]
    opt = lrcore.SGD(np.zeros(2), lr=0.1)
    assert descent(LRFinder(end=1e3, rule=opt)).suggested == known.suggested


def test_a_test_that_is_not_over_is_not_reliable():
    finder = lrcore.LRFinder(rule="AdamW")
    rng = np.random.default_rng(0)
    for i in range(16):
        finder.ask()
        finder.tell(3 + 0.3 * rng.standard_normal() - 0.1 * i)
    found = finder.result()
    assert not found.reliable
    assert found.reasons[0] == "the test is not over: higher rates are still to be tried"


# ------------------------------------------------------------------------------ the parts


def test_the_gain_ratio_of_a_parabola():
    w, curvature = np.full(3, 2.0), 4.0
    found = lr_find(
        lrcore.SGD(w, lr=0.1),
        lambda _: (0.5 * curvature * float(w @ w), curvature * w),
        [0],
        start=1e-3,
        loss_only=lambda _: 0.5 * curvature * float(w @ w),
    )
    before = found.lrs < 0.3  # until the loss is so small that its digits are gone
    assert np.allclose(found.gains[before], 1 - found.lrs[before] * curvature / 2)


def test_gains_are_of_steps_downhill():
    told = [
        np.array(x) for x in ([2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 1.0, np.inf], [-2.0, -2.0, 1.0, -1])
    ]
    found = suggest.gains(*told)
    assert found[:2].tolist() == [0.5, -0.5]
    assert np.isnan(found[2])
    assert found[3] == -math.inf


def test_families():
    def of(name, **options):
        return family.of(getattr(lrcore, name)(np.zeros(3), lr=0.1, **options))

    assert of("SGD") == pytest.approx((1, 0, 0), abs=0.1)
    assert of("SGD", momentum=0.9).growth == pytest.approx(0.63, abs=0.1)
    assert of("Lion") == pytest.approx((0, 0, 0), abs=0.01)
    assert of("Adam") == pytest.approx((0, 0, -0.6), abs=0.1)
    assert of("Adagrad").growth == pytest.approx(-0.6, abs=0.05)
    assert family.named("x", "adam") == family.named("x", lrcore.Adam(np.zeros(2)))


@pytest.mark.parametrize("name", lrcore.optimizers.__all__)
def test_every_rule_has_a_family(name):
    assert all(abs(x) <= 2 for x in family.named("x", name))


def test_decreasing_fit():
    assert suggest.decreasing(np.array([3.0, 1.0, 2.0, 0.0])).tolist() == [3, 1.5, 1.5, 0]
    assert suggest.decreasing(np.arange(4.0)).tolist() == [1.5] * 4


def test_the_bottom_of_a_bowl():
    x = np.array([0.0, 0.5, 1.5])
    assert suggest.bottom(x, 0.2 * (x - 0.6) ** 2) == pytest.approx(0.6)
    assert suggest.bottom(x, np.array([np.inf, 0.0, np.inf])) == pytest.approx(0.75)
    assert suggest.bottom(x, x) == 0.0
