"""LRFinder: a range test as ask and tell, for any loop; it knows no optimizer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._domain import Interval
from .._hyper import POSITIVE, check_value

if TYPE_CHECKING:
    from .find import LRFindResult

__all__ = ["LRFinder", "Sweep", "check_range"]

Floats = NDArray[np.float64]

STEPS = Interval(10, math.inf, closed_high=False, integer=True)
REPEATS = Interval(1, math.inf, closed_high=False, integer=True)
#: A loss this many times that of the start, twice in three updates, has exploded; so has one that
#: is that many times larger still.
EXPLODED, AT_ONCE = 4.0, 25.0


def check_range(who: str, start: Any, end: Any, steps: Any) -> tuple[float, float, int]:
    """The ends of a range of rates and the number of updates, or an error."""
    start = check_value(who, "start", start, POSITIVE)
    end = check_value(who, "end", end, POSITIVE)
    if not start < end:
        raise ValueError(f"{who}: end must be above start, {start}, got {end}")
    return start, end, check_value(who, "steps", steps, STEPS)


class Sweep:
    """Updates one after the other: what was told of each, and whether the loss exploded.

    The loss of the start and its spread are those of the first updates, or told.
    """

    def __init__(self, level: float = math.nan, spread: float = 0.0) -> None:
        self._level, self._spread = level, spread
        self.losses: list[float] = []
        self.afters: list[float] = []
        self.slopes: list[float] = []
        self.stopped: str | None = None

    def tell(self, lr: float, loss: float, after: float, slope: float) -> None:
        """Take down an update; notice an explosion."""
        self.losses.append(loss)
        self.afters.append(after)
        self.slopes.append(slope)
        if not math.isfinite(loss):
            self.stopped = f"the loss was {loss} at the rate {lr:.3g}"
        elif self._high(loss) > AT_ONCE or (
            self._high(loss) > 1 and any(self._high(x) > 1 for x in self.losses[-3:-1])
        ):
            self.stopped = f"the loss exploded, to {loss:.3g}, at the rate {lr:.3g}"
        elif after == after and not math.isfinite(after):
            self.stopped = f"the loss was {after} after the update at the rate {lr:.3g}"

    def _high(self, loss: float) -> float:
        """How far above the start a loss is, 1 being where it counts as exploded."""
        level, spread = self._level, self._spread
        if math.isnan(level):
            first = self.losses[: max(3, len(self.losses) // 4)]
            level, spread = float(np.median(first)), float(np.ptp(first))
        scale = (EXPLODED - 1) * abs(level) + 6 * spread
        return (loss - level) / scale if scale > 0 else (math.inf if loss > level else 0.0)


class LRFinder:
    """A range test for any loop: ask for a rate, make an update with it, tell the loss.

    The rate rises from `start` to `end` in equal factors. The finder keeps only numbers; whoever
    makes the updates puts the model back afterwards (`Restored` does).

    Parameters
    ----------
    start, end : float in (0, inf), default 1e-7 and 10
        The first rate and the last.
    steps : int >= 10, default 100
        Updates from `start` to `end`. With gradient accumulation an update is one, however many
        micro-batches it is made of.
    repeats : int >= 1, default 1
        Sweeps, each with other batches and from the same state: put the model back wherever
        `begins` is True. Several show by how much the answer varies.
    rule : str or Optimizer, optional
        The optimizer, such as ``"Adam"``: by what factor the rate where updates begin to fail is
        above a good one depends on it. None: a middle value is taken, and the interval is wider.

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
        rule: Any = None,
    ) -> None:
        self._start, self._end, self._steps = check_range("LRFinder", start, end, steps)
        self._repeats = check_value("LRFinder", "repeats", repeats, REPEATS)
        from .family import named

        self._family = None if rule is None else named("LRFinder", rule)
        grid = np.geomspace(self._start, self._end, self._steps)
        grid[[0, -1]] = self._start, self._end
        self._grid: Floats = grid
        self._sweeps: list[Sweep] = []
        self._asked = False

    @property
    def done(self) -> bool:
        """Whether all sweeps have been made or were stopped."""
        return len(self._sweeps) == self._repeats and self._over

    @property
    def begins(self) -> bool:
        """Whether the next rate is the first of a sweep: put the model back before."""
        return not self.done and (not self._sweeps or self._over)

    @property
    def _over(self) -> bool:
        if not self._sweeps:
            return False
        last = self._sweeps[-1]
        return last.stopped is not None or len(last.losses) == self._steps

    def ask(self) -> float:
        """Return the rate of the next update; the same until `tell` is called.

        Raises
        ------
        RuntimeError
            The finder is done.
        """
        if self.done:
            raise RuntimeError("LRFinder.ask: must not be called after done, got a finder that is")
        if self.begins:
            self._sweeps.append(Sweep())
        self._asked = True
        return float(self._grid[len(self._sweeps[-1].losses)])

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
        sweep = self._sweeps[-1]
        sweep.tell(float(self._grid[len(sweep.losses)]), *values)

    def result(self) -> LRFindResult:
        """Return what the sweeps so far say; never raises for want of an answer."""
        from .find import of_sweeps

        return of_sweeps(self._grid, self._sweeps, self._family)


def _number(name: str, x: Any) -> float:
    try:
        return float(x)
    except (TypeError, ValueError):
        raise TypeError(f"LRFinder.tell: {name} must be a number, got {type(x).__name__}") from None
