"""The values a parameter may have: one object for the check, the message and the docs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np

__all__ = ["Choice", "Instance", "Interval", "Items", "OneOf"]


class Interval:
    """An interval of numbers; with `integer`, of whole numbers.

    NaN and booleans are never inside, and infinity only where an end that is infinite is closed.

    Parameters
    ----------
    low, high : float
        The ends; ``-math.inf`` and ``math.inf`` for none.
    closed_low, closed_high : bool, default True
        Whether the ends belong to the interval. An infinite end that is not meant to be a value
        is written open.
    integer : bool, default False
        Whole numbers only; 3.0 is not one.
    optional : bool, default False
        Whether None, for a value that is left out, is allowed, too.

    Examples
    --------
    >>> print(Interval(0, 1, closed_high=False))
    in [0, 1)
    >>> print(Interval(1, math.inf, integer=True))
    an integer >= 1
    >>> Interval(0, 1, closed_high=False).check("AdamW", "betas[0]", 1.0)
    Traceback (most recent call last):
        ...
    ValueError: AdamW: betas[0] must be in [0, 1), got 1.0
    """

    __slots__ = ("closed_high", "closed_low", "high", "integer", "low", "optional")

    def __init__(
        self,
        low: float,
        high: float,
        closed_low: bool = True,
        closed_high: bool = True,
        integer: bool = False,
        optional: bool = False,
    ) -> None:
        self.low = low
        self.high = high
        self.closed_low = closed_low
        self.closed_high = closed_high
        self.integer = integer
        self.optional = optional

    def __contains__(self, value: object) -> bool:
        kind = Integral if self.integer else Real
        if not isinstance(value, kind) or isinstance(value, bool):
            return False
        number: Any = value
        above = number >= self.low if self.closed_low else number > self.low
        below = number <= self.high if self.closed_high else number < self.high
        return bool(above and below)

    def check(self, who: str, name: str, value: Any) -> Any:
        """Return `value` as a Python int or float, or None; or say what it must be.

        Parameters
        ----------
        who, name : str
            Class and parameter, as the message names them.
        value : object
            Any real number, a NumPy scalar included.

        Returns
        -------
        int, float or None
            An int where the interval is one of integers; None where that is given and allowed.

        Raises
        ------
        TypeError
            The value is not a number (a bool is not one).
        ValueError
            It is a number outside the interval.
        """
        if value is None and self.optional:
            return None
        if not isinstance(value, Real) or isinstance(value, bool):
            text = str(self) if self.integer else self._or_none(f"a number {self._ends()}")
            raise TypeError(f"{who}: {name} must be {text}, got {value!r}")
        plain = int(value) if isinstance(value, Integral) else float(value)
        if plain not in self:
            raise ValueError(f"{who}: {name} must be {self}, got {plain!r}")
        if self.integer:
            return plain
        try:
            return float(plain)
        except OverflowError:
            raise ValueError(f"{who}: {name} must fit a float64") from None

    def __str__(self) -> str:
        return self._or_none(self._ends())

    def _or_none(self, text: str) -> str:
        return f"None or {text}" if self.optional else text

    def _ends(self) -> str:
        low, high = _text(self.low), _text(self.high)
        if self.integer and math.isinf(self.high):
            if math.isinf(self.low):
                return "an integer"
            return f"an integer {'>=' if self.closed_low else '>'} {low}"
        if self.integer and self.closed_low and self.closed_high and self.high - self.low == 1:
            return f"{low} or {high}"
        left, right = "(["[self.closed_low], ")]"[self.closed_high]
        return f"{'an integer ' if self.integer else ''}in {left}{low}, {high}{right}"

    def __repr__(self) -> str:
        return (
            f"Interval({self.low!r}, {self.high!r}, closed_low={self.closed_low}, "
            f"closed_high={self.closed_high}, integer={self.integer}, optional={self.optional})"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interval) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class OneOf:
    """One of some names, or None for the first.

    Parameters
    ----------
    *names : str
        In the order of their numbers 0, 1, ... in C.

    Examples
    --------
    >>> print(OneOf("original", "match_rms_adamw"))
    "original", "match_rms_adamw" or None
    """

    __slots__ = ("names",)

    def __init__(self, *names: str) -> None:
        self.names = names

    def check(self, who: str, name: str, value: Any) -> str | None:
        """Return `value`, or say what it must be."""
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{who}: {name} must be {self}, got {value!r}")
        if value is not None and value not in self.names:
            raise ValueError(f"{who}: {name} must be {self}, got {value!r}")
        return value

    def number(self, value: str | None) -> float:
        """The number of a name."""
        return 0.0 if value is None else float(self.names.index(value))

    def __str__(self) -> str:
        return ", ".join(f'"{name}"' for name in self.names) + " or None"


def _text(end: float) -> str:
    if end in (2**53, 2**64):  # up to which float64 has no gap, and what 64 bits do not hold
        return f"2**{int(end).bit_length() - 1}"
    return str(int(end)) if end == end // 1 and abs(end) < 1e15 else repr(end)


class Choice:
    """One of a few values, by what it is called; in C it is its place among them."""

    def __init__(self, *choices: str | int) -> None:
        self.choices = choices

    def check(self, who: str, name: str, value: Any) -> Any:
        """Return the choice that `value` is, as a plain value, or raise TypeError or ValueError."""
        kind = type(self.choices[0])
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise TypeError(f"{who}: {name} must be {self}, got {value!r}")
        if value not in self.choices:
            raise ValueError(f"{who}: {name} must be {self}, got {value!r}")
        return value

    def __str__(self) -> str:
        *first, last = (repr(choice).replace("'", '"') for choice in self.choices)
        return f"{', '.join(first)} or {last}"


class Instance:
    """Objects that are `what`, as `test` tells them."""

    def __init__(self, what: str, test: Callable[[object], bool]) -> None:
        self.what = what
        self.test = test

    def check(self, who: str, name: str, value: Any) -> Any:
        """Return `value`, or raise TypeError."""
        if not self.test(value):
            raise TypeError(f"{who}: {name} must be {self.what}, got {value!r}")
        return value


class Items:
    """Lists of `item`, kept as tuples."""

    def __init__(self, item: Interval | Instance, increasing: bool = False) -> None:
        self.item = item
        self.increasing = increasing

    def check(self, who: str, name: str, value: Any) -> tuple[Any, ...]:
        """Return the items, each checked, or raise TypeError or ValueError."""
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise TypeError(f"{who}: {name} must be a list, got {value!r}")
        items = tuple(self.item.check(who, f"{name}[{i}]", x) for i, x in enumerate(value))
        if self.increasing and any(b <= a for a, b in pairwise(items)):
            raise ValueError(f"{who}: {name} must be increasing, got {list(items)}")
        return items
