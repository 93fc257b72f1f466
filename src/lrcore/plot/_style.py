"""What the pictures share: Axes, colours that differ in grey too, places for labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array: TypeAlias = NDArray[np.float64]
Look: TypeAlias = dict[str, Any]  # how something is drawn, as matplotlib names it

POINTS = 2000  # more than that no picture shows
LARGEST = 1e60  # no axis goes further
LOG_FROM = 30.0  # ratio of largest to smallest value from which a logarithmic axis shows more

#: From dark to light.
INK, BLUE, DIM, GREY, RUST, PALE, MIST = (
    "#1a1a1a",
    "#0b3c66",
    "#5a5a5a",
    "#767676",
    "#c8641b",
    "#b9cce0",
    "#e6e6e6",
)
#: What is shaded behind a curve: something to act on, and something to know.
ALARM, NOTE = "#f6dcc8", "#dfe8f1"
#: Of different lightness; those with the same dashes have them where the other has gaps.
LINES: tuple[Look, ...] = (
    {"color": "#0b3c66", "linestyle": "-", "linewidth": 2.2},
    {"color": "#c8641b", "linestyle": "-", "linewidth": 2.2},
    {"color": "#1a1a1a", "linestyle": (0, (5, 2)), "linewidth": 1.8},
    {"color": "#4fa08a", "linestyle": (3.5, (5, 2)), "linewidth": 1.8},
    {"color": "#5b2d87", "linestyle": (0, (1.2, 1.4)), "linewidth": 2.4},
    {"color": "#c9a227", "linestyle": (1.3, (1.2, 1.4)), "linewidth": 2.4},
    {"color": "#555555", "linestyle": (0, (6, 1.5, 1.2, 1.5)), "linewidth": 1.8},
    {"color": "#93b7d6", "linestyle": (5, (6, 1.5, 1.2, 1.5)), "linewidth": 1.8},
)


def need_matplotlib() -> None:
    """Say what to install where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError:
        raise ImportError('lrcore.plot needs matplotlib: pip install "lrcore[demo]"') from None


def new_axes(width: float = 7.0, height: float = 4.0) -> Axes:
    """Return the Axes of a new figure (inches), without a window and without pyplot's memory."""
    need_matplotlib()
    from matplotlib.figure import Figure

    axes: Axes = Figure(figsize=(width, height), dpi=120, layout="constrained").subplots()
    dress(axes)
    return axes


def dress(axes: Axes) -> None:
    """Take away what is not data: two of the four spines, and the weight of the grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=MIST)
    axes.set_axisbelow(True)


def numbers(who: str, name: str, values: object) -> Array:
    """Return `values` as a float64 array of one dimension, cut, or say what they must be.

    Raises
    ------
    TypeError
        They are not numbers.
    ValueError
        There are none, or they have more than one dimension.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{who}: {name} must be numbers, got {_short(values)}") from None
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{who}: {name} must be a list of one number or more, got shape {array.shape}"
        )
    return cut(array)


def cut(values: Array) -> Array:
    """Values beyond what an axis can span, cut there; what is not finite stays as it is."""
    return np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), values)


def wants_log(values: Array) -> bool:
    """Whether the finite `values` are positive, and span more than a linear axis shows."""
    seen = values[np.isfinite(values)]
    return bool(seen.size and seen.min() > 0 and seen.max() > LOG_FROM * seen.min())


def spread(
    places: Sequence[float], widths: Sequence[float], low: float, high: float
) -> list[float]:
    """Move labels as little as needed for them not to touch, and to be within [low, high].

    Labels that would touch become one block around the middle of what they wanted. Where all
    together are too wide, they are made narrower alike.

    Parameters
    ----------
    places : sequence of float
        Where the middle of each would be best, in any order.
    widths : sequence of float
        How wide each is.
    low, high : float
        The ends; ``low < high``.

    Returns
    -------
    list of float
        Where the middle of each goes, in the order of `places`.

    Examples
    --------
    >>> spread([0.5, 0.5, 0.9], [0.25, 0.25, 0.2], 0.0, 1.0)
    [0.375, 0.625, 0.9]
    """
    shrink = min(1.0, (high - low) / max(sum(widths), 1e-300))
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[tuple[float, list[int]]] = []  # the left end of each block, and what is in it
    for i in order:
        block = [i]
        left = _left(places, widths, block, shrink, low, high)
        while blocks and blocks[-1][0] + shrink * sum(widths[k] for k in blocks[-1][1]) > left:
            block = blocks.pop()[1] + block
            left = _left(places, widths, block, shrink, low, high)
        blocks.append((left, block))
    result = [0.0] * len(places)
    for left, block in blocks:
        for i in block:
            result[i] = left + shrink * widths[i] / 2
            left += shrink * widths[i]
    return result


def _left(
    places: Sequence[float],
    widths: Sequence[float],
    block: Sequence[int],
    shrink: float,
    low: float,
    high: float,
) -> float:
    """Where a block begins for its labels to be nearest, on the mean, to where they want to be."""
    before, wanted = 0.0, 0.0
    for i in block:
        wanted += places[i] - (before + shrink * widths[i] / 2)
        before += shrink * widths[i]
    return max(min(wanted / len(block), high - before), low)


def make_room(axes: Axes, share: float, below: bool = False) -> None:
    """Widen the limits of y until `share` of the height is free above (or below) what was there."""
    low, high = axes.transData.transform([(axes.get_xlim()[0], y) for y in axes.get_ylim()])[:, 1]
    more = (high - low) * share / (1 - share)
    pixel = (axes.bbox.x0, low - more if below else high + more)
    limit = axes.transData.inverted().transform(pixel)[1]
    axes.set_ylim(**{"bottom" if below else "top": limit})


def say_nothing(axes: Axes, why: str) -> None:
    """Say in the picture why there is no curve."""
    axes.set_yticks([])
    middle: Look = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, why, color=INK, **middle)


def log_rates(axes: Axes, lrs: Array) -> None:
    """Make x a logarithmic axis of learning rates."""
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    seen = lrs[np.isfinite(lrs) & (lrs > 0)]
    if seen.size:
        margin = max((seen.max() / seen.min()) ** 0.04, 1.1)
        axes.set_xlim(seen.min() / margin, seen.max() * margin)
    axes.grid(visible=False, which="minor")


def legend_above(axes: Axes, *others: Axes) -> None:
    """Put a legend of one row, or two, above the picture, where no curve is."""
    handles, labels = axes.get_legend_handles_labels()
    for other in others:
        more = other.get_legend_handles_labels()
        handles, labels = handles + more[0], labels + more[1]
    wide = sum(len(label) + 6 for label in labels)  # in letters; the line before each takes six
    if len(labels) > 1:
        axes.legend(
            handles,
            labels,
            ncols=len(labels) if wide < 85 else -(-len(labels) // 2),
            frameon=False,
            fontsize="small",
            columnspacing=1.4,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
        )


def rate(value: float) -> str:
    """Return a learning rate in few characters: 0.03, 3e-05.

    Examples
    --------
    >>> rate(0.0316227766), rate(3.1e-5), rate(12.0)
    ('0.032', '3.1e-5', '12')
    """
    text = f"{value:.2g}"
    if "e" in text:
        digits, power = text.split("e")
        return f"{digits}e{int(power)}"
    return text


def running_mean(values: Array, width: int) -> Array:
    """Mean of the finite values among the `width` around each; NaN where there are none.

    Windows end where the values do.
    """
    half = min(width // 2, len(values) - 1)
    padded = np.full(len(values) + 2 * half, np.nan)
    padded[half : half + len(values)] = np.where(np.isfinite(values), values, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    known = np.isfinite(windows)
    counts = known.sum(axis=1)
    sums = np.where(known, windows, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def count_updates(axes: Axes, steps: int | None = None) -> None:
    """Give the x axis whole numbers with commas, none above `steps`."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    whole = MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10])
    whole.set_axis(axes.xaxis)
    if steps is not None:
        axes.xaxis.set_major_locator(FixedLocator([t for t in whole() if 0 <= t <= steps]))
    else:
        axes.xaxis.set_major_locator(whole)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("update")


def few_decades(axes: Axes) -> None:
    """Name 1, 2 and 5 of every decade of a logarithmic y axis that has few of them."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axes.get_ylim()
    if high < 300 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter("{x:g}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
