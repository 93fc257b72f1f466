"""Loss against update, with the rate on a second axis and the findings of a diagnosis shaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._style import (
    ALARM,
    BLUE,
    DIM,
    GREY,
    INK,
    LARGEST,
    NOTE,
    PALE,
    POINTS,
    RUST,
    Array,
    Look,
    count_updates,
    cut,
    legend_above,
    make_room,
    new_axes,
    numbers,
    running_mean,
    say_nothing,
    wants_log,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..instruments.diagnosis.curve import Curve
    from ..instruments.diagnosis.verdict import Diagnosis, Finding

WHO = "plot.training"
ROWS = 5  # findings of more kinds than that are counted, not drawn
ROW = 0.075  # height of a row of findings, as a share of the picture
SMOOTH = 40  # a running mean is over this share of the picture
RATE: Look = {
    "color": GREY,
    "linewidth": 1.6,
    "linestyle": (0, (6, 1.5, 1.2, 1.5)),
}
#: Findings that ask for something to be done; the others are notes.
ALARMS = (
    "diverged",
    "nonfinite",
    "spiking",
    "lr_too_high",
    "lr_too_low",
    "oscillating",
    "plateau",
    "overfitting",
    "rising",
    "never_fell",
)


class _Line(NamedTuple):
    """What is drawn: at update `at`, the mean of a bin, its lowest and its highest value."""

    at: Array
    mean: Array
    low: Array
    high: Array
    broken: Array  # the updates at which the loss is not finite
    lr: Array | None
    steps: Array  # the first update and the one after the last
    losses: int  # how many
    binned: bool


def training(
    losses: Sequence[float] | Array | Curve | Diagnosis,
    lrs: Sequence[float] | Array | None = None,
    findings: Iterable[Finding] | None = None,
    val_losses: Sequence[Any] | Array | None = None,
    ax: Axes | None = None,
    *,
    steps: Sequence[float] | Array | None = None,
) -> Axes:
    """Draw the loss of a run, with its learning rate and what was found in it.

    A run of more than 2000 updates is drawn in bins: their means, over a band from the lowest to
    the highest loss of each. A loss that is not finite is a cross at the top.

    Parameters
    ----------
    losses : list of float, Curve or Diagnosis
        Training loss of every update. A Curve brings its rates and a Diagnosis its findings, too.
    lrs : list of float, default None
        Learning rate of every update, as many as losses; drawn dashed, with its axis on the right.
    findings : iterable of Finding, default None
        Each is shaded over the updates it covers and named above; those of one kind share a row.
    val_losses : list, default None
        Validation loss: as many as losses, NaN where it was not measured; or pairs
        ``(update, loss)``.
    ax : matplotlib Axes, default None
        Where to draw; None: on a new figure, which no window shows.
    steps : list of int, default None
        The number of each update in a log, increasing; None: 0, 1, ... A Diagnosis brings its own.

    Returns
    -------
    matplotlib Axes
        That of the loss; the axis of the rate is the last of ``ax.figure.axes``.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        Losses, rates or steps are not numbers, there are none, or not as many as losses.

    Examples
    --------
    >>> from lrcore import plot
    >>> ax = plot.training([2.3, 1.9, 1.6, 1.5], lrs=[0.1, 0.1, 0.05, 0.05])
    >>> ax.get_ylabel(), ax.figure.axes[-1].get_ylabel()
    ('loss', 'learning rate')
    """
    line, found, validation = _read(losses, lrs, steps)
    found = list(found if findings is None else findings)
    if val_losses is not None:
        validation = _validation(val_losses, line, steps)
    ax = new_axes() if ax is None else ax
    count_updates(ax)
    _draw_losses(ax, line)
    if validation is not None:
        style: Look = {"color": RUST, "linestyle": (0, (4, 1.5)), "linewidth": 2.2, "zorder": 3.5}
        one = "o" if len(validation[0]) < 60 else ""
        ax.plot(*validation, label="validation", marker=one, markersize=4, **style)
    _set_limits(ax, line, validation)
    drawn = _draw_findings(ax, found, *line.steps)
    _draw_broken(ax, line, drawn)
    ax.set_ylabel("loss")
    if line.lr is not None and np.isfinite(line.lr).any():
        legend_above(ax, _draw_rates(ax, line.at, line.lr, drawn))
    else:
        legend_above(ax)
    return ax


def _read(
    losses: Any, lrs: Any, steps: Any
) -> tuple[_Line, Iterable[Finding], tuple[Array, Array] | None]:
    """Return what is to be drawn, and the findings and validation losses that came with it."""
    found: Iterable[Finding] = ()
    if hasattr(losses, "findings") and hasattr(losses, "curve"):
        steps = losses.at if steps is None else steps
        losses, found = losses.curve, losses.findings
    if hasattr(losses, "loss") and hasattr(losses, "width"):
        line, seen = _placed(_of_curve(losses), steps), np.isfinite(losses.val_loss)
        return line, found, (line.at[seen], cut(losses.val_loss[seen])) if seen.any() else None
    values = numbers(WHO, "losses", losses)
    rates = None if lrs is None else numbers(WHO, "lrs", lrs)
    if rates is not None and len(rates) != len(values):
        raise ValueError(f"{WHO}: lrs must be {len(values)} numbers, as losses, got {len(rates)}")
    return _placed(_of_values(values, rates), steps), found, None


def _placed(line: _Line, steps: Any) -> _Line:
    """The line at the steps of a log in place of 0, 1, ..."""
    if steps is None:
        return line
    known = numbers(WHO, "steps", steps)
    if len(known) != line.losses:
        raise ValueError(f"{WHO}: steps must be {line.losses} numbers, as losses, got {len(known)}")
    if not (np.isfinite(known).all() and np.all(np.diff(known) > 0)):
        raise ValueError(f"{WHO}: steps must be finite and increasing")
    at, broken = (np.interp(x, np.arange(line.losses), known) for x in (line.at, line.broken))
    return line._replace(at=at, broken=broken, steps=np.array([known[0], known[-1] + 1]))


def _of_values(values: Array, rates: Array | None) -> _Line:
    count = len(values)
    span = np.array([0.0, count])
    good = np.isfinite(values)
    broken = np.flatnonzero(~good).astype(np.float64)
    if count <= POINTS:
        at = np.arange(count, dtype=np.float64)
        mean = np.where(good, values, np.nan)
        return _Line(at, mean, mean, mean, broken, rates, span, count, False)
    edges = np.linspace(0, count, POINTS // 2 + 1).round().astype(np.int64)
    starts, sizes = edges[:-1], np.diff(edges)
    known = np.add.reduceat(good, starts, dtype=np.int64)
    seen = known > 0
    total = np.add.reduceat(np.where(good, values, 0.0), starts)
    mean = np.where(seen, total / np.maximum(known, 1), np.nan)
    low = np.where(seen, np.minimum.reduceat(np.where(good, values, np.inf), starts), np.nan)
    high = np.where(seen, np.maximum.reduceat(np.where(good, values, -np.inf), starts), np.nan)
    at = starts + (sizes - 1) / 2
    broken = at[known < sizes]
    mine = None if rates is None else rates[edges[1:] - 1]
    return _Line(at, mean, low, high, broken, mine, span, count, True)


def _of_curve(curve: Curve) -> _Line:
    at = curve.start + (curve.count - 1) / 2
    rates = curve.lr if np.isfinite(curve.lr).any() else None
    bad = at[curve.bad > 0]
    loss, low, high = cut(curve.loss), cut(curve.low), cut(curve.high)
    span = np.array([0.0, curve.steps])
    return _Line(at, loss, low, high, bad, rates, span, curve.steps, curve.width > 1)


def _validation(given: Any, line: _Line, steps: Any) -> tuple[Array, Array]:
    """Return the updates at which the validation loss was measured, and its values."""
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{WHO}: val_losses must be numbers or pairs of them") from None
    if array.ndim == 2 and array.shape[1] == 2:
        at, values = array.T
    elif array.shape == (line.losses,):
        at, values = np.arange(line.losses) if steps is None else np.asarray(steps), array
    else:
        raise ValueError(
            f"{WHO}: val_losses must be {line.losses} numbers, as losses, or pairs (update, loss), "
            f"got shape {array.shape}"
        )
    known = np.isfinite(values)
    return at[known].astype(np.float64), cut(values[known])


def _draw_losses(ax: Axes, line: _Line) -> None:
    """One value as a dot, a short run as it is, a longer one pale under its running mean."""
    count = len(line.at)
    strong: Look = {"color": BLUE, "linewidth": 2.2, "zorder": 3}
    if count < 120 and not line.binned:
        small = "o" if count < 60 else ""
        ax.plot(line.at, line.mean, label="training", marker=small, markersize=4, **strong)
        return
    if line.binned:
        style: Look = {"facecolor": PALE, "edgecolor": PALE, "linewidth": 0.9, "zorder": 1.5}
        ax.fill_between(line.at, line.low, line.high, label="lowest to highest", **style)
    else:
        ax.plot(line.at, line.mean, label="each update", color=PALE, linewidth=0.9, zorder=2)
    ax.plot(line.at, running_mean(line.mean, count // SMOOTH), label="training", **strong)


def _set_limits(ax: Axes, line: _Line, validation: tuple[Array, Array] | None) -> None:
    """Choose the scale by the means, and leave the rare small values of a logarithmic one out."""
    begin, end = line.steps
    margin = max(0.01 * (end - begin), 0.5)
    ax.set_xlim(begin - margin, end - 1 + margin)
    means = running_mean(line.mean, len(line.mean) // SMOOTH)
    seen = means[np.isfinite(means)]
    if not seen.size:
        say_nothing(ax, "no loss is finite")
    elif wants_log(seen):
        lows = line.low[line.low > 0]
        others = [] if validation is None else [x for x in validation[1] if x > 0]
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(
            bottom=max(0.8 * min([np.quantile(lows, 0.02), seen.min(), *others]), 1 / LARGEST)
        )


def _draw_broken(ax: Axes, line: _Line, share: float) -> None:
    if not line.broken.size:
        return
    top = ax.get_xaxis_transform()
    y = np.full(len(line.broken), 0.975 - share)
    style: Look = {"color": RUST, "markersize": 6, "markeredgewidth": 1.6, "clip_on": False}
    ax.plot(line.broken, y, "x", transform=top, label="not finite", zorder=4, **style)


def _draw_findings(ax: Axes, findings: Sequence[Finding], begin: float, end: float) -> float:
    """Shade each and name it in a row above the curve; return the share of the height taken."""
    kinds: dict[str, list[Finding]] = {}
    for one in findings:
        kinds.setdefault(one.code, []).append(one)
    if not kinds:
        return 0.0
    shown = dict(list(kinds.items())[:ROWS])
    more = len(kinds) - len(shown)
    share = ROW * (len(shown) + (more > 0)) + 0.02
    make_room(ax, share)
    _clear(ax, share)
    for row, (code, group) in enumerate(shown.items()):
        _draw_row(ax, code, group, 1 - ROW * (row + 1), (begin, end))
    if more:
        text = f"and {more} more kind{'s' if more > 1 else ''} of finding"
        where = (0.005, 1 - ROW * (ROWS + 0.5))
        ax.text(*where, text, transform=ax.transAxes, va="center", fontsize="small", color=GREY)
    return share


def _clear(ax: Axes, share: float) -> None:
    """No grid behind the names."""
    from matplotlib.patches import Rectangle

    style: Look = {"facecolor": "white", "linewidth": 0, "zorder": 0.7}
    ax.add_patch(Rectangle((0, 1 - share), 1, share, transform=ax.transAxes, **style))


def _draw_row(
    ax: Axes, code: str, group: Sequence[Finding], bottom: float, span: tuple[float, float]
) -> None:
    """Bars over what is covered, from the top of the picture to its bottom, and the name."""
    from matplotlib.patches import Rectangle

    alarm = code in ALARMS
    face, hatch, edge = (ALARM, "////", RUST) if alarm else (NOTE, None, BLUE)
    across = ax.get_xaxis_transform()
    begin, end = span
    least = 0.004 * (end - begin)  # a spike of one update is still seen
    for one in group:
        start = min(max(one.start, begin), end - 1)
        width = max(min(one.stop, end) - start, least)
        at = (start - 0.5, bottom + 0.1 * ROW)
        tint: Look = {"color": face, "alpha": 0.5 if alarm else 0.2, "linewidth": 0, "zorder": 0.5}
        ax.axvspan(at[0], at[0] + width, 0, at[1], **tint)
        bar = Rectangle(at, width, 0.8 * ROW, transform=across, zorder=2.5, linewidth=1)
        bar.set(facecolor=face, edgecolor=edge, hatch=hatch)
        ax.add_patch(bar)
    first, last = min(one.start for one in group), max(one.stop for one in group)
    name = code.replace("_", " ")
    where, side, room = _beside(min(first, end), min(last, end), span)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
    ax.annotate(
        f"{name} ({len(group)})" if len(group) > 1 else name,
        (where, bottom + 0.47 * ROW),
        xytext=(room, 0),
        textcoords="offset points",
        xycoords=across,
        ha=side,
        va="center",
        fontsize="small",
        color=INK,
        bbox=box,
        zorder=5,
    )


def _beside(first: float, last: float, span: tuple[float, float]) -> tuple[float, str, float]:
    """Where a name goes: in a long bar, else to the right of it, else to the left."""
    begin, end = span
    if last - first > 0.35 * (end - begin):
        return (first + last) / 2, "center", 0.0
    if last - begin < 0.6 * (end - begin):
        return last, "left", 5.0
    return first, "right", -5.0


def _draw_rates(ax: Axes, at: Array, lr: Array, share: float) -> Axes:
    """The rate on the right, behind the loss and below the findings."""
    right = ax.twinx()
    right.set_zorder(ax.get_zorder() - 1)
    ax.patch.set_visible(False)
    right.plot(at, lr, label="learning rate", **RATE)
    right.spines[["top", "left", "bottom"]].set_visible(False)
    right.spines["right"].set(visible=True, color=GREY)
    right.tick_params(axis="y", which="both", colors=DIM)
    right.set_ylabel("learning rate", color=DIM)
    seen = lr[np.isfinite(lr)]
    if seen.min() > 0 and np.median(seen) < 0.05 * seen.max():
        right.set_yscale("log")
    else:
        right.set_ylim(min(0, seen.min()), 1.15 * seen.max() or 1.0)
        right.yaxis.set_major_formatter("{x:g}")
    make_room(right, share)
    return right
