"""Whether a rate is too low, about right or too high, from what the steps did."""

from __future__ import annotations

import math
from typing import Any

from .measures import Part, Trend
from .thresholds import LIMIT

__all__ = ["chances", "reason"]


def chances(part: Part, slope: Trend, start: float, rule: Any) -> dict[str, float]:
    """The chances of "too_low", "good" and "too_high"; empty where the steps were not measured."""
    c, gain = part.mean("cos"), part.mean("gain")
    if math.isnan(c) and math.isnan(gain):
        return {}
    low = (0.0 if math.isnan(c) else (LIMIT["cos_low"] - c) / 0.1) + (
        0.0 if math.isnan(gain) else (gain - LIMIT["gain_low"]) / 0.03
    )
    high = (0.0 if math.isnan(c) else (c - LIMIT["cos_high"]) / 0.05) + (
        0.0 if math.isnan(gain) else (LIMIT["gain_high"] - gain) / 0.2
    )
    weights = [math.exp(min(low, 30)), 1.0, math.exp(min(high, 30))]
    total = sum(weights)
    return {k: w / total for k, w in zip(("too_low", "good", "too_high"), weights, strict=True)}


def reason(part: Part, best: str) -> tuple[str, float, float, float]:
    """The statistic that says so, its value, its null and its line."""
    c, gain = part.mean("cos"), part.mean("gain")
    if math.isnan(c):
        return "gain", gain, 0.9, LIMIT["gain_low" if best == "too_low" else "gain_high"]
    return "cos", c, 0.0, LIMIT["cos_low" if best == "too_low" else "cos_high"]
