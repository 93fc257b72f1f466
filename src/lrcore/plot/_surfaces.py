"""Functions of two variables to descend on: a bowl, a ravine, Rosenbrock's valley."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._style import Array

Point = tuple[float, float]


class Surface(NamedTuple):
    """A function, its gradient, and the part of the plane that a picture shows.

    Attributes
    ----------
    value : callable
        ``value(x, y)``, elementwise.
    slope : callable
        ``slope(x, y) -> (by x, by y)``.
    start : (float, float)
        Where a descent begins.
    limits : ((float, float), (float, float))
        Of x and of y.
    lowest : (float, float) or None
        Where the minimum is, if that is known.
    """

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], tuple[Any, Any]]
    start: Point
    limits: tuple[Point, Point]
    lowest: Point | None


def _rosenbrock(x: Any, y: Any) -> Any:
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def _rosenbrock_slope(x: Any, y: Any) -> tuple[Any, Any]:
    return -2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)


#: By name. The curvatures of the bowl are 1 and 2, those of the ravine 1 and 25.
SURFACES: dict[str, Surface] = {
    "bowl": Surface(
        lambda x, y: 0.5 * x * x + y * y,
        lambda x, y: (x, 2 * y),
        (-3.0, 1.8),
        ((-3.6, 3.0), (-2.2, 2.2)),
        (0.0, 0.0),
    ),
    "ravine": Surface(
        lambda x, y: 0.5 * (x * x + 25 * y * y),
        lambda x, y: (x, 25 * y),
        (-3.2, 0.8),
        ((-3.8, 1.6), (-1.2, 1.2)),
        (0.0, 0.0),
    ),
    "rosenbrock": Surface(
        _rosenbrock, _rosenbrock_slope, (-1.2, 1.0), ((-1.8, 1.6), (-0.7, 1.9)), (1.0, 1.0)
    ),
}


def measured(value: Callable[[Any, Any], Any], limits: tuple[Point, Point]) -> Any:
    """The gradient of `value` by central differences, over a millionth of the picture's size."""
    (left, right), (low, high) = limits
    dx, dy = 1e-6 * (right - left), 1e-6 * (high - low)

    def slope(x: float, y: float) -> tuple[float, float]:
        by_x = (value(x + dx, y) - value(x - dx, y)) / (2 * dx)
        by_y = (value(x, y + dy) - value(x, y - dy)) / (2 * dy)
        return float(by_x), float(by_y)

    return slope


def walk(
    slope: Callable[[Any, Any], tuple[Any, Any]], opt: Any, point: Array, steps: int
) -> tuple[Array, bool]:
    """Make the updates of `opt` on `point`; return where they led, and whether to no number.

    The path is (updates + 1, 2), the start first, and ends where a coordinate is not finite.
    """
    path = [point.copy()]
    with np.errstate(all="ignore"):
        for _ in range(steps):
            grad = np.array(slope(point[0], point[1]), dtype=np.float64)
            if not np.isfinite(grad).all():
                return np.array(path), True
            opt.step(grad)
            if not np.isfinite(point).all():
                return np.array(path), True
            path.append(point.copy())
    return np.array(path), False
