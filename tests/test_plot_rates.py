"""Pictures of scores over learning rates: range tests, sweeps, comparisons, batch sizes."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from pictures import (
    VALLEY,
    assert_readable,
    compared,
    drawn,
    grey,
    labelled,
    legend,
    lines,
    range_test,
    swept,
    words,
)

import lrcore
from lrcore import plot
from lrcore.instruments.trials.sweep import SweepResult

# ---------------------------------------------------------------------- range tests


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


# ---------------------------------------------------------------------- sweeps


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
