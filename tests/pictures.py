"""What the tests of pictures share: reading a picture, and results to draw."""

import io
from itertools import combinations
from types import SimpleNamespace

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.text import Text

import lrcore
from lrcore.instruments.diagnosis.verdict import Finding

RNG = np.random.default_rng(0)
VALLEY = np.array([[1.2, 1.3], [0.6, 0.62], [0.30, 0.34], [0.31, 0.32], [0.7, 0.9]])


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


def finding(code, start, stop):
    return Finding(code, start, stop, "level", 2.0, 1.0, 1.25, 0.9)


def falling(count=3000):
    t = np.arange(count)
    return 2 * np.exp(-t / (count / 6)) + 0.3 + 0.03 * RNG.standard_normal(count)


def swept(scores, lrs=None, **more):
    """A sweep whose scores are known; one column a seed."""
    scores = np.asarray(scores, dtype=float)
    lrs = 10.0 ** np.arange(-3, len(scores) - 3) if lrs is None else np.asarray(lrs)
    table = dict(zip(lrs.tolist(), scores, strict=True))
    return lrcore.lr_sweep(
        lambda lr, seed: table[lr][seed], lrs, seeds=range(scores.shape[1]), **more
    )


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


def sgd(lr, **more):
    return lambda p: lrcore.SGD(p, lr=lr, **more)


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
