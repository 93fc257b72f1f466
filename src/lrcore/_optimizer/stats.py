"""What a step measured: norms, ratios and what was lost, by tensor, by group and over all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._core import STATS
from ..reference.stats import (
    CLIP,
    DIVISOR,
    DOT,
    DOT_GRAD2,
    GRAD2,
    LOST,
    NONFINITE,
    PARAM2,
    SLOPE,
    STEP2,
    TRACE2,
)

__all__ = ["Stats", "StepStats"]


@dataclass(frozen=True)
class StepStats:
    """What the last step measured of some parameters, as 2-norms and shares.

    NaN before the first step, and of parameters that had no gradient; those do not count where
    several are taken together. After a step that was refused only `grad_norm` and `nonfinite` tell
    something.

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
    slope : float
        The inner product of the gradient, scaled as in `grad_norm`, and what the step added to the
        parameters: the change of the loss that the gradient predicts of this step, below 0 where
        it goes downhill. What the loss of the same batch really changed by is, divided by `slope`,
        the gain ratio: 1 for a small step, 0.5 at the best one of a parabola, below 0 where the
        loss rose. With `maximize` the gradient's sign is turned; see below.
    clip : float
        The factor that ``clip_norm`` scaled the gradients by; 1.0 where it did not, the smallest
        where groups differ.
    nonfinite : int
        Gradients that are inf or NaN; 0 where there were none to look at.
    lost : float
        Share of the elements that did not move though their gradient is not zero. To nearest, what
        rounding to the storage of the parameters ate; stochastically, it is as large and harmless:
        what stays in most steps moves by a whole place in some. See below.

    Notes
    -----
    What a step did is kept until the next one, for `cos`. Where all parameters together have more
    than 2**20 elements this is done for every sixteenth run of 8192 elements of each, from its
    first; `step_norm`, `ratio`, `cos`, `slope` and `lost` are then estimates from these.

    Squares are summed over strips of 1024 elements in the dtype of the arithmetic. In float32 those
    of numbers below 1e-19 vanish and those above 1e19 overflow; the norm that ``clip_norm`` uses,
    ``opt.grad_norm``, is summed in float64.
    """

    grad_norm: float
    step_norm: float
    param_norm: float
    ratio: float
    cos: float
    slope: float
    clip: float
    nonfinite: int
    lost: float


#: What a StepStats holds.
FIELDS = tuple(StepStats.__dataclass_fields__)


class Stats(Mapping[str, StepStats]):
    """What the last step measured. A snapshot: later steps do not change it.

    A mapping from the path of each parameter, as in ``opt.state``, to its `StepStats`; what those
    have as attributes, this has for all parameters together (``stats.ratio``). Norms are sums in a
    fixed order, so that they are the same bits wherever the step is.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> params = {"w": np.full(2, 8.0), "b": np.zeros(1)}
    >>> opt = lrcore.SGD(params, lr=0.5, stats=True)
    >>> opt.step({"w": np.array([3.0, 4.0]), "b": np.array([12.0])})
    True
    >>> opt.stats.grad_norm, opt.stats["w"].grad_norm, opt.stats.groups[0].step_norm
    (13.0, 5.0, 6.5)
    """

    def __init__(
        self,
        rows: NDArray[np.float64],
        sizes: Sequence[int],
        traced: Sequence[int],
        groups: Sequence[int],
        paths: Sequence[str],
        count: int,
    ) -> None:
        self._sizes = np.array(sizes, np.float64)
        # Without a row a parameter is like one that had no gradient.
        self._rows = np.where(np.isnan(rows[:, DIVISOR:]), 0.0, rows)
        # What is measured on a part of a parameter stands for all of it.
        part = np.maximum(traced, 1)
        self._rows[:, (STEP2, SLOPE, LOST)] *= (self._sizes / part)[:, None]
        self._rows[:, (DOT, SLOPE)] *= np.sign(self._rows[:, DIVISOR])[:, None]
        self._groups = np.array(groups)
        self._paths, self._count = paths, count

    @cached_property
    def total(self) -> StepStats:
        """Of all parameters together."""
        return self._together([np.full(len(self._rows), True)])[0]

    @cached_property
    def groups(self) -> tuple[StepStats, ...]:
        """Of each group."""
        return tuple(self._together([self._groups == i for i in range(self._count)]))

    @cached_property
    def tensors(self) -> dict[str, StepStats]:
        """Of each parameter, by its path as in ``opt.state``."""
        return dict(zip(self._paths, _read(self._rows, self._sizes), strict=True))

    def _together(self, which: list[NDArray[np.bool_]]) -> list[StepStats]:
        """Of some parameters together, for each of several choices of them."""
        sums, sizes = np.zeros((len(which), len(STATS))), np.zeros(len(which))
        for out, members in enumerate(which):
            seen = members & (self._rows[:, DIVISOR] != 0)  # those that had a gradient
            if seen.any():
                rows = self._rows[seen]
                with np.errstate(all="ignore"):
                    sums[out] = np.add.accumulate(rows, axis=0)[-1]  # one after the other
                sums[out, CLIP] = rows[:, CLIP].min()
                sums[out, DIVISOR] = rows[0, DIVISOR]
                sizes[out] = self._sizes[seen].sum()
        return _read(sums, sizes)

    def __getitem__(self, path: str) -> StepStats:
        return self.tensors[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __getattr__(self, name: str) -> Any:
        if name in FIELDS:
            return getattr(self.total, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<Stats of {len(self._paths)} arrays: {self.total}>"


def _read(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> list[StepStats]:
    """What rows of sums say, those of 0 nothing; `sizes` are the elements of each."""
    with np.errstate(all="ignore"):
        step, param = np.sqrt(sums[:, STEP2]), np.sqrt(sums[:, PARAM2])
        turned = sums[:, DOT_GRAD2] * sums[:, TRACE2]
        columns = (
            np.sqrt(sums[:, GRAD2]) / abs(sums[:, DIVISOR]),
            step,
            param,
            step / param,
            np.where(turned != 0, sums[:, DOT] / np.sqrt(turned), np.nan),
            sums[:, SLOPE] / abs(sums[:, DIVISOR]),
            sums[:, CLIP].copy(),
            sums[:, NONFINITE].astype(np.int64),
            sums[:, LOST] / sizes,
        )
    for column in (*columns[:-2], columns[-1]):
        column[sums[:, DIVISOR] == 0] = np.nan
    nan: Any = math.nan  # one for all, so that what is equal compares equal
    rows = zip(*(x.tolist() for x in columns), strict=True)
    return [StepStats(*(x if x == x else nan for x in row)) for row in rows]
