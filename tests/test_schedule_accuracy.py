"""How close the values are to the true ones: against the formulas in 60 digits."""

import random

import mpmath
import pytest
from schedule_cases import CASES

mp = mpmath.mpf
BENDS = {
    "linear": lambda w: w,
    "cosine": lambda w: mpmath.sin(mpmath.pi * w / 2) ** 2,
    "1-sqrt": lambda w: 1 - mpmath.sqrt(1 - w),
    "1-square": lambda w: 1 - (1 - w) ** 2,
}


def fall(s, w):
    """From lr at w = 1 to the end at w = 0."""
    return mp(s.end) + (mp(s.lr) - mp(s.end)) * w


def left(s, t):
    return 1 - mp(t - s.warmup) / (s.steps - s.warmup)


def tanh_decay(s, t):
    rest = left(s, t)
    return fall(s, (1 - mpmath.tanh(mp(s.lb) * rest + mp(s.ub) * (1 - rest))) / 2)


def wsd(s, t):
    return fall(s, BENDS[s.shape](min(mp(s.steps - t) / s.decay_steps, 1)))


def one_cycle(s, t):
    x, pct, bend = 1 - left(s, t), mp(s.pct_start), BENDS[s.shape]
    first = mp(s.lr) / mp(s.div_factor)
    last = first / mp(s.final_div_factor)
    if x < pct:
        return first + (s.lr - first) * bend(x / pct)
    if s.phases == 3 and x < 2 * pct:
        return first + (s.lr - first) * bend((2 * pct - x) / pct)
    high, begin = (first, 2 * pct) if s.phases == 3 else (mp(s.lr), pct)
    return last + (high - last) * bend((1 - x) / (1 - begin))


def chebyshev(s, t):
    n, count = t - s.warmup, s.steps - s.warmup
    if s.order == "fractal":
        order = [0]
        while len(order) < count:
            order = [j for i in order for j in (i, 2 * len(order) - 1 - i)]
        n = order[n]
    low, high = 1 / mp(s.lr), 1 / mp(s.end)
    wave = mpmath.cospi((n + mp(0.5)) / count)
    return 1 / ((high + low) / 2 - (high - low) / 2 * wave)


FORMULAS = {
    "exponential": lambda s, t: mp(s.lr) * mp(s.gamma) ** (mp(t - s.warmup) / s.step_size),
    "inverse_sqrt": lambda s, t: mp(s.lr) * mpmath.sqrt(mp(s.timescale) / max(t, s.timescale)),
    "noam": lambda s, t: (
        mp(s.factor)
        * min(1 / mpmath.sqrt(t + 1), (t + 1) * mp(s.warmup_steps) ** mp(-1.5))
        / mpmath.sqrt(s.d_model)
    ),
    "rex": lambda s, t: fall(s, left(s, t) / (1 - (1 - left(s, t)) / 2)),
    "tanh_decay": tanh_decay,
    "wsd": wsd,
    "knee": lambda s, t: fall(s, min(mp(s.steps - t) / (s.steps - s.knee), 1)),
    "one_cycle": one_cycle,
    "chebyshev": chebyshev,
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_error_is_a_few_last_places(kind):
    """Relative to the value, or to a millionth of the peak; where it rises, to the higher end."""
    r, worst = random.Random(kind), 0.0
    with mpmath.workdps(60):
        for _ in range(60):
            s = CASES[kind](r)
            last = getattr(s, "steps", s.warmup + 3000) - 1
            if getattr(s, "order", "") == "fractal" and last > 5000:
                continue
            for t in {r.randint(s.warmup, last) for _ in range(30)} | {s.warmup, last}:
                true = FORMULAS[kind](s, t)
                peak, end = getattr(s, "lr", 0.0), getattr(s, "end", 0.0)
                size = max(true, peak * 1e-6, mp(2) ** -1000) if end <= peak else end
                worst = max(worst, float(abs(s(t) - true) / size))
    assert worst < 2e-14
