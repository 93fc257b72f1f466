"""Updates of an optimizer at rates that are told, and what each did: the hands of the finder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import _core
from ..._optimizer import Optimizer
from ..._schedule import Schedule
from ..restore import Batches

__all__ = ["Loop", "Update"]

Grads = list[Any]


class Update(NamedTuple):
    """What an update measured: losses before and after, gradient times step; NaN where not."""

    loss: float
    after: float = math.nan
    slope: float = math.nan


class Loop:
    """The training of one optimizer, one update at a call.

    Parameters
    ----------
    who : str
        What errors begin with.
    opt, loss_and_grads, batches
        As `lr_find` takes them.
    loss_only : callable or None
        The loss of a batch without gradients.
    accumulate : int
        Micro-batches of an update.
    """

    def __init__(
        self,
        who: str,
        opt: Optimizer,
        loss_and_grads: Callable[[Any], Any],
        batches: Any,
        loss_only: Callable[[Any], Any] | None,
        accumulate: int,
    ) -> None:
        self._who, self._opt, self._both, self._forward = who, opt, loss_and_grads, loss_only
        self._given, self.micro = batches, accumulate
        self.stream = Batches(who, batches)
        first = _rates(opt)[0]
        self._ratios = [x / first if first > 0 else 1.0 for x in _rates(opt)]
        #: Passes made: forward and backward, and forward alone.
        self.full, self.forward = 0, 0
        #: Of what is minimised: -1 where the loss is to rise.
        self.sign = -1.0 if opt.param_groups[0]["maximize"] else 1.0

    @property
    def forward_costs(self) -> bool:
        """Whether a loss alone costs as much as one with gradients."""
        return self._forward is None

    def rewind(self, updates: int) -> None:
        """Begin the data anew, and leave out what some updates would take."""
        self.stream.close()
        self.stream = Batches(self._who, self._given)
        for _ in range(updates * self.micro):
            next(self.stream)

    def update(self, lr: float, *, measured: bool) -> Update:
        """Make an update at a rate; where it cannot be made the loss after it is infinite."""
        opt = self._opt
        for group, ratio in zip(opt.param_groups, self._ratios, strict=True):
            group[opt.rate_name] = lr * ratio
        batches = [next(self.stream) for _ in range(self.micro)]
        total, mean = 0.0, []
        for batch in batches:
            loss, grads = self._evaluate(batch)
            total += loss / self.micro
            if not math.isfinite(loss):
                return Update(self.sign * total)
            with opt._alone() as _:
                arrays = opt._plan.collect(grads)
            if measured:
                mean.append([_copy(g) for g in arrays])
            if self.micro > 1:
                opt.accumulate(grads)
        before = [leaf.array.copy() for leaf in opt._layout.leaves] if measured else []
        scale = opt.loss_scale * self.micro
        try:
            with np.errstate(all="ignore"):
                made = opt.step(*([] if self.micro > 1 else [grads]), loss=total)
        except _core.NonFiniteError:
            made = False
        if not made:
            opt.drop()
            return Update(self.sign * total, math.inf)
        if not measured:
            return Update(self.sign * total)
        with np.errstate(all="ignore"):
            steps = [
                leaf.array.astype(np.float64) - p
                for leaf, p in zip(opt._layout.leaves, before, strict=True)
            ]
            slope = sum(_dot(g, s) for row in mean for g, s in zip(row, steps, strict=True)) / scale
        after = sum(self.loss(batch) for batch in batches) / self.micro
        return Update(self.sign * total, self.sign * after, self.sign * float(slope))

    def loss(self, batch: Any) -> float:
        """The loss of a batch, by the cheaper way there is."""
        if self._forward is None:
            return self._evaluate(batch)[0]
        self.forward += 1
        with np.errstate(all="ignore"):  # a rate that is too high is no accident here
            made = self._forward(batch)
        return self._number(made, "loss_only must return a number")

    def _evaluate(self, batch: Any) -> tuple[float, Any]:
        self.full += 1
        with np.errstate(all="ignore"):
            made = self._both(batch)
        if not isinstance(made, (tuple, list)) or len(made) != 2:
            raise TypeError(
                f"{self._who}: loss_and_grads must return a loss and gradients, "
                f"got {type(made).__name__}"
            )
        return self._number(made[0], "loss_and_grads must return a number as the loss"), made[1]

    def _number(self, x: Any, what: str) -> float:
        try:
            return float(x)
        except (TypeError, ValueError):
            raise TypeError(f"{self._who}: {what}, got {type(x).__name__}") from None


def _rates(opt: Optimizer) -> list[float]:
    """The rate of each group at the next update."""
    values = [group[opt.rate_name] for group in opt.param_groups]
    return [float(v(opt.t) if isinstance(v, Schedule) else v) for v in values]


def _copy(g: Any) -> Any:
    """A gradient that stays as it is."""
    if g is None:
        return None
    if isinstance(g, tuple):
        return tuple(np.array(x) for x in g)
    return np.array(g)


def _dot(g: Any, step: np.ndarray[Any, Any]) -> float:
    """The product of a gradient, of all rows or of some, and a step."""
    if g is None:
        return 0.0
    if isinstance(g, tuple):
        rows, values = g
        return float(np.vdot(values.astype(np.float64), step[rows]))
    return float(np.vdot(g.astype(np.float64), step))
