"""Pictures of runs: their losses, findings and paths."""

import time

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from pictures import (
    RNG,
    assert_readable,
    drawn,
    falling,
    finding,
    grey,
    labelled,
    legend,
    lines,
    sgd,
    words,
)

import lrcore
from lrcore import plot
from lrcore.instruments.diagnosis.curve import Curve
from lrcore.instruments.diagnosis.verdict import Diagnosis
from lrcore.plot import _three_rates

# ---------------------------------------------------------------------- training


def test_a_run_with_rates_and_validation():
    losses, lrs = falling(500), np.linspace(0.1, 0.0, 500)
    ax = plot.training(losses, lrs, val_losses=[(100, 1.2), (300, 0.7), (499, 0.8)])
    right = ax.figure.axes[-1]
    assert (ax.get_xlabel(), ax.get_ylabel(), right.get_ylabel()) == (
        "update",
        "loss",
        "learning rate",
    )
    assert legend(ax) == ["each update", "training", "validation", "learning rate"]
    assert labelled(ax)["each update"].get_ydata().tolist() == losses.tolist()
    assert labelled(ax)["validation"].get_xdata().tolist() == [100, 300, 499]
    assert labelled(right)["learning rate"].get_ydata().tolist() == lrs.tolist()
    smooth = labelled(ax)["training"].get_ydata()
    assert smooth[250] == pytest.approx(losses[244:257].mean())
    assert_readable(ax)


def test_validation_among_the_losses():
    val = np.full(100, np.nan)
    val[[20, 60]] = 1.0, 0.5
    ax = plot.training(falling(100), val_losses=val)
    assert lines(ax)[-1][0].tolist() == [20, 60]
    assert lines(ax)[-1][1].tolist() == [1.0, 0.5]


def test_findings_are_shaded_and_named():
    found = [
        finding("spiking", 700, 701),
        finding("spiking", 1200, 1201),
        finding("lr_too_high", 1500, 3000),
        finding("overfitting", 2500, 3000),
        finding("gap", 100, 140),
    ]
    ax = plot.training(falling(), np.full(3000, 0.1), found)
    texts = words(ax)
    for name in ("spiking (2)", "lr too high", "overfitting", "gap"):
        assert name in texts
    bars = [p for p in ax.patches if p.get_hatch() == "////"]
    assert [round(bar.get_x() + 0.5) for bar in bars] == [700, 1200, 1500, 2500]
    assert [round(bar.get_width()) for bar in bars] == [12, 12, 1500, 500]
    rows = {round(bar.get_y(), 3) for bar in ax.patches if bar.get_edgecolor()[3] == 1}
    assert len(rows) == 4
    top = ax.transAxes.inverted().transform(ax.transData.transform((0, np.max(falling()))))[1]
    assert top < min(rows)  # the curve is below the names
    rate = ax.figure.axes[-1]
    ends = rate.transData.transform((0, 0.1)), rate.transAxes.transform((0, min(rows)))
    assert ends[0][1] < ends[1][1]
    assert_readable(ax)


def test_findings_of_many_kinds_are_counted():
    found = [finding(f"kind_{i}", 10 * i, 10 * i + 400) for i in range(8)]
    ax = plot.training(falling(), findings=found)
    assert "kind 4" in words(ax)
    assert "kind 5" not in words(ax)
    assert "and 3 more kinds of finding" in words(ax)
    assert_readable(ax)


def test_a_diagnosis_and_a_curve_bring_what_they_have():
    curve = Curve()
    val = np.full(5000, np.nan)
    val[::500] = 1.0
    curve.extend(falling(5000), lrs=np.full(5000, 0.25), val_losses=val)
    ax = plot.training(curve)
    assert legend(ax) == ["lowest to highest", "training", "validation", "learning rate"]
    assert np.all(lines(ax.figure.axes[-1])[0][1] == pytest.approx(0.25))
    assert ax.get_xlim()[1] > 4999
    diagnosis = Diagnosis("lr_too_low", 0.9, [finding("lr_too_low", 1000, 5000)], curve)
    assert "lr too low" in words(plot.training(diagnosis))
    assert "lr too low" not in words(plot.training(diagnosis, findings=[]))
    assert "lr too low" in words(diagnosis.plot())


def test_a_million_updates_are_bins_and_are_fast():
    losses = RNG.exponential(size=1_000_000)
    losses[123_456] = 1e4
    losses[777_777] = np.nan
    start = time.perf_counter()
    ax = plot.training(losses, np.full(1_000_000, 0.1))
    drawn(ax)
    assert time.perf_counter() - start < 3
    for x, _ in lines(ax):
        assert len(x) <= plot.POINTS
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == 1e4
    assert labelled(ax)["not finite"].get_xdata() == pytest.approx([777_499.5], abs=1000)
    assert_readable(ax)


def test_steps_of_a_log():
    steps = np.arange(1000, 51_000, 50)
    losses = falling(1000)
    losses[600:] += np.linspace(0, 3, 400)
    found = lrcore.diagnose(losses, steps=steps, val_losses=[(2000, 1.0), (40_000, 0.5)])
    assert found.verdict == "diverged"
    for ax in (
        found.plot(),
        plot.training(losses, findings=found.findings, val_losses=losses, steps=steps),
    ):
        assert lines(ax)[0][0].tolist() == steps.tolist()
        assert 0 < ax.get_xlim()[0] < 1000
        assert 51_000 > ax.get_xlim()[1] - 500 > 50_000
        (bar,) = (p for p in ax.patches if p.get_hatch())
        assert 1000 < bar.get_x() < bar.get_x() + bar.get_width() <= 51_000
        assert_readable(ax)
    assert lines(found.plot())[-1][0].tolist() == [2000, 40_000]


def test_what_is_not_finite_is_a_cross_at_the_top():
    losses = np.exp(np.arange(63) / 4)
    losses[60:] = np.inf, np.nan, -np.inf
    ax = plot.training(losses, findings=[finding("diverged", 20, 63)])
    crosses = labelled(ax)["not finite"]
    assert crosses.get_xdata().tolist() == [60, 61, 62]
    assert crosses.get_marker() == "x"
    assert np.isfinite(ax.get_ylim()).all()
    assert ax.get_yscale() == "log"
    assert_readable(ax)
    ax = plot.training([np.nan] * 4, lrs=[np.nan] * 4)
    assert "no loss is finite" in words(ax)
    assert_readable(ax)


@pytest.mark.parametrize("losses", [[1.0], [0.0, 0.0], [-2.0, -1.0, -3.0], [1e300, 1e-300]])
def test_short_and_odd_runs(losses):
    ax = plot.training(losses, lrs=[0.0] * len(losses))
    assert lines(ax)[0][1] == pytest.approx(np.clip(losses, -1e60, 1e60))
    assert_readable(ax)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((["a", "b"],), TypeError, "plot.training: losses must be numbers, got ['a', 'b']"),
        (([],), ValueError, "plot.training: losses must be a list of one number or more"),
        (([[1.0], [2.0]],), ValueError, "plot.training: losses must be a list of one number"),
        (([1.0, 2.0], [0.1]), ValueError, "plot.training: lrs must be 2 numbers, as losses, got 1"),
        (
            ([1.0], None, None, ["x"]),
            TypeError,
            "plot.training: val_losses must be numbers or pairs",
        ),
        (
            ([1.0, 2.0], None, None, [1.0]),
            ValueError,
            "plot.training: val_losses must be 2 numbers, as losses, or pairs (update, loss)",
        ),
    ],
)
def test_what_training_refuses(arguments, error, text):
    with pytest.raises(error) as caught:
        plot.training(*arguments)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("steps", "text"),
    [([3], "steps must be 2 numbers, as losses, got 1"), ([2, 2], "steps must be finite and inc")],
)
def test_steps_that_do_not_fit(steps, text):
    with pytest.raises(ValueError, match=text):
        plot.training([1.0, 2.0], steps=steps)


# ---------------------------------------------------------------------- three rates


def test_three_rates():
    t = np.arange(300)
    runs = {3.0: 1 + 0.3 * np.sin(t), 0.01: 0.999**t, 0.3: 0.99**t}
    ax = plot.three_rates(runs, notes={0.3: "95 % right"})
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["too low: 0.01", "good: 0.3\n95 % right", "too high: 3"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("update", "training loss")
    low, good, _ = ax.get_lines()
    assert low.get_ydata()[150] == pytest.approx(runs[0.01][145:156].mean())
    assert len({str(look["linestyle"]) for look in _three_rates.LOOKS}) == 3
    assert grey(low.get_color()) - grey(good.get_color()) > 1 / 6
    assert max(ax.get_xticks()) <= 300
    assert_readable(ax)


def test_names_of_three_rates_that_end_alike():
    flat = np.ones(50)
    ax = plot.three_rates({0.1: flat, 0.2: flat, 0.3: flat}, notes={0.1: "a", 0.2: "b", 0.3: "c"})
    assert_readable(ax)


def test_a_rate_that_diverges_ends_in_a_cross():
    t = np.arange(300)
    bad = 1.1**t
    bad[100:] = np.inf
    ax = plot.three_rates({0.01: 0.999**t, 0.3: 0.99**t, 3.0: bad})
    (cross,) = (line for line in ax.get_lines() if line.get_marker() == "x")
    assert cross.get_xdata()[0] < 100
    assert ax.get_ylim()[1] < 20
    assert_readable(ax)
    assert_readable(plot.three_rates({0.01: 0.999**t, 0.3: [np.nan], 3.0: bad}))


def test_three_rates_of_a_million_updates():
    t = np.arange(1_000_000)
    losses = np.exp(-t / 3e5)
    ax = plot.three_rates({0.1: losses, 0.2: losses / 2, 0.3: losses[:1000]})
    assert all(len(x) <= plot.POINTS for x, _ in lines(ax))
    assert lines(ax)[0][1][500] == pytest.approx(np.exp(-5 / 3), rel=0.02)


@pytest.mark.parametrize("runs", [{0.1: [1.0]}, [1.0, 2.0, 3.0]])
def test_three_rates_are_three(runs):
    with pytest.raises(ValueError, match=r"plot.three_rates: runs must be a dict of three rates"):
        plot.three_rates(runs)


# ---------------------------------------------------------------------- descent


def test_descent_in_a_ravine():
    ax = plot.descent({"slow": sgd(0.01), "wild": sgd(0.09)}, steps=8)
    named = labelled(ax)
    assert list(named) == ["slow", "wild (leaves)"]
    x, y = named["slow"].get_data()
    assert x == pytest.approx(-3.2 * 0.99 ** np.arange(9))
    assert y == pytest.approx(0.8 * 0.75 ** np.arange(9))
    wild = np.abs(named["wild (leaves)"].get_ydata())
    assert wild[-1] > 1.2 >= wild[:-1].max()
    assert len({line.get_marker() for line in named.values()}) == 2
    assert ax.get_xlabel() == "first parameter"
    assert_readable(ax)


@pytest.mark.parametrize(
    ("name", "lowest"), [("bowl", (0, 0)), ("ravine", (0, 0)), ("rosenbrock", (1, 1))]
)
def test_the_gradients_of_the_named_functions(name, lowest):
    from lrcore.plot._surfaces import SURFACES, measured

    surface = SURFACES[name]
    slope = measured(surface.value, surface.limits)
    for point in ((0.3, -0.7), surface.start, (1.5, 0.2)):
        assert surface.slope(*point) == pytest.approx(slope(*point), rel=1e-4, abs=1e-4)
    assert surface.slope(*lowest) == (0, 0)
    assert surface.lowest == lowest


def test_a_function_of_ones_own():
    def function(x, y):
        return (x - 1) ** 2 + (y + 2) ** 2

    made = {"SGD": sgd(0.25), "Adam": lambda p: lrcore.Adam(p, lr=0.1)}
    limits = ((-3, 3), (-4, 4))
    ax = plot.descent(made, function, start=(0.0, 0.0), limits=limits, steps=5)
    assert labelled(ax)["SGD"].get_xdata() == pytest.approx(1 - 0.5 ** np.arange(6), abs=1e-6)
    assert ax.get_xlim() == limits[0]
    assert ax.get_ylim() == limits[1]


def test_a_path_to_no_number_diverges():
    ax = plot.descent({"wild": sgd(1e200)}, "rosenbrock", steps=50)
    assert list(labelled(ax)) == ["wild (diverges)"]
    drawn(ax)


@pytest.mark.parametrize(
    ("arguments", "more", "error", "text"),
    [
        (({"a": sgd(0.1)}, "hill"), {}, ValueError, 'function must be "bowl", "ravine", "rosen'),
        (({"a": sgd(0.1)}, max), {}, ValueError, "start and limits must be given"),
        (({},), {}, TypeError, "optimizers must be a dict by name, got {}"),
        (({"a": lambda p: 3},), {}, TypeError, "a must make an optimizer, got 3"),
        (({"a": sgd(0.1)},), {"steps": 0}, ValueError, "steps must be an integer in [1, 2**53]"),
        (
            ({"a": sgd(0.1)}, max),
            {"start": (0, 0), "limits": ((1, 1), (0, 1))},
            ValueError,
            "limits must be ((low, high), (low, high)), got ((1, 1), (0, 1))",
        ),
    ],
)
def test_what_descent_refuses(arguments, more, error, text):
    with pytest.raises(error) as caught:
        plot.descent(*arguments, **more)
    assert str(caught.value).startswith(f"plot.descent: {text}")
