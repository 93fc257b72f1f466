"""Score against learning rate: the valley that a sweep finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import (
    ALARM,
    BLUE,
    DIM,
    GREY,
    INK,
    RUST,
    Array,
    Look,
    cut,
    few_decades,
    legend_above,
    log_rates,
    make_room,
    new_axes,
    rate,
    say_nothing,
    wants_log,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..instruments.trials.sweep import SweepResult

TOP = 0.09  # share of the height kept for the runs that have no score
BOTTOM = 0.22  # and below the valley for what is marked
FAR = 10.0  # so many times as far from the best as the median rate is: off the scale
HUGE = 300.0  # so many times the median score: off a logarithmic one, too


def sweep(result: SweepResult, ax: Axes | None = None) -> Axes:
    """Draw the score of every learning rate of a sweep, lower being better.

    A dot is the mean over the seeds (or folds) at one rate, the bar its standard error to either
    side, small dots the single runs. The best rate and the one chosen by the one-standard-error
    rule are marked. A rate at which a run diverged or failed has a cross at the top.

    Parameters
    ----------
    result : SweepResult
        What `lr_sweep` or `cross_validate_lr` returned.
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
    >>> result = lrcore.lr_sweep(lambda lr, seed: (lr - 0.1) ** 2, [0.01, 0.1, 1.0])
    >>> ax = lrcore.plot.sweep(result)
    >>> ax.get_xscale(), ax.get_xlabel()
    ('log', 'learning rate')
    """
    order = np.argsort(result.lrs)
    lrs = np.asarray(result.lrs, dtype=np.float64)[order]
    scores = cut(np.asarray(result.scores, dtype=np.float64).reshape(len(lrs), -1)[order])
    ended = np.isfinite(scores).sum(axis=1)
    means = np.where(np.isfinite(scores), scores, 0.0).sum(axis=1) / np.maximum(ended, 1)
    given = cut(np.asarray(result.means, dtype=np.float64)[order])
    whole = np.isfinite(given)  # no run of the rate diverged
    means = np.where(whole, given, np.where(ended > 0, means, np.nan))
    errors = np.where(whole, cut(np.asarray(result.errors, dtype=np.float64)[order]), np.nan)
    ax = new_axes() if ax is None else ax
    ax.set_ylabel("score (lower is better)")
    log_rates(ax, lrs)
    _draw_scores(ax, lrs, scores, means, errors, whole)
    limit = zoom(ax, means[whole], errors[whole])
    _draw_choices(
        ax, result, dict(zip(lrs, means, strict=True)), dict(zip(lrs, errors, strict=True))
    )
    far = lrs[whole & (means > limit)]
    _draw_lost(ax, lost_runs(result), far)
    legend_above(ax)
    return ax


def _draw_scores(
    ax: Axes, lrs: Array, scores: Array, means: Array, errors: Array, whole: Any
) -> None:
    """The valley through the rates of which no run diverged; hollow dots at the others."""
    known = np.isfinite(scores)
    several = scores.shape[1] > 1
    line: Look = {"color": BLUE, "marker": "o", "markersize": 5, "zorder": 3}
    if whole.any():
        label = "mean \N{PLUS-MINUS SIGN} standard error" if several else "score"
        ax.plot(lrs[whole], means[whole], linewidth=2, label=label, **line)
    if whole.any() and several:
        bars: Look = {"capsize": 3.5, "elinewidth": 1.3, "color": BLUE, "zorder": 3}
        ax.errorbar(lrs[whole], means[whole], errors[whole], linestyle="none", **bars)
    if several and known.any():
        x, y = np.repeat(lrs, scores.shape[1])[known.ravel()], scores[known]
        ax.plot(x, y, "o", color=GREY, markersize=3, zorder=2, label="one run")
    some = ~whole & known.any(axis=1)
    if some.any():
        hollow: Look = {**line, "linestyle": "none", "markerfacecolor": "white"}
        ax.plot(lrs[some], means[some], label="mean of those that ended", **hollow)


def zoom(ax: Axes, means: Array, errors: Array) -> float:
    """Show the valley, and return above which score a rate is too far away to be shown.

    A loss that has exploded, though to a number, would leave nothing of the valley to be seen.
    """
    if not means.size:
        say_nothing(ax, "every run diverged or failed")
        return np.inf
    best, middle = means.min(), float(np.median(means))
    shown = means <= max(HUGE * middle, best) if best > 0 else np.full(means.shape, True)
    log = wants_log(means[shown])
    if not log:
        shown &= means <= max(best + FAR * (middle - best), best)
    means, errors = means[shown], np.nan_to_num(errors[shown])
    lowest, highest = (means - errors).min(), means.max()
    highest += min(errors[means.argmax()], 0.3 * (highest - best))
    if log:
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(max(lowest, 0.5 * best) * 0.9, highest * 1.15)
        few_decades(ax)
    else:
        margin = 0.05 * (highest - lowest) or 0.1 * abs(highest) or 1.0
        ax.set_ylim(lowest - margin, highest + margin)
    return float(means.max())


def _draw_choices(
    ax: Axes, result: SweepResult, means: dict[float, float], errors: dict[float, float]
) -> None:
    """The best, what is as good within one standard error, and the choice among those."""
    best, chosen = float(result.best), float(result.chosen)
    if best not in means or not np.isfinite(means[best]):
        return
    below = ax.get_ylim()[0]
    make_room(ax, BOTTOM, below=True)
    if ax.get_yscale() == "linear":  # no number where there are only names
        ax.set_yticks([tick for tick in ax.get_yticks() if below <= tick <= ax.get_ylim()[1]])
    across = ax.get_yaxis_transform()
    if np.isfinite(errors[best]):
        limit = means[best] + errors[best]
        ax.axhline(limit, color=DIM, linewidth=1.2, linestyle=(0, (5, 2)), zorder=1.5)
        low, high = np.log(ax.get_xlim())
        right = np.log(best) < (low + high) / 2  # away from the valley nothing is below the line
        style: Look = {"color": DIM, "fontsize": "small", "ha": "right" if right else "left"}
        words = "one standard error above the best"
        ax.annotate(
            words,
            (0.995 if right else 0.005, limit),
            xycoords=across,
            xytext=(0, -3),
            textcoords="offset points",
            va="top",
            **style,
        )
    marks = {best: ("best", "o", "white")}
    marks[chosen] = ("best and chosen" if chosen == best else "chosen", "D", RUST)
    ends = {best: 0.12, chosen: 0.04 if chosen != best else 0.08}
    for lr, (word, shape, face) in marks.items():
        _mark(ax, (lr, means[lr]), f"{word}: {rate(lr)}", shape, face, ends[lr])


def _mark(
    ax: Axes, at: tuple[float, float], text: str, shape: str, face: str, height: float
) -> None:
    """A large marker on the curve, and its name below it, joined to it by a thin line."""
    style: Look = {"markersize": 10, "markeredgewidth": 2, "markeredgecolor": INK, "zorder": 4}
    ax.plot(*at, shape, markerfacecolor=face, **style)
    arrow = {"arrowstyle": "-", "color": INK, "linewidth": 0.8, "shrinkB": 6, "shrinkA": 0}
    ax.annotate(
        text,
        at,
        xytext=(at[0], height),
        textcoords=ax.get_xaxis_transform(),
        ha="center",
        va="center",
        color=INK,
        fontweight="bold",
        arrowprops=arrow,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        zorder=5,
    )


def lost_runs(result: SweepResult) -> dict[float, tuple[int, int, int]]:
    """For each rate how many runs diverged, how many raised, and how many were made."""
    counts = {float(lr): (0, 0, 0) for lr in sorted(result.lrs)}
    for run in result.runs:
        diverged, failed, made = counts[run.lr]
        lost = not np.isfinite(run.score)
        counts[run.lr] = (diverged + (lost and not run.failed), failed + run.failed, made + 1)
    return counts


def _draw_lost(ax: Axes, lost: dict[float, tuple[int, int, int]], far: Array) -> None:
    """A band at the top: a cross for each rate that lost runs, a triangle where it is too high."""
    from matplotlib.patches import Rectangle

    some = {lr: counts for lr, counts in lost.items() if counts[0] + counts[1]}
    if not (some or far.size):
        return
    make_room(ax, TOP)
    across = ax.get_xaxis_transform()
    style: Look = {"transform": ax.transAxes, "linewidth": 0, "zorder": 3.5}
    ax.add_patch(Rectangle((0, 1 - TOP), 1, TOP, facecolor="white", **style))
    ax.add_patch(
        Rectangle((0, 1 - TOP), 1, TOP, facecolor=ALARM, edgecolor="#dfae88", hatch="////", **style)
    )
    cross: Look = {"color": INK, "markersize": 8, "zorder": 4, "transform": across}
    if some:
        kinds = [
            word
            for i, word in enumerate(("diverged", "failed"))
            if any(counts[i] for counts in some.values())
        ]
        y = np.full(len(some), 1 - TOP / 2)
        ax.plot(list(some), y, "x", label=" or ".join(kinds), markeredgewidth=2.2, **cross)
    if far.size:
        ax.plot(far, np.full(far.shape, 1 - TOP / 2), "^", label="off the scale", **cross)
    for lr, (diverged, failed, made) in some.items():
        if diverged + failed < made:
            ax.annotate(
                f"{diverged + failed} of {made}",
                (lr, 1 - TOP / 2),
                xycoords=across,
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
                color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
                zorder=4,
            )
