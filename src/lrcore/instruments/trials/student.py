"""Student's t distribution for whole degrees of freedom, in plain arithmetic."""

from __future__ import annotations

import math

__all__ = ["t_cdf", "t_quantile"]


def t_cdf(t: float, degrees: int) -> float:
    """P(T <= t) for Student's t with `degrees` >= 1 of freedom.

    Notes
    -----
    The finite series 26.7.3 and 26.7.4 of Abramowitz and Stegun, "Handbook of Mathematical
    Functions" (1964).

    Examples
    --------
    >>> round(t_cdf(2.776445, 4), 6)
    0.975
    """
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    theta = math.atan2(t, math.sqrt(degrees))
    square = math.cos(theta) ** 2
    odd = degrees % 2
    term = math.cos(theta) if odd else 1.0
    total = term if not odd or degrees > 1 else 0.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= square * (k - 1) / k
        total += term
    inside = 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total
    return 0.5 + inside / 2


def t_quantile(probability: float, degrees: int) -> float:
    """The t with P(T <= t) = `probability`, which must be in (0, 1).

    Examples
    --------
    >>> round(t_quantile(0.975, 4), 4)
    2.7764
    """
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < probability:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2
