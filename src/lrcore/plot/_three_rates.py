"""One model, three rates: what too low, good and too high look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._style import (
    BLUE,
    GREY,
    INK,
    POINTS,
    RUST,
    Array,
    Look,
    count_updates,
    few_decades,
    new_axes,
    numbers,
    rate,
    running_mean,
    spread,
    wants_log,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WHO = "plot.three_rates"
WORDS = ("too low", "good", "too high")
LOOKS: tuple[Look, ...] = (
    {"color": GREY, "linestyle": (0, (5, 2)), "linewidth": 2.2},
    {"color": BLUE, "linestyle": "-", "linewidth": 2.6},
    {"color": RUST, "linestyle": (0, (1.2, 1.2)), "linewidth": 2.6},
)
ROOM = 0.26  # share of the width kept on the right for the words
HIGHEST = 3.0  # times the largest loss at the start: what is above is cut off


def three_rates(
    runs: Mapping[float, Sequence[float] | Array],
    ax: Axes | None = None,
    *,
    notes: Mapping[float, str] | None = None,
) -> Axes:
    """Draw the loss of one model trained at three learning rates: too low, good, too high.

    The lines are running means over a thirtieth of the run; one that diverges ends in a cross.

    Parameters
    ----------
    runs : dict of float to list of float
        The three rates, and the training losses of each, update by update. In the order of the
        rates they are named "too low", "good" and "too high".
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows.
    notes : dict of float to str, default None
        A few words more for a rate, written under its name: ``{0.3: "95 % right"}``.

    Returns
    -------
    matplotlib Axes
        With the three lines, named at their ends.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        There are not three runs, or their losses are not numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from lrcore import plot
    >>> t = np.arange(100)
    >>> ax = plot.three_rates({0.01: 0.99**t, 0.1: 0.9**t, 2.1: 1.1**t})
    >>> [text.get_text() for text in ax.texts]
    ['too low: 0.01', 'good: 0.1', 'too high: 2.1']
    """
    if not isinstance(runs, Mapping) or len(runs) != 3:
        got = f"{len(runs)} of them" if isinstance(runs, Mapping) else repr(runs)
        raise ValueError(f"{WHO}: runs must be a dict of three rates and their losses, got {got}")
    rates = sorted(runs)
    losses = [numbers(WHO, f"runs[{lr!r}]", runs[lr]) for lr in rates]
    ax = new_axes() if ax is None else ax
    lines = [_smooth(one) for one in losses]
    _set_limits(ax, [mean for _, mean in lines], max(map(len, losses)))
    ends = [
        _draw(ax, *line, len(one), look)
        for line, one, look in zip(lines, losses, LOOKS, strict=True)
    ]
    count_updates(ax, max(map(len, losses)))
    ax.set_ylabel("training loss")
    given = {} if notes is None else notes
    texts = [
        f"{word}: {rate(lr)}" + (f"\n{given[lr]}" if lr in given else "")
        for word, lr in zip(WORDS, rates, strict=True)
    ]
    _name(ax, texts, ends)
    return ax


def _smooth(losses: Array) -> tuple[Array, Array]:
    """The running mean up to the first loss that is not finite, and the updates it is drawn at."""
    broken = np.flatnonzero(~np.isfinite(losses))
    known = losses[: broken[0]] if broken.size else losses
    if not known.size:
        return np.zeros(1), np.full(1, np.nan)
    width = len(known) // 30
    at = np.unique(np.linspace(0, len(known) - 1, POINTS // 2).round().astype(np.int64))
    if len(known) <= 8 * POINTS:
        return at.astype(np.float64), running_mean(known, width)[at]
    edges = np.linspace(0, len(known), POINTS // 2 + 1).round().astype(np.int64)
    means = np.add.reduceat(known, edges[:-1]) / np.diff(edges)
    return (edges[:-1] + edges[1:] - 1) / 2, running_mean(means, len(means) // 30)


def _set_limits(ax: Axes, means: Sequence[Array], steps: int) -> None:
    """Show all of what learns, and cut off what explodes."""
    ax.set_xlim(-0.01 * steps, steps / (1 - ROOM))
    starts = [mean[0] for mean in means if np.isfinite(mean[0])]
    seen = np.concatenate([mean[np.isfinite(mean)] for mean in means])
    if not starts:
        return
    highest, lowest = min(seen.max(), HIGHEST * max(starts)), seen.min()
    if wants_log(np.array([lowest, highest])) or (lowest > 0 and highest > 8 * lowest):
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(lowest / 1.25, highest * 1.25)
        few_decades(ax)
    else:
        margin = 0.06 * (highest - lowest) or 0.1 * abs(highest) or 1.0
        ax.set_ylim(lowest - margin, highest + margin)


def _draw(ax: Axes, at: Array, mean: Array, steps: int, look: Look) -> tuple[float, float]:
    """Draw a line, with a cross where it leaves the picture or numbers; return where it ends."""
    top = ax.get_ylim()[1]
    with np.errstate(invalid="ignore"):
        out = np.flatnonzero(~(mean <= top))
    inside = slice(0, out[0] if out.size and at[-1] < steps - 1 else len(mean))
    ax.plot(at[inside], mean[inside], **look)
    last = np.flatnonzero(np.isfinite(mean[inside]) & (mean[inside] <= top))
    where = (float(at[last[-1]]), float(mean[last[-1]])) if last.size else (0.0, top)
    if at[-1] < steps - 1 or not last.size:
        cross: Look = {"color": INK, "markersize": 9, "markeredgewidth": 2.4, "zorder": 4}
        where = (where[0], top)
        ax.plot(*where, "x", clip_on=False, **cross)
    return where


def _name(ax: Axes, texts: Sequence[str], ends: Sequence[tuple[float, float]]) -> None:
    """Names to the right of the lines, none on another."""
    to_share = ax.transData + ax.transAxes.inverted()
    places = [float(np.clip(to_share.transform(end)[1], 0, 1)) for end in ends]
    height = 0.075
    heights = [height * (1 + text.count("\n")) + 0.02 for text in texts]
    labels = spread(places, heights, 0.0, 1.0)
    for text, end, label, look in zip(texts, ends, labels, LOOKS, strict=True):
        late = to_share.transform(end)[0]
        ax.annotate(
            text,
            (late, label),
            xycoords="axes fraction",
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=look["color"] if look["color"] != RUST else "#a34c0f",
            fontweight="bold" if look is LOOKS[1] else "normal",
        )
