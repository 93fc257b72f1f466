"""A probe in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .sweep_text import number

if TYPE_CHECKING:
    from .probe import ProbeResult

__all__ = ["advice", "text"]


def _rate(result: ProbeResult, factor: float) -> str:
    """The rate that a factor makes of the present one."""
    if result.scheduled:
        return "the schedule as it is" if factor == 1 else f"{factor:.3g} times the schedule"
    return f"{result.lr * factor:.3g}"


def _lower(result: ProbeResult, it: str, to: str, held: str) -> str:
    """A smaller rate won, which over a short horizon is no proof."""
    longer = f"probe once more with steps={4 * result.horizon}"
    if result.shrinking:
        return (
            f"Not yet: {to} is better {held}, but its lead shrinks, and a short horizon prefers "
            f"small rates; {longer} before you lower {it}."
        )
    return (
        f"Lower {it} to {to}: it is better {held}, and its lead still grows. A short horizon "
        f"prefers small rates; if most of the training is still to come, {longer} first."
    )


def advice(result: ProbeResult) -> str:
    """What to do, and for which horizon that holds."""
    held = f"over the next {result.horizon} updates"
    to, is_now = _rate(result, result.best), _rate(result, 1.0)
    it = "the schedule" if result.scheduled else "the rate"
    now = float(result.means[result.factors.index(1.0)])
    if np.isinf(result.means).all():
        return (
            f"Everything down to {_rate(result, result.factors[0])} diverged {held}: {it} is far "
            f"too high; try {_rate(result, result.factors[0] / 10)}."
        )
    if len(result.factors) == 1:
        return f"There is one factor, and so nothing to compare {it} with; give others."
    if not result.decided:
        return (
            f"Keep {is_now}: nothing else is better for certain {held}. More steps "
            "or repeats would tell smaller differences."
        )
    if result.best == 1:
        return f"Keep {is_now}: it is better than the others {held}."
    if math.isinf(now):
        return f"Lower {it} to {to} or less: {is_now} diverged {held}."
    if result.best < 1:
        return _lower(result, it, to, held)
    return f"Raise {it} to {to}: it is better {held}, although a short horizon prefers small rates."


def text(result: ProbeResult) -> str:
    """A table of the factors, and what to do."""
    what = "a schedule, now at" if result.scheduled else "the rate"
    lines = [
        f"Probe of {what} {result.lr:.3g}: {len(result.losses)} x {result.horizon} updates at "
        f"each factor, from a loss of {number(result.before)}",
        "",
        f"{'factor':>8} {'rate':>10} {'loss after':>12}  "
        f"difference to factor 1 [{result.level:.3g} %]",
    ]
    for j, factor in enumerate(result.factors):
        loss = "diverged" if math.isinf(result.means[j]) else number(float(result.means[j]))
        line = f"{factor:>8.3g} {result.lr * factor:>10.3g} {loss:>12}"
        low, high = result.intervals[j]
        if factor != 1 and math.isfinite(low):
            line += f"  {result.differences[j]:+.3g} [{low:+.3g}, {high:+.3g}]"
        lines.append(line + ("   <- best" if factor == result.best and result.decided else ""))
    return "\n".join([*lines, "", result.advice])
