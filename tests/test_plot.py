"""Pictures of schedules, and what all pictures share."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from pictures import RNG, VALLEY, compared, falling, grey, lines, range_test, sgd, swept

from lrcore import plot
from lrcore.plot import _style
from lrcore.schedules import Constant, Cosine, Lambda, Linear


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
