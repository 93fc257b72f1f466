"""Every schedule, one function a row of ``schedules.def``: the specification of ``schedules.c``.

``schedule(s, t)`` is the value of the schedule proper at update ``t >= s.warmup``. Positions
(steps, milestones, boundaries) count all updates; durations count from the end of the warm-up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .math import cospi, exp, pow

__all__ = ["Curve"]


@dataclass(frozen=True)
class Curve:
    """A schedule as C gets it, evaluated here.

    ``values`` holds ``count`` positions (milestones, boundaries), then the values of a piecewise
    schedule; ``parts`` the schedules it is made of; ``call`` the function of a ``lambda``.
    """

    kind: str
    args: tuple[float, ...]
    values: tuple[float, ...] = ()
    count: int = 0
    parts: tuple[Curve, ...] = ()
    warmup: float = 0.0
    warmup_start: float = 0.0
    call: Callable[[int], float] | None = None

    def at(self, t: int) -> float:
        """Value at update `t`: linear from `warmup_start` before `warmup`, then the proper one."""
        proper = SCHEDULES[self.kind]
        if float(t) >= self.warmup:
            return proper(self, t)
        start = proper(self, int(self.warmup))
        return _mix(start, self.warmup_start, float(t) / self.warmup)

    def array(self, t: NDArray[np.int64]) -> NDArray[np.float64]:
        """Values at an array of updates."""
        flat = [self.at(i) for i in t.ravel().tolist()]
        return np.array(flat, np.float64).reshape(t.shape)


def _since(s: Curve, t: int) -> float:
    """Updates since the end of the warm-up."""
    return float(t) - s.warmup


def _left(s: Curve, t: int, steps: float) -> float:
    """What is left of the schedule proper: 1 at the end of the warm-up, 0 from `steps` on."""
    x = steps - float(t)
    return x / (steps - s.warmup) if x > 0.0 else 0.0


def _mix(a: float, b: float, w: float) -> float:
    """From b at w = 0 to a at w = 1, both exactly."""
    return a * w + b * (1.0 - w)


def _passed(s: Curve, t: int) -> int:
    """How many positions of the list are <= t."""
    return bisect_right(s.values, float(t), 0, s.count)


def constant(s: Curve, t: int) -> float:
    """`lr` at every update."""
    (lr,) = s.args
    return lr


def step(s: Curve, t: int) -> float:
    """`lr` gamma^floor(n / step_size)."""
    lr, step_size, gamma = s.args
    return lr * pow(gamma, float(int(_since(s, t) / step_size)))


def multistep(s: Curve, t: int) -> float:
    """`lr` gamma^(number of milestones <= t)."""
    lr, gamma = s.args
    return lr * pow(gamma, float(_passed(s, t)))


def exponential(s: Curve, t: int) -> float:
    """`lr` gamma^n."""
    lr, gamma = s.args
    return lr * pow(gamma, _since(s, t))


def natural_exponential(s: Curve, t: int) -> float:
    """`lr` e^(-decay n)."""
    lr, decay = s.args
    return lr * exp(-(decay * _since(s, t)))


def inverse_time(s: Curve, t: int) -> float:
    """`lr` / (1 + rate n / step_size)."""
    lr, rate, step_size = s.args
    return lr / (1.0 + (rate * _since(s, t)) / step_size)


def linear(s: Curve, t: int) -> float:
    """`end` + (lr - end) left."""
    lr, steps, end = s.args
    return _mix(lr, end, _left(s, t, steps))


def polynomial(s: Curve, t: int) -> float:
    """`end` + (lr - end) left^power."""
    lr, steps, power, end = s.args
    return _mix(lr, end, pow(_left(s, t, steps), power))


def cosine(s: Curve, t: int) -> float:
    """`end` + (lr - end) (1 + cos(pi x)) / 2 with x = 1 - left.

    (1 + cos(pi x)) / 2 = cos^2(pi x / 2), which does not cancel near the end.
    """
    lr, steps, end = s.args
    c = cospi(0.5 - 0.5 * _left(s, t, steps))
    return _mix(lr, end, c * c)


def piecewise_constant(s: Curve, t: int) -> float:
    """`values[i]` after i boundaries."""
    return s.values[s.count + _passed(s, t)]


def scale(s: Curve, t: int) -> float:
    """The part times `factor`."""
    (factor,) = s.args
    return s.parts[0].at(t) * factor


def join(s: Curve, t: int) -> float:
    """Value of the part that t falls into, with t counted from its boundary."""
    i = _passed(s, t)
    return s.parts[i].at(t - int(s.values[i - 1]) if i > 0 else t)


def lambda_(s: Curve, t: int) -> float:
    """What the function says."""
    assert s.call is not None
    return s.call(t)


SCHEDULES: dict[str, Callable[[Curve, int], float]] = {
    function.__name__.rstrip("_"): function
    for function in (
        constant,
        step,
        multistep,
        exponential,
        natural_exponential,
        inverse_time,
        linear,
        polynomial,
        cosine,
        piecewise_constant,
        scale,
        join,
        lambda_,
    )
}
