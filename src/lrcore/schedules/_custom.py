"""Schedules made of a user's function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, NoReturn

from .._schedule import FUNCTION, RATE, Schedule

__all__ = ["Lambda", "from_epochs"]


class Lambda(Schedule, kind="lambda", function=FUNCTION):
    """Any function of the update.

    Parameters
    ----------
    function : callable, int -> float
        Called with the index of the update, warm-up included. It should be pure: it may be called
        any number of times, in any order. What it raises reaches the caller.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    See Also
    --------
    from_epochs : of a function (epoch, lr) -> lr.

    Notes
    -----
    ``function(t)``. Pickles where `function` does. It has no `to_dict`, and its `repr` does not
    evaluate.

    Examples
    --------
    >>> Lambda(lambda t: 1 / (t + 1))(range(4)).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    """

    function: Callable[[int], float]

    def __init__(
        self,
        function: Callable[[int], float],
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            function=function,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )

    @property
    def _callback(self) -> Callable[[int], float]:
        return partial(_call, self.function)

    def to_dict(self) -> NoReturn:
        """Raise: a function cannot be written down."""
        raise TypeError("Lambda: a Python function cannot be put in a dict; pickle the schedule")


def _call(function: Callable[[int], Any], t: int) -> float:
    """What the function of a Lambda returned, if it is a number."""
    value = function(t)
    if type(value) is not float and not isinstance(value, Real):
        raise TypeError(f"Lambda: function({t}) must return a number, got {value!r}")
    return float(value)


def from_epochs(
    function: Callable[[int, float], float], lr: float, steps_per_epoch: int = 1
) -> Schedule:
    """Make a schedule of a function from the epoch and the rate before it to the rate.

    Parameters
    ----------
    function : callable, (int, float) -> float
        Called once for each epoch, in order from 0, with the value it returned for the epoch
        before. It should be pure. What it raises reaches the caller.
    lr : float in [0, inf)
        What it gets for the rate before epoch 0.
    steps_per_epoch : int >= 1, default 1
        Updates in an epoch.

    Returns
    -------
    Schedule
        ``Lambda(...).every(steps_per_epoch)``. The form is recursive, so the value of an epoch
        needs those of all before it; they are kept, 8 bytes an epoch.

    Examples
    --------
    >>> def halve_from_two_on(epoch, lr):
    ...     return lr if epoch < 2 else lr * 0.5
    >>> from_epochs(halve_from_two_on, 0.4, steps_per_epoch=2)(range(8)).tolist()
    [0.4, 0.4, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    """
    FUNCTION.check("from_epochs", "function", function)
    start: float = RATE.check("from_epochs", "lr", lr)
    return Lambda(_Epochs(function, start)).every(steps_per_epoch)


class _Epochs:
    """A function (epoch, lr) -> lr as one of the epoch alone."""

    def __init__(self, function: Callable[[int, float], float], lr: float) -> None:
        self.function = function
        self.lr = lr
        self._known: list[float] = []

    def __call__(self, epoch: int) -> float:
        known = self._known
        while len(known) <= epoch:
            i, before = len(known), known[-1] if known else self.lr
            value: Any = self.function(i, before)
            if not isinstance(value, Real):
                raise TypeError(
                    f"from_epochs: function({i}, {before}) must return a number, got {value!r}"
                )
            known.append(float(value))
        return known[epoch]

    def __reduce__(self) -> tuple[Any, ...]:
        return _Epochs, (self.function, self.lr)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Epochs) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        return hash((self.function, self.lr))

    def __repr__(self) -> str:
        return f"from_epochs({self.function!r}, lr={self.lr!r})"
