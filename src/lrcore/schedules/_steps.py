"""Schedules given piece by piece, and the one that does not move."""

from __future__ import annotations

from collections.abc import Iterable

from .._schedule import KNOTS, LENGTH, PLACES, POSITIONS, POSITIVE, RATE, VALUES, Schedule

__all__ = [
    "Constant",
    "MultiStep",
    "PiecewiseConstant",
    "PiecewiseCosine",
    "PiecewiseLinear",
    "Step",
]


class Constant(Schedule, kind="constant", lr=RATE):
    """The same value at every update.

    Parameters
    ----------
    lr : float in [0, inf)
        The value.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr``.

    Examples
    --------
    >>> Constant(0.1, warmup=4)(range(6)).round(3).tolist()
    [0.0, 0.025, 0.05, 0.075, 0.1, 0.1]
    """

    lr: float

    def __init__(
        self,
        lr: float,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class Step(Schedule, kind="step", lr=RATE, step_size=LENGTH, gamma=POSITIVE):
    """Times `gamma` every `step_size` updates.

    Parameters
    ----------
    lr : float in [0, inf)
        Value at the start.
    step_size : int >= 1
        Updates between two drops, counted from the end of the warm-up.
    gamma : float in (0, inf), default 0.1
        What a drop multiplies by.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    See Also
    --------
    Exponential : the same, without the stairs.

    Notes
    -----
    ``lr gamma^floor(n / step_size)``. Also what an exponential decay in stairs is.

    Examples
    --------
    >>> Step(1.0, step_size=2, gamma=0.5)(range(6)).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    lr: float
    step_size: int
    gamma: float

    def __init__(
        self,
        lr: float,
        step_size: int,
        gamma: float = 0.1,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            step_size=step_size,
            gamma=gamma,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class MultiStep(Schedule, kind="multistep", lr=RATE, milestones=POSITIONS, gamma=POSITIVE):
    """Times `gamma` at each milestone.

    Parameters
    ----------
    lr : float in [0, inf)
        Value before the first milestone.
    milestones : list of int >= 0, increasing
        The updates that are the first with a lower value; they count all updates.
    gamma : float in (0, inf), default 0.1
        What a milestone multiplies by.
    warmup, warmup_start, warmup_shape : optional
        How the first updates rise; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``lr gamma^(number of milestones <= t)``.

    Examples
    --------
    >>> MultiStep(1.0, milestones=[3, 5], gamma=0.5)(range(7)).tolist()
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    lr: float
    milestones: tuple[int, ...]
    gamma: float

    def __init__(
        self,
        lr: float,
        milestones: Iterable[int],
        gamma: float = 0.1,
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            lr=lr,
            milestones=milestones,
            gamma=gamma,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class PiecewiseConstant(Schedule, kind="piecewise_constant", boundaries=POSITIONS, values=VALUES):
    """A value from each boundary on.

    Parameters
    ----------
    boundaries : list of int >= 0, increasing
        The updates that are the first with the next value; they count all updates.
    values : list of float in [0, inf), one more than boundaries
        The values, that before the first boundary first.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``values[number of boundaries <= t]``.

    Examples
    --------
    >>> PiecewiseConstant([2, 4], [1.0, 0.3, 0.1])(range(6)).tolist()
    [1.0, 1.0, 0.3, 0.3, 0.1, 0.1]
    """

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __init__(
        self,
        boundaries: Iterable[int],
        values: Iterable[float],
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            boundaries=boundaries,
            values=values,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class PiecewiseLinear(Schedule, kind="piecewise_linear", positions=PLACES, values=KNOTS):
    """Straight lines from point to point.

    Parameters
    ----------
    positions : list of float >= 0, increasing
        Where the points are, in updates; they count all updates and need not be whole.
    values : list of float in [0, inf), as many as positions
        The values there. Before the first point the value is the first, after the last the last.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``v[i] + (v[i+1] - v[i]) (t - p[i]) / (p[i+1] - p[i])`` between p[i] and p[i+1].

    Examples
    --------
    >>> PiecewiseLinear([0, 2, 6], [0.0, 1.0, 0.0])(range(7)).tolist()
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    positions: tuple[float, ...]
    values: tuple[float, ...]

    def __init__(
        self,
        positions: Iterable[float],
        values: Iterable[float],
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            positions=positions,
            values=values,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )


class PiecewiseCosine(Schedule, kind="piecewise_cosine", positions=PLACES, values=KNOTS):
    """Half waves of the cosine from point to point.

    Parameters
    ----------
    positions : list of float >= 0, increasing
        Where the points are, in updates; they count all updates and need not be whole.
    values : list of float in [0, inf), as many as positions
        The values there. Before the first point the value is the first, after the last the last.
    warmup, warmup_start, warmup_shape : optional
        A warm-up in place of the first values; see the top of :mod:`lrcore.schedules`.

    Notes
    -----
    ``v[i+1] + (v[i] - v[i+1]) (1 + cos(pi (t - p[i]) / (p[i+1] - p[i]))) / 2`` between p[i] and
    p[i+1].

    Examples
    --------
    >>> PiecewiseCosine([0, 2, 6], [0.0, 1.0, 0.0])(range(7)).round(3).tolist()
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    positions: tuple[float, ...]
    values: tuple[float, ...]

    def __init__(
        self,
        positions: Iterable[float],
        values: Iterable[float],
        *,
        warmup: int = 0,
        warmup_start: float = 0.0,
        warmup_shape: str = "linear",
    ) -> None:
        self._set(
            positions=positions,
            values=values,
            warmup=warmup,
            warmup_start=warmup_start,
            warmup_shape=warmup_shape,
        )
