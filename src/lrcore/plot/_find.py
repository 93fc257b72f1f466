"""A range test: the loss over the rate, what it suggests, and the gain ratio below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import (
    ALARM,
    BLUE,
    DIM,
    GREY,
    INK,
    NOTE,
    RUST,
    Array,
    Look,
    cut,
    dress,
    log_rates,
    new_axes,
    rate,
    say_nothing,
    spread,
    wants_log,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..instruments.finder.find import LRFindResult

#: Marks of the single methods; the one that is suggested has a full line.
DASHES: tuple[Any, ...] = (
    (0, (5, 2)),
    (0, (1.2, 1.4)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
)


def lr_find(result: LRFindResult, ax: Axes | None = None) -> Axes:
    """Draw a range test: loss and gain ratio over the rate, with every suggestion.

    The loss of each repeat is a thin line and their mean a thick one, up to where they explode.
    The interval is shaded, each suggestion is a line named above. Below is the gain ratio (1: the
    loss falls as its slope promises; under the threshold the rate is too high). Diamonds are
    short trainings at one rate, where the finder made some. A result that is not reliable says
    so, and why, across the picture.

    Parameters
    ----------
    result : LRFindResult
        What `lr_find` or `LRFinder.result` returned.
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows. Where it is part of a grid of
        subplots its place is shared with the panel of the gain ratio, else there is no panel.

    Returns
    -------
    matplotlib Axes
        That of the loss; the panel is the last of ``ax.figure.axes``.

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> x = np.zeros(2)
    >>> opt = lrcore.SGD(x, lr=0.1)
    >>> def loss_and_grads(target):
    ...     return ((x - target) ** 2).sum(), 2 * (x - target)
    >>> result = lrcore.lr_find(opt, loss_and_grads, [1.0])
    >>> ax = lrcore.plot.lr_find(result)
    >>> ax.get_ylabel(), ax.figure.axes[-1].get_ylabel()
    ('loss', 'gain ratio')
    """
    lrs = np.asarray(result.lrs, dtype=np.float64)
    losses = cut(np.atleast_2d(np.asarray(result.losses, dtype=np.float64)))
    gains = cut(np.atleast_2d(np.asarray(result.gains, dtype=np.float64)))
    ax = new_axes(7.0, 4.8) if ax is None else ax
    place = ax.get_subplotspec()
    panels = [ax]
    if place is not None and np.isfinite(gains).any():
        halves = place.subgridspec(2, 1, height_ratios=(2, 1), hspace=0.05)
        ax.set_subplotspec(halves[0])
        panels.append(ax.figure.add_subplot(halves[1], sharex=ax))
    _draw_losses(ax, lrs, losses)
    _draw_probes(ax, result)
    for panel in panels:
        log_rates(panel, lrs)
        _shade(panel, result)
    if len(panels) > 1:
        _draw_gains(panels[1], lrs, gains)
        ax.tick_params(axis="x", which="both", labelbottom=False)
        ax.set_xlabel("")
    _draw_suggestions(panels, result)
    if not result.reliable:
        _warn(ax, result)
    return ax


def _draw_losses(ax: Axes, lrs: Array, losses: Array) -> None:
    """Every repeat and their mean, in limits that an explosion at the end does not set."""
    known = np.isfinite(losses)
    counts = known.sum(axis=0)
    mean = np.where(known, losses, 0.0).sum(axis=0) / np.where(counts > 0, counts, np.nan)
    if len(losses) > 1:
        for row in losses:
            ax.plot(lrs, row, color=GREY, alpha=0.6, linewidth=0.9, zorder=2)
    ax.plot(lrs, mean, color=BLUE, linewidth=2.2, zorder=3)
    ax.set_ylabel("loss" if len(losses) == 1 else f"loss, mean of {len(losses)}")
    seen = mean[np.isfinite(mean)]
    if not seen.size:
        say_nothing(ax, "no loss is finite")
        return
    least, first = seen.min(), np.median(seen[: max(len(seen) // 10, 1)])
    if wants_log(np.array([least, first])):
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(least / 1.5, first * 3)
        return
    fall = max(first - least, 0.02 * abs(first), 3 * float(np.median(np.abs(np.diff(seen[:20])))))
    ax.set_ylim(least - 0.12 * fall, min(first + 0.6 * fall, seen.max() + 0.12 * fall))


def _draw_probes(ax: Axes, result: LRFindResult) -> None:
    """The short trainings, a diamond each; at the top where one exploded."""
    probes = getattr(result, "probes", ())
    if not probes:
        return
    rates, ends = np.asarray(probes, dtype=np.float64).T
    low, high = ax.get_ylim()
    good = np.isfinite(ends)
    if good.any():
        least = ends[good].min()
        below = least / 1.5 if ax.get_yscale() == "log" else least - 0.05 * (high - low)
        ax.set_ylim(min(low, below), high)
    dots: Look = {"linestyle": "none", "markersize": 7, "markeredgecolor": "white", "zorder": 4}
    top = np.where(good & (ends <= high), ends, high)
    label = f"end of {result.horizon} updates at one rate"
    ax.plot(rates, top, marker="D", color=RUST, clip_on=False, label=label, **dots)
    ax.legend(loc="lower left", frameon=False, fontsize="small", handletextpad=0.2)


def _shade(ax: Axes, result: LRFindResult) -> None:
    """The interval."""
    low, high = result.interval
    if np.isfinite([low, high]).all() and high > low > 0:
        edges: Look = {"edgecolor": BLUE, "linewidth": 0.8, "alpha": 0.9, "zorder": 0.6}
        ax.axvspan(low, high, facecolor=NOTE, **edges)


def _draw_gains(ax: Axes, lrs: Array, gains: Array) -> None:
    """The gain ratio of every repeat and their median, and the threshold it must not fall below."""
    from ..instruments.finder.suggest import FAILS

    for row in gains if len(gains) > 1 else ():
        known = np.isfinite(row)
        ax.plot(lrs[known], row[known], color=GREY, alpha=0.6, linewidth=0.9, zorder=2)
    some = np.isfinite(gains).any(axis=0)  # a finder may measure at every second rate only
    ax.plot(lrs[some], np.nanmedian(gains[:, some], axis=0), color=BLUE, linewidth=2.2, zorder=3)
    ax.axhline(FAILS, color=RUST, linewidth=1.5, linestyle=(0, (5, 2)), zorder=2.5)
    ax.set_ylim(-0.35, 1.35)
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylabel("gain ratio")
    dress(ax)
    ax.annotate(
        f"threshold {FAILS:g}",
        (0.005, FAILS),
        xycoords=ax.get_yaxis_transform(),
        xytext=(0, -3),
        textcoords="offset points",
        fontsize="small",
        color=INK,
        va="top",
        zorder=4,
    )


def _draw_suggestions(panels: list[Axes], result: LRFindResult) -> None:
    """A line for each through all panels, with its name above the picture."""
    ax = panels[0]
    named = {name: float(at) for name, at in result.suggestions.items() if _drawable(at)}
    suggested = float(result.suggested) if _drawable(result.suggested) else None
    lines: list[tuple[float, str, Look]] = []
    if suggested is not None:
        low, high = result.interval
        same = next((name for name, at in named.items() if at == suggested), None)
        named.pop(same or "", None)
        text = f"suggested{f' ({same})' if same else ''}\n{rate(suggested)}"
        if np.isfinite([low, high]).all() and high > low > 0:
            text += f" ({rate(low)} to {rate(high)})"
        strong: Look = {"color": INK, "linewidth": 2.2, "linestyle": "-"}
        lines.append((suggested, text, strong))
    for (name, at), dashes in zip(named.items(), DASHES * len(named), strict=False):
        weak: Look = {"color": DIM, "linewidth": 1.4, "linestyle": dashes}
        lines.append((at, f"{name}\n{rate(at)}", weak))
    low_x, high_x = np.log(ax.get_xlim())
    places = [float((np.log(at) - low_x) / (high_x - low_x)) for at, _, _ in lines]
    widths = [max(map(len, text.split("\n"))) * 0.0105 + 0.03 for _, text, _ in lines]
    labels = spread(places, widths, 0.0, 1.0)
    for (at, text, style), place, label in zip(lines, places, labels, strict=True):
        for panel in panels:
            panel.axvline(at, zorder=1.8, **style)
        _name(ax, text, place, label, bold=style["linestyle"] == "-")


def _name(ax: Axes, text: str, place: float, label: float, bold: bool) -> None:
    """A name above the picture, joined to its line."""
    inside = min(max(place, 0.0), 1.0)
    arrow: Look = {"arrowstyle": "-", "color": DIM, "linewidth": 0.8}
    arrow |= {"shrinkA": 0, "shrinkB": 0, "relpos": (0.5, 0)}
    ax.annotate(
        text,
        (inside, 1.0),
        xytext=(label, 16),
        xycoords="axes fraction",
        textcoords=("axes fraction", "offset points"),
        ha="center",
        va="bottom",
        fontsize="small",
        fontweight="bold" if bold else "normal",
        color=INK,
        arrowprops=arrow,
        annotation_clip=False,
    )


def _warn(ax: Axes, result: LRFindResult) -> None:
    """Say across the picture that the result is not reliable, and why."""
    from textwrap import fill

    why = f": {result.reasons[0]}" if result.reasons else ""
    ax.text(
        0.5,
        0.5,
        fill(f"not reliable{why}", 58, max_lines=4, placeholder=" ..."),
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=INK,
        fontweight="bold",
        bbox={"facecolor": ALARM, "edgecolor": RUST, "boxstyle": "round,pad=0.5", "linewidth": 1.5},
        zorder=6,
    )


def _drawable(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value)) and value > 0
