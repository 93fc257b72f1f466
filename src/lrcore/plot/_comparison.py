"""Score against learning rate for several optimizers."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from ._style import INK, LINES, Look, legend_above, log_rates, make_room, new_axes, rate
from ._sweep import TOP, zoom

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..instruments.comparison import Comparison

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


def comparison(result: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the scores of every optimizer over its rates, lower being better.

    A dot is the mean over the seeds at one rate, the bar its standard error to either side. The
    best rate of each optimizer has a large marker. A cross at the top is a rate at which a run
    diverged or failed. The legend has the optimizers in the order of the ranking, with their
    ranks; the same rank means a tie.

    Parameters
    ----------
    result : Comparison
        What `compare` returned.
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows.

    Returns
    -------
    matplotlib Axes
        With the scores over a logarithmic axis of rates.

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import lrcore
    >>> def train(name, lr, seed):
    ...     return {"SGD": 1.0, "Adam": 2.0}[name] + abs(lr - 0.1) + 0.01 * seed
    >>> grid = [0.01, 0.1, 1.0]
    >>> result = lrcore.compare(train, {"SGD": grid, "Adam": grid}, seeds=range(3))
    >>> ax = lrcore.plot.comparison(result)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['1. SGD, best at 0.1', '2. Adam, best at 0.1']
    """
    ax = new_axes() if ax is None else ax
    ax.set_ylabel("score (lower is better)")
    sweeps = result.sweeps
    log_rates(ax, np.concatenate([sweep.lrs for sweep in sweeps.values()]))
    means = np.concatenate([sweep.means for sweep in sweeps.values()])
    errors = np.concatenate([sweep.errors for sweep in sweeps.values()])
    lost: list[tuple[float, str]] = []
    looks = zip(cycle(LINES), cycle(MARKERS), strict=False)
    for name, (line, marker) in zip(result.ranking, looks, strict=False):
        sweep = sweeps[name]
        order = np.argsort(sweep.lrs)
        lrs, mean, error = sweep.lrs[order], sweep.means[order], sweep.errors[order]
        known = np.isfinite(mean)
        look: Look = {**line, "marker": marker, "markersize": 5}
        best = f", best at {rate(sweep.best)}" if np.isfinite(sweep.best) else ""
        ax.plot(lrs[known], mean[known], label=f"{result.ranks[name]}. {name}{best}", **look)
        some = known & np.isfinite(error)
        bars: Look = {"color": line["color"], "capsize": 3.5, "elinewidth": 1.2}
        ax.errorbar(lrs[some], mean[some], error[some], linestyle="none", **bars)
        if best:
            big: Look = {"markersize": 11, "markeredgecolor": INK, "markeredgewidth": 1.8}
            at = mean[lrs == sweep.best]
            ax.plot([sweep.best], at, marker, color=line["color"], zorder=4, **big)
        whole = np.isfinite(sweep.scores[order]).all(axis=1)
        lost += [(float(lr), line["color"]) for lr in lrs[~whole]]
    known = np.isfinite(means)
    zoom(ax, means[known], errors[known])
    _draw_lost(ax, lost)
    legend_above(ax)
    return ax


def _draw_lost(ax: Axes, lost: list[tuple[float, str]]) -> None:
    """Crosses at the top, those of one rate below each other."""
    if not lost:
        return
    rates = [lr for lr, _ in lost]
    make_room(ax, TOP / 2 * (max(map(rates.count, rates)) + 1))
    for i, (lr, color) in enumerate(lost):
        height = 1 - TOP / 2 * (rates[:i].count(lr) + 0.75)
        cross: Look = {"color": color, "markersize": 7, "markeredgewidth": 2.2}
        cross |= {"linestyle": "none", "transform": ax.get_xaxis_transform()}
        ax.plot(lr, height, marker="x", label="" if i else "diverged or failed", **cross)
