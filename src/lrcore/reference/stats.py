"""What a step is asked to report: one row of raw sums a tensor, in the fixed order.

A row is the squares of gradient, parameter and step, the product of gradient and previous step with
the squares of both, the product of gradient and step, how many gradients are not finite, how many
updates were lost to rounding, the clip coefficient, and the divisor, negative for ascent. Without a
gradient all of it is 0.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._core import STATS
from .reduce import CHUNK, in_order, strip_sums

Array: TypeAlias = NDArray[Any]

COLUMNS = len(STATS)
GRAD2, PARAM2, STEP2, DOT, DOT_GRAD2, TRACE2, SLOPE, NONFINITE, LOST, CLIP, DIVISOR = range(COLUMNS)


def _dot(a: Array, b: Array) -> float:
    """The sum of a[i] b[i]."""
    return in_order(strip_sums(a, b))


def kept(n: int, every: int) -> NDArray[np.bool_]:
    """Which elements lie in the chunks 0, every, 2 every, ..., whose steps the trace keeps."""
    mask: NDArray[np.bool_] = np.arange(n) // CHUNK % every == 0
    return mask


def see_gradient(row: Array, g: Array | None, divisor: float) -> None:
    """Start a row, with what is known of the loaded gradient, even when the step is refused."""
    row[...] = 0.0
    if g is not None:
        row[DIVISOR] = divisor
        row[GRAD2] = _dot(g, g)
        row[NONFINITE] = float(np.count_nonzero(~np.isfinite(g)))


def see_step(
    row: Array, loaded: Array, g: Array, old: Array, now: Array, trace: Array | None, every: int
) -> None:
    """Fill the rest of a row, and keep the step in the trace.

    `loaded` is the gradient as it came, `g` as the rule had it; `old` and `now` are the parameter
    as this step and the next one read it.
    """
    row[PARAM2] = _dot(now, now)
    if trace is not None:
        mask = kept(now.size, every)
        d, part = (now - old)[mask], loaded[mask]
        row[STEP2] = _dot(d, d)
        row[DOT] = _dot(part, trace)
        row[DOT_GRAD2] = _dot(part, part)
        row[TRACE2] = _dot(trace, trace)
        row[SLOPE] = _dot(part, d)
        row[LOST] = float(np.count_nonzero((d == 0) & (g[mask] != 0)))
        trace[...] = d
