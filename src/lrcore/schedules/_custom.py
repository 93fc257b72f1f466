"""Schedules made of a user's function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, NoReturn

from .._schedule import FUNCTION, Schedule

__all__ = ["Lambda"]


class Lambda(Schedule, kind="lambda", function=FUNCTION):
    """Any function of the update: function(t).

    Parameters
    ----------
    function : callable, int -> float
        Called with the index of the update, warm-up included. It should be pure: it may be called
        any number of times, in any order. What it raises reaches the caller.
    warmup : int >= 0, default 0
        Updates of linear warm-up, in place of the first values.
    warmup_start : float, default 0.0
        Value of update 0 where there is a warm-up.

    Notes
    -----
    Pickles where `function` does. It has no `to_dict`, and its `repr` does not evaluate.

    Examples
    --------
    >>> Lambda(lambda t: 1 / (t + 1))(range(4)).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    """

    function: Callable[[int], float]

    def __init__(
        self, function: Callable[[int], float], *, warmup: int = 0, warmup_start: float = 0.0
    ) -> None:
        self._set(function=function, warmup=warmup, warmup_start=warmup_start)

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
