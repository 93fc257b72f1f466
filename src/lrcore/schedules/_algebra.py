"""Schedules made of the values of schedules."""

from __future__ import annotations

from .._schedule import NUMBER, SCHEDULE, Schedule, as_schedule

__all__ = [
    "Clip",
    "Maximum",
    "Minimum",
    "Product",
    "Scale",
    "Sum",
    "maximum",
    "minimum",
]


class Scale(Schedule, kind="scale", schedule=SCHEDULE, factor=NUMBER):
    """A schedule times a number; what ``s * 0.1`` makes.

    Parameters
    ----------
    schedule : Schedule
        With its own warm-up, which is scaled too.
    factor : float
        Any finite number.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``schedule(t) factor``.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> s = Linear(1.0, steps=4) * 2
    >>> s(range(5)).tolist()
    [2.0, 1.5, 1.0, 0.5, 0.0]
    """

    schedule: Schedule
    factor: float

    def __init__(
        self,
        schedule: Schedule,
        factor: float,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            schedule=schedule,
            factor=factor,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Sum(Schedule, kind="sum", first=SCHEDULE, second=SCHEDULE):
    """One schedule plus another; what ``a + b`` makes.

    Parameters
    ----------
    first, second : Schedule
        Each with its own warm-up.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``first(t) + second(t)``.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> (Linear(1.0, steps=2) + 0.5)(range(3)).tolist()
    [1.5, 1.0, 0.5]
    """

    first: Schedule
    second: Schedule

    def __init__(
        self,
        first: Schedule,
        second: Schedule,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            first=first,
            second=second,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Product(Schedule, kind="product", first=SCHEDULE, second=SCHEDULE):
    """One schedule times another; what ``a * b`` makes.

    Parameters
    ----------
    first, second : Schedule
        Each with its own warm-up.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``first(t) second(t)``.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> (Linear(1.0, steps=2) * Linear(1.0, steps=4))(range(3)).tolist()
    [1.0, 0.375, 0.0]
    """

    first: Schedule
    second: Schedule

    def __init__(
        self,
        first: Schedule,
        second: Schedule,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            first=first,
            second=second,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Minimum(Schedule, kind="minimum", first=SCHEDULE, second=SCHEDULE):
    """The lower of two schedules; see `minimum`.

    Parameters
    ----------
    first, second : Schedule
        Each with its own warm-up.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``min(first(t), second(t))``; NaN is passed on.

    Examples
    --------
    >>> from lrcore.schedules import Constant, Linear
    >>> Minimum(Linear(1.0, steps=4), Constant(0.5))(range(5)).tolist()
    [0.5, 0.5, 0.5, 0.25, 0.0]
    """

    first: Schedule
    second: Schedule

    def __init__(
        self,
        first: Schedule,
        second: Schedule,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            first=first,
            second=second,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Maximum(Schedule, kind="maximum", first=SCHEDULE, second=SCHEDULE):
    """The higher of two schedules; see `maximum`.

    Parameters
    ----------
    first, second : Schedule
        Each with its own warm-up.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``max(first(t), second(t))``; NaN is passed on.

    Examples
    --------
    >>> from lrcore.schedules import Constant, Linear
    >>> Maximum(Linear(1.0, steps=4), Constant(0.5))(range(5)).tolist()
    [1.0, 0.75, 0.5, 0.5, 0.5]
    """

    first: Schedule
    second: Schedule

    def __init__(
        self,
        first: Schedule,
        second: Schedule,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            first=first,
            second=second,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Clip(Schedule, kind="clip", schedule=SCHEDULE, low=NUMBER, high=NUMBER):
    """A schedule between two bounds; what ``s.clip(low, high)`` makes.

    Parameters
    ----------
    schedule : Schedule
        With its own warm-up, which is clipped too.
    low, high : float
        The bounds, low <= high.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    See Also
    --------
    minimum, maximum : one bound.

    Notes
    -----
    ``min(max(schedule(t), low), high)``; NaN is passed on.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> Linear(1.0, steps=4).clip(0.25, 0.75)(range(5)).tolist()
    [0.75, 0.75, 0.5, 0.25, 0.25]
    """

    schedule: Schedule
    low: float
    high: float

    def __init__(
        self,
        schedule: Schedule,
        low: float,
        high: float,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            schedule=schedule,
            low=low,
            high=high,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
        if self.low > self.high:
            self._refuse("low", f"at most high ({self.high})", self.low)


def minimum(first: Schedule | float, second: Schedule | float) -> Minimum:
    """Return the lower of two schedules at each update; a number stands for a constant.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> minimum(Linear(1.0, steps=4), 0.5)(range(5)).tolist()
    [0.5, 0.5, 0.5, 0.25, 0.0]
    """
    return Minimum(as_schedule(first), as_schedule(second))


def maximum(first: Schedule | float, second: Schedule | float) -> Maximum:
    """Return the higher of two schedules at each update; a number stands for a constant.

    Examples
    --------
    >>> from lrcore.schedules import Linear
    >>> maximum(Linear(1.0, steps=4), 0.5)(range(5)).tolist()
    [1.0, 0.75, 0.5, 0.5, 0.5]
    """
    return Maximum(as_schedule(first), as_schedule(second))
