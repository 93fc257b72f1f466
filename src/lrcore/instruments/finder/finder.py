"""LRFinder: a range test as ask and tell, for any loop; it knows no optimizer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._domain import Interval
from ..._hyper import COUNT, POSITIVE, check_value
from .family import named
from .judge import Round

if TYPE_CHECKING:
    from .find import LRFindResult

__all__ = ["LRFinder", "check_range"]

Floats = NDArray[np.float64]

STEPS = Interval(10, math.inf, closed_high=False, integer=True)
REPEATS = Interval(1, math.inf, closed_high=False, integer=True)


def check_range(who: str, start: Any, end: Any, steps: Any) -> tuple[float, float, int]:
    """The ends of a range of rates and the number of updates, or an error."""
    start = check_value(who, "start", start, POSITIVE)
    end = check_value(who, "end", end, POSITIVE)
    if not start < end:
        raise ValueError(f"{who}: end must be above start, {start}, got {end}")
    return start, end, check_value(who, "steps", steps, STEPS)


class LRFinder:
    """A range test for any loop: ask for a rate, make an update with it, tell the loss.

    The rate rises from `start` to `end` in equal factors. The finder keeps only numbers; whoever
    makes the updates puts the model back afterwards (`lrcore.instruments.restore.Restored` does,
    for torch too).

    Parameters
    ----------
    start, end : float in (0, inf), default 1e-7 and 10
        The first rate and the last.
    steps : int >= 10, default 100
        Updates from `start` to `end`. With gradient accumulation an update is one, however many
        micro-batches it is made of.
    repeats : int >= 1, default 1
        Sweeps, each with other batches and from the same state: the model is to be put back
        wherever `begins` is True. Several show by how much the answer varies.
    short : int >= 0, default 0
        Updates of short trainings after each sweep, which make the answer much more accurate; 150
        are enough. The model is to be put back, and the data begun anew, wherever `begins` is True.
    rule : str or Optimizer, optional
        The optimizer, of this library or of torch, or its name, such as ``"Adam"``: by what factor
        the rate where updates begin to fail is above a good one depends on it. A name stands for
        the default hyper-parameters, such as no momentum. None: a middle value is taken, and the
        interval is wider.

    Examples
    --------
    >>> import lrcore
    >>> x = 4.0  # of the loss x * x, whose gradient is 2 x; a gradient descent diverges above 1.0
    >>> finder = lrcore.LRFinder(start=1e-4, end=100.0, rule="SGD")
    >>> while not finder.done:
    ...     lr, loss, g = finder.ask(), x * x, 2 * x
    ...     x -= lr * g
    ...     finder.tell(loss, slope=-lr * g * g, loss_after=x * x)
    >>> 0.05 < finder.result().suggested < 1.0
    True
    """

    def __init__(
        self,
        *,
        start: float = 1e-7,
        end: float = 10.0,
        steps: int = 100,
        repeats: int = 1,
        short: int = 0,
        rule: Any = None,
    ) -> None:
        self._start, self._end, self._steps = check_range("LRFinder", start, end, steps)
        self._repeats = check_value("LRFinder", "repeats", repeats, REPEATS)
        self._short = check_value("LRFinder", "short", short, COUNT)
        self._family = None if rule is None else named("LRFinder", rule)
        grid = np.geomspace(self._start, self._end, self._steps)
        grid[[0, -1]] = self._start, self._end
        self._grid: Floats = grid
        self._rounds: list[Round] = []
        self._asked = False

    @property
    def done(self) -> bool:
        """Whether all sweeps have been made or were stopped, and what follows them."""
        return len(self._rounds) == self._repeats and self._rounds[-1].over

    @property
    def begins(self) -> bool:
        """Whether the next update is the first of a sweep or of a short training.

        Put the model back then, and begin the data anew; that of a repeat with other batches.
        """
        if not self._rounds or self._rounds[-1].over:
            return not self.done
        return self._rounds[-1].begins

    @property
    def sweeping(self) -> bool:
        """Whether the next update is of a sweep: where `slope` and `loss_after` tell something."""
        return not self._rounds or self._rounds[-1].over or self._rounds[-1].sweeping

    @property
    def repeat(self) -> int:
        """Which repeat the next update belongs to, from 0."""
        return len(self._rounds) - (
            not self.done and bool(self._rounds) and not self._rounds[-1].over
        )

    def ask(self) -> float:
        """Return the rate of the next update; the same until `tell` is called.

        Raises
        ------
        RuntimeError
            The finder is done.
        """
        if self.done:
            raise RuntimeError("LRFinder.ask: must not be called after done, got a finder that is")
        if not self._rounds or self._rounds[-1].over:
            self._rounds.append(Round(self._grid, self._family, self._short))
        self._asked = True
        return self._rounds[-1].rate

    def tell(
        self, loss: float, *, slope: float | None = None, loss_after: float | None = None
    ) -> None:
        """Tell what the update did.

        Parameters
        ----------
        loss : float
            Of the batch, before the update; NaN and inf end the sweep.
        slope : float, optional
            The inner product of gradient and step, the step being what the update added to the
            parameters; below 0 downhill.
        loss_after : float, optional
            Of the same batch, after the update. With `slope` this gives the gain ratio
            ``(loss_after - loss) / slope``, which needs no smoothing.

        Raises
        ------
        RuntimeError
            `ask` has not been called since the last `tell`.
        TypeError
            Something is not a number.
        """
        if not self._asked:
            raise RuntimeError("LRFinder.tell: must follow ask, got a rate that was not asked for")
        values = [
            math.nan if x is None else _number(name, x)
            for name, x in (("loss", loss), ("loss_after", loss_after), ("slope", slope))
        ]
        self._asked = False
        self._rounds[-1].tell(*values)

    def result(self) -> LRFindResult:
        """Return what was found so far; never raises for want of an answer.

        Before `done` it is not reliable, and its first reason says so.
        """
        from .find import LRFindResult

        told = [r for r in self._rounds if r.sweep.losses]
        found = LRFindResult.of(self._grid, told, "gain")
        if self.done:
            return found
        early = "the test is not over: higher rates are still to be tried"
        return replace(found, reliable=False, reasons=(early, *found.reasons))


def _number(name: str, x: Any) -> float:
    try:
        return float(x)
    except (TypeError, ValueError):
        raise TypeError(f"LRFinder.tell: {name} must be a number, got {type(x).__name__}") from None
