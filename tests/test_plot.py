"""Pictures: what is on the Axes that come back."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lrcore import plot
from lrcore.schedules import Constant, Cosine, Lambda, Linear


def lines(ax):
    return [(line.get_xdata(), line.get_ydata()) for line in ax.get_lines()]


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
        r, g, b = to_rgb(line.get_color())
        dashes = style["linestyle"]
        kind = dashes if isinstance(dashes, str) else dashes[1]
        looks.setdefault(kind, []).append(0.299 * r + 0.587 * g + 0.114 * b)
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


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'plot needs matplotlib: pip install "lrcore\[demo\]"'):
        plot.schedule(Constant(1.0), 5)


def test_it_opens_no_window_and_imports_matplotlib_late():
    code = (
        "import sys, lrcore.plot; assert 'matplotlib' not in sys.modules\n"
        "lrcore.plot.schedule(lrcore.schedules.Constant(1.0), 5)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
