"""Every schedule, one function a row of ``schedules.def``: the specification of ``schedules.c``.

``schedule(s, t)`` is the value of the schedule proper at update ``t >= s.warmup``. Positions
(steps, milestones, boundaries) count all updates; durations count from the end of the warm-up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .math import cospi, exp, log, pow

__all__ = ["Curve"]


@dataclass(frozen=True)
class Curve:
    """A schedule as C gets it, evaluated here.

    ``values`` holds ``count`` positions (milestones, boundaries), then the values of a piecewise
    schedule; ``parts`` the schedules it is made of; ``call`` the function of a ``lambda``. A name
    among the arguments is its place in a list, as ``warmup_shape`` is in ``BENDS``.
    """

    kind: str
    args: tuple[float, ...]
    values: tuple[float, ...] = ()
    count: int = 0
    parts: tuple[Curve, ...] = ()
    warmup: float = 0.0
    warmup_start: float = 0.0
    warmup_shape: int = 0
    call: Callable[[int], float] | None = None

    def at(self, t: int) -> float:
        """Value at update `t`: rising from `warmup_start` before `warmup`, then the proper one."""
        proper = SCHEDULES[self.kind]
        if float(t) >= self.warmup:
            return proper(self, t)
        start = proper(self, int(self.warmup))
        way = _warmed(self.warmup_shape, float(t), self.warmup)
        return _mix(start, self.warmup_start, way)

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


def _half_wave(w: float) -> float:
    """(1 - cos(pi w)) / 2 = sin^2(pi w / 2), which does not cancel where w is small."""
    c = cospi(0.5 - 0.5 * w)
    return c * c


def _line(w: float) -> float:
    return w


def _one_sqrt(w: float) -> float:
    """1 - sqrt(1 - w), without cancellation."""
    return w / (1.0 + sqrt(1.0 - w))


def _one_square(w: float) -> float:
    """1 - (1 - w)^2, without cancellation."""
    return w * (2.0 - w)


#: Ways from 0 at w = 0 to 1 at w = 1; a warm-up has one more, logarithmic in t.
BENDS = (_line, _half_wave, _one_sqrt, _one_square)


def _warmed(shape: int, t: float, warmup: float) -> float:
    """How far the warm-up has come by update t of `warmup`."""
    if shape == len(BENDS):
        return log(1.0 + t) / log(1.0 + warmup)
    return BENDS[shape](t / warmup)


def _k_decayed(rest: float, k: float) -> float:
    """k-decay: with `rest` left, n/T = 1 - rest becomes (n/T)^k."""
    return rest if k == 1.0 else 1.0 - pow(1.0 - rest, k)


def _whole(x: float) -> float:
    return float(int(x))


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
    """`lr` gamma^(n / step_size)."""
    lr, gamma, step_size = s.args
    return lr * pow(gamma, _since(s, t) / step_size)


def natural_exponential(s: Curve, t: int) -> float:
    """`lr` e^(-decay n)."""
    lr, decay = s.args
    return lr * exp(-(decay * _since(s, t)))


def inverse_time(s: Curve, t: int) -> float:
    """`lr` / (1 + rate n / step_size)."""
    lr, rate, step_size = s.args
    return lr / (1.0 + (rate * _since(s, t)) / step_size)


def inverse_sqrt(s: Curve, t: int) -> float:
    """`lr` sqrt(timescale / max(t, timescale))."""
    lr, timescale = s.args
    n = float(t)
    return lr * sqrt(timescale / n) if n > timescale else lr


def noam(s: Curve, t: int) -> float:
    """`factor` d_model^-0.5 min(i^-0.5, i warmup_steps^-1.5) with i = t + 1."""
    d_model, w, factor = s.args
    i = float(t) + 1.0
    x = i / (w * sqrt(w)) if i < w else 1.0 / sqrt(i)
    return factor * (x / sqrt(d_model))


def power(s: Curve, t: int) -> float:
    """`scale` (per_update t)^-power, at most `lr`."""
    lr, scale, p, per_update = s.args
    x = scale * pow(per_update * float(t), -p)
    return x if x < lr else lr


def linear(s: Curve, t: int) -> float:
    """`end` + (lr - end) left."""
    lr, steps, end = s.args
    return _mix(lr, end, _left(s, t, steps))


def _left_of_cycle(s: Curve, t: int, steps: float) -> float:
    """What is left of a schedule that begins again when T, 2T, 3T, ... are over.

    Each time it is stretched over all that has been.
    """
    length = steps - s.warmup
    n = _since(s, t)
    i = _whole(n / length)
    end = length * (i + 1.0 if i * length < n or i == 0.0 else i)
    return (end - n) / end


def polynomial(s: Curve, t: int) -> float:
    """`end` + (lr - end) left^power."""
    lr, steps, p, end, k_decay, cycle = s.args
    rest = _left_of_cycle(s, t, steps) if cycle else _left(s, t, steps)
    return _mix(lr, end, pow(_k_decayed(rest, k_decay), p))


def cosine(s: Curve, t: int) -> float:
    """`end` + (lr - end) ((1 + cos(pi x)) / 2)^exponent with x = 1 - left."""
    lr, steps, end, exponent, k_decay = s.args
    w = _half_wave(_k_decayed(_left(s, t, steps), k_decay))
    return _mix(lr, end, w if exponent == 1.0 else pow(w, exponent))


def tanh_decay(s: Curve, t: int) -> float:
    """`end` + (lr - end) (1 - tanh z) / 2 with z = lb left + ub (1 - left).

    (1 - tanh z) / 2 = 1 / (1 + e^(2z)).
    """
    lr, steps, end, lb, ub = s.args
    rest = _left(s, t, steps)
    w = 1.0 / (1.0 + exp(2.0 * _mix(lb, ub, rest)))
    return _mix(lr, end, w) if rest > 0.0 else end


def rex(s: Curve, t: int) -> float:
    """`end` + (lr - end) left / (1/2 + left/2)."""
    lr, steps, end = s.args
    rest = _left(s, t, steps)
    return _mix(lr, end, rest / (0.5 + 0.5 * rest))


def _hyperbola(rest: float, length: float, bound: float) -> float:
    """How far the hyperbola still is above its end, `rest` updates before it."""
    return sqrt((rest / bound) * (2.0 - ((length - rest) + length) / bound))


def hyperbolic(s: Curve, t: int) -> float:
    """`lr` + (lr - infimum) (h(n) - h(0)) with h(n) = sqrt((T - n)/U (2 - (T + n)/U))."""
    lr, steps, upper_bound, infimum = s.args
    length = steps - s.warmup
    bound = upper_bound - s.warmup
    rest = length - _since(s, t)
    start = _hyperbola(length, length, bound)
    fall = start - _hyperbola(rest if rest > 0.0 else 0.0, length, bound)
    return _mix(infimum, lr, fall)


def wsd(s: Curve, t: int) -> float:
    """`lr`, then end + (lr - end) (what is left of the last decay_steps updates, bent)."""
    lr, steps, decay_steps, end, shape = s.args
    rest = steps - float(t)
    if rest >= decay_steps:
        return lr
    return _mix(lr, end, BENDS[int(shape)](rest / decay_steps if rest > 0.0 else 0.0))


def knee(s: Curve, t: int) -> float:
    """`lr` up to the knee, then a straight line to `end` at `steps`."""
    lr, steps, at, end = s.args
    rest = steps - float(t)
    if float(t) <= at:
        return lr
    return _mix(lr, end, rest / (steps - at) if rest > 0.0 else 0.0)


def one_cycle(s: Curve, t: int) -> float:
    """From lr / div_factor to `lr` in pct_start of the updates, back, and down.

    Back in as many updates if there are three phases; then to lr / div_factor / final_div_factor.
    """
    lr, steps, pct, div_factor, final_div_factor, phases, shape = s.args
    bend = BENDS[int(shape)]
    first = lr / div_factor
    last = first / final_div_factor
    three = phases == 3.0
    rest = _left(s, t, steps)
    x = _since(s, t) / (steps - s.warmup)
    if rest > 0.0 and x < pct:
        return _mix(lr, first, bend(x / pct))
    if rest > 0.0 and three and x < 2.0 * pct:
        return _mix(lr, first, bend((2.0 * pct - x) / pct))
    w = rest / (1.0 - (2.0 * pct if three else pct))
    return _mix(first if three else lr, last, bend(w if w < 1.0 else 1.0))


def cyclic(s: Curve, t: int) -> float:
    """`lr` + (max_lr - lr) triangle a, with a = 1 (mode 0), 2^-cycle (1) or gamma^n (2)."""
    lr, max_lr, up, down, mode, gamma = s.args
    n = _since(s, t)
    length = up + down
    cycle = _whole(n / length)
    x = n - cycle * length
    w = x / up if x < up else (length - x) / down
    if mode == 1.0:
        w = w * pow(0.5, cycle)
    if mode == 2.0:
        w = w * pow(gamma, n)
    return _mix(max_lr, lr, w)


def _cycle_start(period: float, mult: float, i: float) -> float:
    """The first update of cycle i: period (1 + mult + ... + mult^(i-1))."""
    return period * ((pow(mult, i) - 1.0) / (mult - 1.0))


def cosine_restarts(s: Curve, t: int) -> float:
    """Half a wave from lr gamma^i to `end` in each cycle i, which takes period mult^i updates."""
    lr, period, mult, gamma, end = s.args
    n = _since(s, t)
    i = _whole(n / period)
    if mult < 1.001:
        x = (n - i * period) / period
    else:
        i = _whole(log(1.0 + (n / period) * (mult - 1.0)) / log(mult))
        while i > 0.0 and _cycle_start(period, mult, i) > n:
            i = i - 1.0
        while _cycle_start(period, mult, i + 1.0) <= n:
            i = i + 1.0
        x = (n - _cycle_start(period, mult, i)) / (period * pow(mult, i))
    return _mix(lr * pow(gamma, i), end, _half_wave(1.0 - x))


def _fractal(n: int, length: int) -> int:
    """Where update n of `length` = 2^k comes in the fractal order.

    The order of 2m updates is that of m, each i of them followed by 2m - 1 - i.
    """
    at, size, bit = 0, 1, length >> 1
    while bit:
        size *= 2
        at = size - 1 - at if n & bit else at
        bit >>= 1
    return at


def chebyshev(s: Curve, t: int) -> float:
    """One over a node, the nodes those of Chebyshev between 1/lr and 1/end."""
    lr, steps, end, order = s.args
    length = steps - s.warmup
    n = _since(s, t)
    if n >= length:
        return end
    if order == 0.0:
        n = float(_fractal(int(n), int(length)))
    return 1.0 / _mix(1.0 / end, 1.0 / lr, _half_wave((n + 0.5) / length))


def piecewise_constant(s: Curve, t: int) -> float:
    """`values[i]` after i boundaries."""
    return s.values[s.count + _passed(s, t)]


def _between(s: Curve, t: int, bend: Callable[[float], float]) -> float:
    """From one point of a list to the next, before the first and after the last as they are."""
    i = _passed(s, t)
    positions, values = s.values[: s.count], s.values[s.count :]
    if i in (0, s.count):
        return values[max(i - 1, 0)]
    w = (positions[i] - float(t)) / (positions[i] - positions[i - 1])
    return _mix(values[i - 1], values[i], bend(w))


def piecewise_linear(s: Curve, t: int) -> float:
    """Straight lines between the points."""
    return _between(s, t, _line)


def piecewise_cosine(s: Curve, t: int) -> float:
    """Half waves between the points."""
    return _between(s, t, _half_wave)


def scale(s: Curve, t: int) -> float:
    """The part times `factor`."""
    (factor,) = s.args
    return s.parts[0].at(t) * factor


def _two(s: Curve, t: int) -> tuple[float, float]:
    return s.parts[0].at(t), s.parts[1].at(t)


def sum_(s: Curve, t: int) -> float:
    """One part plus the other."""
    a, b = _two(s, t)
    return a + b


def product(s: Curve, t: int) -> float:
    """One part times the other."""
    a, b = _two(s, t)
    return a * b


def minimum(s: Curve, t: int) -> float:
    """Whichever part is lower; NaN is passed on."""
    a, b = _two(s, t)
    return a if a < b or a != a else b


def maximum(s: Curve, t: int) -> float:
    """Whichever part is higher; NaN is passed on."""
    a, b = _two(s, t)
    return a if a > b or a != a else b


def clip(s: Curve, t: int) -> float:
    """The part, inside [low, high]."""
    low, high = s.args
    x = s.parts[0].at(t)
    return low if x < low else high if x > high else x


def shift(s: Curve, t: int) -> float:
    """The part, `by` updates ahead; before its update 0 as at 0."""
    (by,) = s.args
    return s.parts[0].at(max(t + int(by), 0))


def every(s: Curve, t: int) -> float:
    """The part at floor(t / updates)."""
    (updates,) = s.args
    return s.parts[0].at(t // int(updates))


def repeat(s: Curve, t: int) -> float:
    """The part at t mod `period`."""
    (period,) = s.args
    return s.parts[0].at(t % int(period))


def join(s: Curve, t: int) -> float:
    """Value of the part that t falls into, with t counted from its boundary."""
    i = _passed(s, t)
    return s.parts[i].at(t - int(s.values[i - 1]) if i > 0 else t)


def plateau(s: Curve, t: int) -> float:
    """What a metric has made of `scale`, times the part, but not below `min_lr`."""
    min_lr, factor = s.args
    x = s.parts[0].at(t) * factor
    return min_lr if x < min_lr else x


def lambda_(s: Curve, t: int) -> float:
    """What the function says."""
    assert s.call is not None
    return s.call(t)


def _elapsed(s: Curve, t: int, length: float, begin: float) -> float:
    """How much of an anneal has passed: 0 until `begin`, 1 from `begin` + `length` on."""
    x = (_since(s, t) - begin) / length
    return min(x, 1.0) if x > 0.0 else 0.0


def linear_anneal(s: Curve, t: int) -> float:
    """`end` + (start - end) (1 - x^k)^power."""
    start, end, length, begin, p, k_decay = s.args
    return _mix(start, end, pow(1.0 - pow(_elapsed(s, t, length, begin), k_decay), p))


def cosine_anneal(s: Curve, t: int) -> float:
    """`end` + (start - end) ((1 + cos(pi x^k)) / 2)^power."""
    start, end, length, begin, p, k_decay = s.args
    c = cospi(0.5 * pow(_elapsed(s, t, length, begin), k_decay))
    return _mix(start, end, pow(c * c, p))


def exponential_anneal(s: Curve, t: int) -> float:
    """`start` (end / start)^x."""
    start, end, length, begin = s.args
    return start * pow(end / start, _elapsed(s, t, length, begin))


def tanh_anneal(s: Curve, t: int) -> float:
    """`end` + (start - end) (1 - tanh(y)) / 2 with y = lb (1 - x) + ub x.

    (1 - tanh(y)) / 2 = 1 / (1 + e^(2 y)), which does not cancel.
    """
    start, end, length, begin, lb, ub = s.args
    y = _mix(ub, lb, _elapsed(s, t, length, begin))
    return _mix(start, end, 1.0 / (1.0 + exp(2.0 * y)))


def wave(s: Curve, t: int) -> float:
    """`low` + (high - low) (1 + cos(2 pi x)) / 2 with x = (n - begin) / period."""
    high, low, period, begin = s.args
    c = cospi((_since(s, t) - begin) / period)
    return _mix(high, low, c * c)


SCHEDULES: dict[str, Callable[[Curve, int], float]] = {
    function.__name__.rstrip("_"): function
    for function in (
        constant,
        step,
        multistep,
        exponential,
        natural_exponential,
        inverse_time,
        inverse_sqrt,
        noam,
        power,
        linear,
        polynomial,
        cosine,
        tanh_decay,
        rex,
        hyperbolic,
        wsd,
        knee,
        one_cycle,
        cyclic,
        cosine_restarts,
        chebyshev,
        piecewise_constant,
        piecewise_linear,
        piecewise_cosine,
        scale,
        sum_,
        product,
        minimum,
        maximum,
        clip,
        shift,
        every,
        repeat,
        join,
        plateau,
        lambda_,
        linear_anneal,
        cosine_anneal,
        exponential_anneal,
        tanh_anneal,
        wave,
    )
}
