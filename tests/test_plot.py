"""Pictures: what is on the Axes that come back."""

import io
import os
import subprocess
import sys
import time
from itertools import combinations, pairwise
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

import lrcore
from lrcore import plot
from lrcore.instruments.curve import Curve
from lrcore.instruments.diagnosis import Diagnosis, Finding
from lrcore.instruments.sweep import SweepResult
from lrcore.plot import _style, _three_rates
from lrcore.schedules import Constant, Cosine, Lambda, Linear

RNG = np.random.default_rng(0)


def lines(ax):
    return [(line.get_xdata(), line.get_ydata()) for line in ax.get_lines()]


def labelled(ax):
    """The lines that the legend names."""
    return {line.get_label(): line for line in ax.get_lines() if line.get_label()[0] != "_"}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def words(ax):
    """All that is written in the picture, its panels and second axes included."""
    return [text.get_text() for text in ax.figure.findobj(Text) if text.get_text()]


def grey(colour):
    r, g, b = to_rgb(colour)
    return 0.299 * r + 0.587 * g + 0.114 * b


def drawn(ax):
    """Draw it, pixels and all."""
    ax.figure.savefig(io.BytesIO(), format="rgba")


def assert_readable(ax):
    """No text on another, none cut off; at most 850 pixels wide."""
    ax.figure.draw_without_rendering()
    whole = ax.figure.bbox
    assert whole.width <= 850
    boxes = []
    for text in ax.figure.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            box = Text.get_window_extent(text)  # without the line of an annotation
            shown = box.x1 > box.x0 and text.axes is not None
            if shown and text.axes.get_visible():
                boxes.append((text.get_text(), box))
    for text, box in boxes:
        assert whole.x0 - 1 <= box.x0 <= box.x1 <= whole.x1 + 1, f"{text} is cut off"
    for (one, a), (other, b) in combinations(boxes, 2):
        inner = a.padded(-1.5)
        if one != other:
            assert not inner.overlaps(b.padded(-1.5)), f"{one!r} lies on {other!r}"


def test_one_schedule():
    s = Cosine(1e-3, steps=100, warmup=10)
    ax = plot.schedule(s, 120)
    ((x, y),) = lines(ax)
    assert x.tolist() == list(range(120))
    assert y.tolist() == s(range(120)).tolist()
    assert ax.get_legend() is None
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("update", "learning rate")
    assert ax.get_yscale() == "linear"


def test_several_are_named():
    two = {"warm": Cosine(1.0, 50, warmup=5), "flat": Constant(0.5)}
    ax = plot.schedule(two, 50, log=True)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(two)
    assert ax.get_yscale() == "log"
    ax = plot.schedule([Linear(1.0, 9), Constant(0.5)], 9)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Linear(lr=1.0, steps=9)", "Constant(lr=0.5)"]


def test_on_given_axes():
    ax = Figure().subplots()
    assert plot.schedule(Constant(1.0), 5, ax) is ax
    assert plot.schedule(Constant(2.0), 5, ax=ax) is ax
    assert len(ax.get_lines()) == 2


def test_a_long_run_is_thinned_out_but_for_its_ends():
    calls = []
    s = Lambda(lambda t: calls.append(t) or 1.0)
    ((x, _),) = lines(plot.schedule(s, 1_000_000))
    assert len(calls) == len(x) == plot.POINTS
    assert (x[0], x[-1]) == (0, 999_999)
    assert np.all(np.diff(x) > 0)


def test_lines_can_be_told_apart_in_grey():
    """Two with the same dashes differ by a sixth of the way from black to white, or more."""
    ax = plot.schedule([Constant(0.1 * i) for i in range(1, 9)], 5)
    looks = {}
    for line, style in zip(ax.get_lines(), plot.LINES, strict=True):
        dashes = style["linestyle"]
        kind = dashes if isinstance(dashes, str) else dashes[1]
        looks.setdefault(kind, []).append(grey(line.get_color()))
    assert sorted(map(len, looks.values())) == [2, 2, 2, 2]
    for dark, light in looks.values():
        assert abs(light - dark) > 1 / 6


@pytest.mark.parametrize(
    ("schedules", "steps", "error", "text"),
    [
        (0.1, 5, TypeError, "plot.schedule: schedules must be schedules, got 0.1"),
        ([Constant(1.0), 0.1], 5, TypeError, "plot.schedule: schedules must be schedules, got 0.1"),
        (Constant(1.0), 0, ValueError, "plot.schedule: steps must be an integer in [1, 2**53]"),
        (Constant(1.0), 2.5, ValueError, "plot.schedule: steps must be an integer in [1, 2**53]"),
    ],
)
def test_bad_arguments(schedules, steps, error, text):
    with pytest.raises(error) as caught:
        plot.schedule(schedules, steps)
    assert str(caught.value).startswith(text)


# ---------------------------------------------------------------------- training


def finding(code, start, stop):
    return Finding(code, start, stop, "level", 2.0, 1.0, 1.25, 0.9)


def falling(count=3000):
    t = np.arange(count)
    return 2 * np.exp(-t / (count / 6)) + 0.3 + 0.03 * RNG.standard_normal(count)


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


# ---------------------------------------------------------------------- sweeps


def swept(scores, lrs=None, **more):
    """A sweep whose scores are known; one column a seed."""
    scores = np.asarray(scores, dtype=float)
    lrs = 10.0 ** np.arange(-3, len(scores) - 3) if lrs is None else np.asarray(lrs)
    table = dict(zip(lrs.tolist(), scores, strict=True))
    return lrcore.lr_sweep(
        lambda lr, seed: table[lr][seed], lrs, seeds=range(scores.shape[1]), **more
    )


VALLEY = np.array([[1.2, 1.3], [0.6, 0.62], [0.30, 0.34], [0.31, 0.32], [0.7, 0.9]])


def test_a_sweep():
    result = swept(VALLEY)
    ax = plot.sweep(result)
    assert isinstance(result, SweepResult)
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "learning rate")
    assert ax.get_ylabel() == "score (lower is better)"
    mean = labelled(ax)["mean \N{PLUS-MINUS SIGN} standard error"]
    assert mean.get_xdata().tolist() == result.lrs.tolist()
    assert mean.get_ydata() == pytest.approx(VALLEY.mean(axis=1))
    (bars,) = ax.containers
    low, high = np.array(bars[2][0].get_segments())[:, :, 1].T
    assert (high - low) / 2 == pytest.approx(result.errors)
    assert len(labelled(ax)["one run"].get_xdata()) == 10
    assert "one standard error above the best" in words(ax)
    (limit,) = (y[0] for x, y in lines(ax) if list(x) == [0, 1] and y[0] == y[1])
    assert limit == pytest.approx(0.315 + 0.005)
    assert (result.best, result.chosen) == (1.0, 1.0) or "best: 1" in words(ax)
    assert_readable(ax)


def test_best_and_choice_are_both_named():
    result = SimpleNamespace(
        lrs=[0.1, 0.01, 1.0],
        scores=np.array([[0.3, 0.34], [0.33, 0.35], [0.9, 1.0]]),
        means=np.array([0.32, 0.34, 0.95]),
        errors=np.array([0.02, 0.01, 0.05]),
        best=0.1,
        chosen=0.01,
        runs=(),
    )
    ax = plot.sweep(result)
    assert {"best: 0.1", "chosen: 0.01"} <= set(words(ax))
    assert lines(ax)[0][0].tolist() == [0.01, 0.1, 1.0]  # in the order of the rates
    assert_readable(ax)


def test_what_diverged_is_at_the_top():
    scores = VALLEY.copy()
    scores[3, 1] = np.nan
    scores[4] = np.inf
    ax = plot.sweep(swept(scores))
    named = labelled(ax)
    assert named["diverged"].get_xdata().tolist() == [1.0, 10.0]
    assert named["diverged"].get_marker() == "x"
    assert named["mean of those that ended"].get_xdata().tolist() == [1.0]
    assert "1 of 2" in words(ax)
    assert any(patch.get_hatch() for patch in ax.patches)
    assert_readable(ax)


def test_a_run_that_raised_is_not_said_to_diverge():
    def train(lr, seed):
        if lr > 1:
            raise RuntimeError("no")
        return lr

    ax = plot.sweep(lrcore.lr_sweep(train, [0.1, 1.0, 10.0]))
    assert labelled(ax)["failed"].get_xdata().tolist() == [10.0]


def test_a_run_that_was_not_made_is_not_lost():
    def train(lr, seed):
        if seed and lr == 1.0:
            raise KeyboardInterrupt
        return np.nan if lr == 0.1 else lr

    result = lrcore.lr_sweep(train, [0.1, 0.5, 1.0, 10.0], seeds=(0, 1))
    assert result.interrupted
    lost = {run.lr for run in result.runs} - {0.5, 1.0, 10.0}
    assert np.isnan(result.scores).sum() > len(lost)
    ax = plot.sweep(result)
    assert labelled(ax)["diverged"].get_xdata().tolist() == [0.1]
    assert_readable(ax)


def test_an_exploded_loss_leaves_the_valley_to_be_seen():
    scores = VALLEY.copy()
    scores[4] = 1e8
    ax = plot.sweep(swept(scores))
    assert labelled(ax)["off the scale"].get_xdata().tolist() == [10.0]
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim()[1] < 2
    assert_readable(ax)


def test_a_valley_of_many_decades():
    ax = plot.sweep(swept([[200.0], [10.0], [1.0], [0.02], [5.0]]))
    assert ax.get_yscale() == "log"
    assert "score" in labelled(ax)
    assert "best and chosen: 1" in words(ax)
    assert_readable(ax)


def test_a_sweep_of_nothing():
    ax = plot.sweep(swept([[np.nan, np.inf], [np.nan, np.nan]]))
    assert "every run diverged or failed" in words(ax)
    assert_readable(ax)
    assert_readable(plot.sweep(swept([[0.5]])))


# ---------------------------------------------------------------------- comparisons


def compared(shift=1e3):
    """Two optimizers, one with a rate that explodes and one that diverges."""
    lrs = (10.0 ** np.arange(-3, 2)).tolist()
    noise = {seed: 0.01 * seed for seed in range(3)}
    table = {
        "SGD": [1.2, 0.6, 0.30, 0.31, shift],
        "AdamW": [0.7, 0.22, 0.5, 1.1, np.nan],
    }
    return lrcore.compare(
        lambda name, lr, seed: table[name][lrs.index(lr)] + noise[seed],
        dict.fromkeys(table, lrs),
        seeds=range(3),
    )


def test_a_comparison():
    result = compared()
    ax = plot.comparison(result)
    assert legend(ax) == ["AdamW", "SGD"]
    named = labelled(ax)
    assert named["SGD"].get_ydata() == pytest.approx(result.sweeps["SGD"].means)
    assert named["AdamW"].get_xdata().tolist() == [0.001, 0.01, 0.1, 1.0]
    best = [line for line in ax.get_lines() if line.get_markersize() > 10]
    assert [line.get_xdata()[0] for line in best] == [0.01, 0.1]
    assert ax.get_ylim()[1] < 10
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "learning rate")
    assert_readable(ax)
    assert_readable(result.plot())
    assert plot.comparison(compared(50.0)).get_yscale() == "log"


# ---------------------------------------------------------------------- batch sizes


def test_batch_sizes():
    scores = {64: [3.0, 2.0, 1.0, np.nan], 8: [3.0, 1.0, np.inf, np.nan]}
    ax = plot.batch_sizes(scores, [0.01, 0.1, 1.0, 10.0], label="loss")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "batch size")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["8", "64"]
    assert ax.figure.axes[-1].get_ylabel() == "loss"
    named = labelled(ax)
    x, y = named["best"].get_data()
    assert (x.tolist(), y.tolist()) == ([0.1, 1.0], [8, 64])
    assert named["rate \N{PROPORTIONAL TO} size"].get_xdata() == pytest.approx([0.1, 0.8])
    root = named["rate \N{PROPORTIONAL TO} \N{SQUARE ROOT}size"]
    assert root.get_xdata() == pytest.approx([0.1, 0.1 * 8**0.5])
    assert root.get_linestyle() != named["rate \N{PROPORTIONAL TO} size"].get_linestyle()
    cells = [p for p in ax.patches if p.get_hatch()]
    assert len(cells) == 3
    assert "diverged" in legend(ax)
    assert_readable(ax)


def test_batch_sizes_of_sweeps():
    ax = plot.batch_sizes({16: swept(VALLEY), 32: swept(VALLEY[::-1])})
    x, _ = labelled(ax)["best"].get_data()
    assert x.tolist() == [1.0, 0.01]


def test_dark_is_good_in_grey_too():
    from matplotlib import colormaps

    shades = [grey(colour[:3]) for colour in colormaps["cividis"](np.linspace(0, 1, 30))]
    assert np.all(np.diff(shades) > 0)
    mesh = plot.batch_sizes({1: [1.0, 2.0]}, [0.1, 1.0]).collections[0]
    assert mesh.get_cmap().name == "cividis"


@pytest.mark.parametrize(
    ("results", "lrs", "error", "text"),
    [
        ([1.0], [0.1], TypeError, "results must be a dict by batch size, got [1.0]"),
        ({}, [0.1], TypeError, "results must be a dict by batch size, got {}"),
        ({1.5: [1.0]}, [0.1], ValueError, "batch size must be an integer in [1, 2**53]"),
        ({8: [1.0]}, None, TypeError, "lrs must be given, where results are scores"),
        ({8: [1.0]}, [0.1, 1.0], ValueError, "results[8] must be 2 scores, as lrs, got 1"),
        ({8: [1.0]}, [0.0], ValueError, "lrs must be in (0, inf)"),
    ],
)
def test_what_batch_sizes_refuses(results, lrs, error, text):
    with pytest.raises(error) as caught:
        plot.batch_sizes(results, lrs)
    assert str(caught.value).startswith(f"plot.batch_sizes: {text}")


def test_sweeps_over_other_rates_are_refused():
    two = {8: swept(VALLEY), 16: swept(VALLEY[:3])}
    with pytest.raises(ValueError, match="all sweeps must be over the same rates; 16 is not"):
        plot.batch_sizes(two)


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


def sgd(lr, **more):
    return lambda p: lrcore.SGD(p, lr=lr, **more)


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


# ---------------------------------------------------------------------- range tests


def range_test(repeats=3, **more):
    """What a range test may have found."""
    lrs = np.geomspace(1e-6, 1.0, 60)
    fall = 2.3 - 1.8 / (1 + (0.01 / lrs) ** 1.5) + np.where(lrs > 0.3, (lrs / 0.3) ** 8 - 1, 0)
    losses = fall + 0.03 * RNG.standard_normal((repeats, 60))
    gains = 1 - 0.6 * np.log1p(lrs / 0.05) + 0.02 * RNG.standard_normal((repeats, 60))
    losses[:, -3:] = gains[:, -3:] = np.nan
    found = {
        "suggested": 0.03,
        "interval": (0.01, 0.1),
        "reliable": True,
        "reasons": (),
        "suggestions": {"gain": 0.03, "valley": 0.02, "steepest": 0.012, "minimum": 0.2},
        "lrs": lrs,
        "losses": losses[0] if repeats == 1 else losses,
        "gains": gains[0] if repeats == 1 else gains,
    }
    return SimpleNamespace(**{**found, **more})


def test_a_range_test():
    result = range_test()
    ax = plot.lr_find(result)
    below = ax.figure.axes[-1]
    assert (ax.get_xscale(), below.get_xlabel()) == ("log", "learning rate")
    assert (ax.get_ylabel(), below.get_ylabel()) == ("loss, mean of 3", "gain ratio")
    texts = words(ax)
    for name in ("suggested (gain)\n0.03 (0.01 to 0.1)", "valley\n0.02", "minimum\n0.2"):
        assert name in texts
    assert "threshold 0.5" in texts
    marks = [line for line in ax.get_lines() if np.ptp(line.get_xdata()) == 0]
    assert [line.get_xdata()[0] for line in marks] == [0.03, 0.02, 0.012, 0.2]
    assert len({str(line.get_linestyle()) for line in marks}) >= 2
    spans = [p.get_bbox() for p in ax.patches]
    assert [(box.x0, box.x1) for box in spans] == [(0.01, 0.1)]
    repeats = [y for x, y in lines(ax) if len(x) == 60]
    assert len(repeats) == 4
    assert repeats[-1][:57] == pytest.approx(result.losses.mean(axis=0)[:57])
    assert ax.get_ylim()[1] < 5  # the explosion is cut off
    assert "not reliable" not in " ".join(texts)
    assert_readable(ax)


def test_one_sweep_and_short_trainings():
    ax = plot.lr_find(range_test(1, probes=((0.01, 0.9), (0.1, 0.4), (0.3, np.inf)), horizon=20))
    assert ax.get_ylabel() == "loss"
    diamonds = labelled(ax)["end of 20 updates at one rate"]
    assert diamonds.get_xdata().tolist() == [0.01, 0.1, 0.3]
    assert diamonds.get_ydata().tolist() == [0.9, 0.4, ax.get_ylim()[1]]
    assert_readable(ax)


def test_gains_at_every_second_rate():
    for repeats in (1, 3):
        result = range_test(repeats)
        result.gains[..., ::2] = np.nan
        below = plot.lr_find(result).figure.axes[-1]
        drawn_gains = [y for x, y in lines(below) if len(x) > 2]
        assert len(drawn_gains) == (1 if repeats == 1 else 4)
        assert all(np.isfinite(y).all() and len(y) == 28 for y in drawn_gains)


@pytest.mark.parametrize("near", [1.0, 1.001])
def test_suggestions_that_are_close_are_all_readable(near):
    same = {
        name: 0.03 * near**i for i, name in enumerate(("gain", "valley", "steepest", "minimum"))
    }
    assert_readable(plot.lr_find(range_test(suggestions=same)))
    edge = {name: 1e-6 * near**i for i, name in enumerate(("gain", "valley", "steepest"))}
    assert_readable(plot.lr_find(range_test(suggested=1.0, suggestions=edge)))


def test_not_reliable_is_said_in_the_picture():
    reasons = ("the loss does not fall at any rate", "the gradient is zero: is the model frozen?")
    nothing = dict.fromkeys(("gain", "valley"), np.nan)
    nan = (np.nan, np.nan)
    result = range_test(
        reliable=False, reasons=reasons, suggested=np.nan, interval=nan, suggestions=nothing
    )
    result.gains[:] = np.nan
    ax = plot.lr_find(result)
    text = " ".join(words(ax)).replace("\n", " ")
    assert f"not reliable: {reasons[0]}" in text
    assert "suggested" not in text
    assert ax.figure.axes == [ax]  # no panel without gains
    assert_readable(ax)


def test_a_range_test_of_nothing():
    result = range_test()
    result.losses[:] = np.nan
    ax = plot.lr_find(result)
    assert "no loss is finite" in words(ax)
    drawn(ax)


def test_a_range_test_on_given_axes():
    left, right = Figure(layout="constrained").subplots(1, 2)
    assert plot.lr_find(range_test(), left) is left
    assert len(left.figure.axes) == 3
    assert left.figure.axes[-1].get_position().x1 < right.get_position().x0
    free = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
    assert plot.lr_find(range_test(), ax=free) is free
    assert free.figure.axes == [free]


# ---------------------------------------------------------------------- what they share


def test_pictures_go_on_given_axes():
    t = np.arange(50)
    for draw in (
        lambda ax: plot.training(falling(50), ax=ax),
        lambda ax: plot.sweep(swept(VALLEY), ax=ax),
        lambda ax: plot.comparison(compared(), ax=ax),
        lambda ax: plot.batch_sizes({8: [1.0, 2.0]}, [0.1, 1.0], ax=ax),
        lambda ax: plot.three_rates({0.1: 0.9**t, 0.2: 0.8**t, 0.3: 0.7**t}, ax=ax),
        lambda ax: plot.descent({"a": sgd(0.1)}, ax=ax),
    ):
        ax = Figure().subplots()
        assert draw(ax) is ax


def test_shades_differ_in_grey():
    shades = [grey(getattr(_style, name)) for name in ("INK", "DIM", "PALE", "MIST")]
    assert np.all(np.diff(shades) > 0.08)
    assert grey(_style.RUST) - grey(_style.BLUE) > 1 / 6
    ink, bar = grey(_style.INK), min(grey(_style.ALARM), grey(_style.NOTE))
    assert bar - ink > 0.6  # names can be read on what is shaded


def test_spread_keeps_labels_apart_and_inside():
    for count in (1, 2, 5, 9):
        for _ in range(20):
            places = RNG.random(count).tolist()
            widths = (0.05 + 0.15 * RNG.random(count)).tolist()
            got = _style.spread(places, widths, 0.0, 1.0)
            room = min(1.0, 1 / sum(widths))
            order = np.argsort(got)
            ends = [(got[i] - room * widths[i] / 2, got[i] + room * widths[i] / 2) for i in order]
            assert ends[0][0] > -1e-9
            assert ends[-1][1] < 1 + 1e-9
            assert all(b[0] - a[1] > -1e-9 for a, b in pairwise(ends))
            assert np.argsort(places, kind="stable").tolist() == order.tolist()
    assert _style.spread([0.2, 0.8], [0.1, 0.1], 0.0, 1.0) == pytest.approx([0.2, 0.8])


def test_running_means():
    values = np.array([1.0, np.nan, 3.0, np.inf, 5.0])
    assert _style.running_mean(values, 2).tolist() == [1, 2, 3, 4, 5]
    assert _style.running_mean(values, 0)[[0, 2, 4]].tolist() == [1, 3, 5]
    assert _style.running_mean(np.array([1e30, 1.0, 1.0, 1.0]), 2)[-1] == 1.0
    assert np.isnan(_style.running_mean(np.array([np.nan]), 4)).all()


def test_the_gallery():
    axes = plot.gallery()
    assert len({ax.figure for ax in axes}) == 1
    assert [ax.get_title(loc="left") for ax in axes][:2] == ["Chebyshev", "Clip"]


def test_every_picture_says_what_to_install(monkeypatch):
    result, test = swept(VALLEY), range_test()
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: plot.training([1.0]),
        lambda: plot.sweep(result),
        lambda: plot.lr_find(test),
        lambda: plot.batch_sizes({8: [1.0]}, [0.1]),
        lambda: plot.three_rates({0.1: [1.0], 0.2: [1.0], 0.3: [1.0]}),
        lambda: plot.descent({"a": sgd(0.1)}),
        plot.gallery,
    ):
        with pytest.raises(ImportError, match=r'plot needs matplotlib: pip install "lrcore\[demo'):
            draw()


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'plot needs matplotlib: pip install "lrcore\[demo\]"'):
        plot.schedule(Constant(1.0), 5)


def test_it_opens_no_window_and_imports_matplotlib_late(tmp_path):
    code = (
        "import sys, lrcore.plot; assert 'matplotlib' not in sys.modules\n"
        "lrcore.plot.schedule(lrcore.schedules.Constant(1.0), 5)\n"
        "lrcore.plot.training([2.0, 1.0]).figure.savefig(sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    hidden = ("MPLBACKEND", "DISPLAY", "WAYLAND_DISPLAY")
    bare = {name: value for name, value in os.environ.items() if name not in hidden}
    path = tmp_path / "run.png"
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60, env=bare)
    assert path.stat().st_size > 1000
