"""Score against learning rate of several optimizers."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from ._style import (
    INK,
    LINES,
    Array,
    Look,
    cut,
    few_decades,
    legend_above,
    log_rates,
    new_axes,
    wants_log,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..instruments.trials.comparison import Comparison

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
FAR = 6.0  # so many times as far from the best score as the median one: cut off


def comparison(result: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the scores of every optimizer over its rates, the best in the ranking first.

    Each mark is a mean over the seeds, its bar the standard error, the large mark the best rate.
    Rates at which a run diverged are left out, and lines end at the top where a score is far off.

    Parameters
    ----------
    result : Comparison
        What `compare` returned.
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows.

    Returns
    -------
    matplotlib Axes
        With a line for each optimizer over a logarithmic axis of rates.

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import lrcore
    >>> lrs = [0.01, 0.1, 1.0]
    >>> result = lrcore.compare(
    ...     lambda name, lr, seed: (lr - 0.1) ** 2 + (name == "B"), {"A": lrs, "B": lrs}
    ... )
    >>> ax = lrcore.plot.comparison(result)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['A', 'B']
    """
    ax = new_axes() if ax is None else ax
    sweeps = {name: result.sweeps[name] for name in result.ranking}
    log_rates(ax, np.concatenate([one.lrs for one in sweeps.values()]))
    seen: list[Array] = []
    for (name, one), look, marker in zip(
        sweeps.items(), cycle(LINES), cycle(MARKERS), strict=False
    ):
        order = np.argsort(one.lrs)
        order = order[np.isfinite(one.means[order])]
        x, y, errors = one.lrs[order], cut(one.means[order]), cut(one.errors[order])
        seen.append(y)
        dots: Look = {"marker": marker, "markersize": 5, "zorder": 3}
        ax.plot(x, y, label=name, **dots, **look)
        if np.isfinite(errors).any():
            bars: Look = {"capsize": 3, "elinewidth": 1.2, "color": look["color"], "zorder": 2.5}
            ax.errorbar(x, y, errors, linestyle="none", **bars)
        if len(y):
            large: Look = {"markersize": 11, "markeredgecolor": INK, "markeredgewidth": 1.8}
            best = y.argmin()
            ax.plot(x[best], y[best], marker, color=look["color"], zorder=4, **large)
    _zoom(ax, np.concatenate(seen))
    ax.set_ylabel("score (lower is better)")
    legend_above(ax)
    return ax


def _zoom(ax: Axes, means: Array) -> None:
    """Show the valleys, not what is far above them."""
    if not means.size:
        return
    best, middle = float(means.min()), float(np.median(means))
    if wants_log(means[means <= 300 * abs(middle)]):
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(best / 1.3, min(means.max(), 300 * middle) * 1.3)
        few_decades(ax)
        return
    highest = (
        min(float(means.max()), best + FAR * (middle - best)) if middle > best else means.max()
    )
    margin = 0.08 * (highest - best) or 0.1 * abs(best) or 1.0
    ax.set_ylim(best - margin, highest + margin)
