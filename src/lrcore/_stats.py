"""What a step measured: norms, ratios and what was lost, by tensor, by group and over all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stats", "StepStats"]

#: The columns of a row. Those from STEP2 to TRACE2, and LOST, are of the part that is traced.
GRAD2, PARAM2, STEP2, DOT, DOT_GRAD2, TRACE2, NONFINITE, LOST, CLIP, DIVISOR = range(10)


@dataclass(frozen=True)
class StepStats:
    """What the last step measured of some parameters, as 2-norms and shares.

    NaN before the first step, and of parameters that had no gradient. After a step that was refused
    only `grad_norm` and `nonfinite` tell something.

    Attributes
    ----------
    grad_norm : float
        Of the gradients, divided by the loss scale and, after `accumulate`, by the number of
        micro-batches; before any clipping.
    step_norm : float
        Of what the step added to the parameters, as they are stored; see below.
    param_norm : float
        Of the parameters after the step.
    ratio : float
        ``step_norm / param_norm``.
    cos : float
        Of the angle between the gradient and the previous step: below 0 where the way still leads
        down in the direction of that step, above 0 where that step went too far. With `maximize`
        the gradient's sign is turned. NaN at the first step; see below.
    clip : float
        The factor that ``clip_norm`` scaled the gradients by; 1.0 where it did not, the smallest
        where groups differ.
    nonfinite : int
        Gradients that are inf or NaN.
    lost : float
        Share of the elements that did not move though their gradient is not zero: what rounding to
        the storage of the parameters ate; see below.

    Notes
    -----
    What a step did is kept until the next one, for `cos`. Where all parameters together have more
    than 2**20 elements this is done for every sixteenth run of 8192 elements of each, from its
    first; `step_norm`, `ratio`, `cos` and `lost` are then estimates from these.
    """

    grad_norm: float
    step_norm: float
    param_norm: float
    ratio: float
    cos: float
    clip: float
    nonfinite: float
    lost: float


class Stats:
    """What the last step measured. A snapshot: later steps do not change it.

    Norms are sums in a fixed order, so that they are the same bits wherever the step is.
    """

    def __init__(
        self,
        rows: NDArray[np.float64],
        sizes: Sequence[int],
        traced: Sequence[int],
        groups: Sequence[int],
        paths: Sequence[str],
    ) -> None:
        self._rows = rows.copy()
        self._sizes = np.array(sizes, np.float64)
        # What is measured on a part of a parameter stands for all of it.
        part = np.maximum(traced, 1)
        self._rows[:, (STEP2, LOST)] *= (self._sizes / part)[:, None]
        self._groups = np.array(groups)
        self._paths = paths

    @cached_property
    def total(self) -> StepStats:
        """Of all parameters together."""
        return self._of(np.arange(len(self._rows)))

    @cached_property
    def groups(self) -> tuple[StepStats, ...]:
        """Of each group."""
        count = int(self._groups.max()) + 1
        return tuple(self._of(np.flatnonzero(self._groups == i)) for i in range(count))

    @cached_property
    def tensors(self) -> dict[str, StepStats]:
        """Of each parameter, by its path as in ``opt.state``."""
        return {path: self._of(np.array([i])) for i, path in enumerate(self._paths)}

    def _of(self, which: NDArray[np.intp]) -> StepStats:
        rows, sizes = self._rows[which], self._sizes[which]
        if np.isnan(rows[:, DIVISOR]).any():
            return StepStats(*[math.nan] * 8)
        seen = rows[:, DIVISOR] != 0  # those that had a gradient
        if not seen.any():
            return StepStats(*[math.nan] * 8)
        rows, sizes = rows[seen], sizes[seen]
        rows[:, DOT] *= np.sign(rows[:, DIVISOR])
        with np.errstate(all="ignore"):
            sums = np.add.accumulate(rows, axis=0)[-1]  # one after the other
            step, param = np.sqrt(sums[STEP2]), np.sqrt(sums[PARAM2])
            turned = sums[DOT_GRAD2] * sums[TRACE2]
            return StepStats(
                grad_norm=float(np.sqrt(sums[GRAD2]) / abs(rows[0, DIVISOR])),
                step_norm=float(step),
                param_norm=float(param),
                ratio=float(step / param),
                cos=float(sums[DOT] / np.sqrt(turned)) if turned != 0 else math.nan,
                clip=float(rows[:, CLIP].min()),
                nonfinite=int(sums[NONFINITE]),
                lost=float(sums[LOST] / sizes.sum()),
            )

    def __repr__(self) -> str:
        return f"<Stats of {len(self._paths)} arrays: {self.total}>"
