"""Random schedules of every kind: `CASES` has a row for each, and `updates` where to look at one."""

import numpy as np

from lrcore import schedules as s
from lrcore._schedule import BENDS


def sawtooth(t):
    """A function that pickles."""
    return (t % 7) * 0.125


def rate(r):
    return r.choice([0.0, 1.0, 0.1, 10 ** r.uniform(-9, 2)])


def positive(r):
    return r.choice([1.0, 0.1, 10 ** r.uniform(-9, 2)])


def gamma(r):
    return r.choice([0.1, 0.5, 1.0, 1.01, r.random(), 1 - 10 ** r.uniform(-9, -1)]) or 0.5


def exponent(r):
    return r.choice([0.5, 1.0, 1.0, 2.0, r.uniform(0.1, 4)])


def warm(r):
    """Half of all schedules have a warm-up."""
    if r.random() < 0.5:
        return {}
    return {
        "warmup": r.choice([1, 2, 5, 500]),
        "warmup_start": r.choice([0.0, 0.1, r.random()]),
        "warmup_shape": r.choice([*BENDS, "logarithmic"]),
    }


def total(r, w):
    return {"steps": w.get("warmup", 0) + r.choice([1, 2, 3, 10, 1000, r.randint(1, 10**7)]), **w}


def length(t):
    return t["steps"] - t.get("warmup", 0)


def positions(r):
    return sorted(r.sample(range(2000), r.randint(0, 6)))


def some(r, depth=1):
    """Any schedule; two levels of composites at most."""
    return CASES[r.choice(PLAIN if depth > 1 else KINDS)](r)


def two(r):
    return some(r, 2), some(r, 2)


def piecewise(r):
    at = positions(r)
    return s.PiecewiseConstant(at, [rate(r) for _ in range(len(at) + 1)], **warm(r))


def points(r):
    at = sorted({r.choice([r.randint(0, 2000), r.uniform(0, 2000)]) for _ in range(6)})
    return at, [rate(r) for _ in at]


def piece(r, value=rate):
    """Start, end, length and begin of an anneal; high, low, period and begin of a wave."""
    span = r.choice([1.0, 250.0, 10 ** r.uniform(-1, 4)])
    return value(r), value(r), span, r.choice([0.0, 10.0, r.uniform(-99, 999)])


def joined(r):
    at = positions(r)
    return s.join([some(r, 2) for _ in range(len(at) + 1)], at, **warm(r))


def wsd(r):
    t = total(r, warm(r))
    return s.WSD(
        rate(r), decay_steps=r.randint(1, length(t)), end=rate(r), shape=r.choice(BENDS), **t
    )


def knee(r):
    t = total(r, warm(r))
    return s.Knee(rate(r), knee=r.randint(t.get("warmup", 0), t["steps"] - 1), end=rate(r), **t)


def one_cycle(r):
    phases = r.choice([2, 3])
    return s.OneCycle(
        rate(r),
        pct_start=r.choice([0.3, 0.25, r.uniform(0.01, 0.49 if phases == 3 else 0.99)]),
        div_factor=r.choice([25.0, r.uniform(1, 100)]),
        final_div_factor=r.choice([1e4, r.uniform(1, 1e5)]),
        phases=phases,
        shape=r.choice(BENDS),
        **total(r, warm(r)),
    )


def cyclic(r):
    mode = r.choice(["triangular", "triangular2", "exp_range"])
    up, down = r.randint(1, 300), r.choice([None, r.randint(1, 300)])
    return s.Cyclic(rate(r), rate(r), up, down, mode, gamma(r), **warm(r))


def restarts(r):
    mult = r.choice([1, 1, 2, 3, 1.5, r.uniform(1.001, 4)])
    return s.CosineRestarts(rate(r), r.randint(1, 300), mult, gamma(r), rate(r), **warm(r))


def chebyshev(r):
    t, order = total(r, warm(r)), r.choice(["fractal", "falling"])
    if order == "fractal":
        t["steps"] = t.get("warmup", 0) + 2 ** r.randint(0, 20)
    return s.Chebyshev(positive(r), end=positive(r), order=order, **t)


def clip(r):
    low, high = sorted([rate(r), rate(r)])
    return s.Clip(some(r, 2), low, high, **warm(r))


def plateau(r):
    out = s.Plateau(
        some(r, 2),
        factor=r.uniform(0.1, 0.9),
        patience=r.randint(0, 3),
        threshold=r.choice([0.0, 1e-4, 0.1]),
        threshold_mode=r.choice(["rel", "abs"]),
        cooldown=r.randint(0, 2),
        min_lr=r.choice([0.0, 1e-3]),
        mode=r.choice(["min", "max"]),
        **warm(r),
    )
    for _ in range(r.randint(0, 20)):
        out.update(r.choice([1.0, r.random()]))
    return out


CASES = {
    "constant": lambda r: s.Constant(rate(r), **warm(r)),
    "step": lambda r: s.Step(rate(r), r.randint(1, 200), gamma(r), **warm(r)),
    "multistep": lambda r: s.MultiStep(rate(r), positions(r), gamma(r), **warm(r)),
    "exponential": lambda r: s.Exponential(
        rate(r), gamma(r), r.choice([1, r.randint(1, 999)]), **warm(r)
    ),
    "natural_exponential": lambda r: s.NaturalExponential(rate(r), rate(r), **warm(r)),
    "inverse_time": lambda r: s.InverseTime(rate(r), rate(r), r.randint(1, 99), **warm(r)),
    "inverse_sqrt": lambda r: s.InverseSqrt(
        rate(r), r.choice([1, 40, r.uniform(0.1, 9999)]), **warm(r)
    ),
    "noam": lambda r: s.Noam(r.randint(1, 4096), r.randint(1, 9999), rate(r), **warm(r)),
    "power": lambda r: s.Power(
        rate(r), positive(r), exponent(r), r.choice([1, 2048, r.uniform(0.1, 99)]), **warm(r)
    ),
    "linear": lambda r: s.Linear(rate(r), end=rate(r), **total(r, warm(r))),
    "polynomial": lambda r: s.Polynomial(
        rate(r),
        power=exponent(r),
        end=rate(r),
        k_decay=exponent(r),
        cycle=r.random() < 0.5,
        **total(r, warm(r)),
    ),
    "cosine": lambda r: s.Cosine(
        rate(r), end=rate(r), exponent=exponent(r), k_decay=exponent(r), **total(r, warm(r))
    ),
    "tanh_decay": lambda r: s.TanhDecay(
        rate(r), end=rate(r), lb=r.uniform(-9, 1), ub=r.uniform(-1, 9), **total(r, warm(r))
    ),
    "rex": lambda r: s.REX(rate(r), end=rate(r), **total(r, warm(r))),
    "hyperbolic": lambda r: s.Hyperbolic(
        rate(r),
        infimum=rate(r),
        **(t := total(r, warm(r))),
        upper_bound=t["steps"] + r.choice([0, 1, r.randint(0, 10**7)]),
    ),
    "wsd": wsd,
    "knee": knee,
    "one_cycle": one_cycle,
    "cyclic": cyclic,
    "cosine_restarts": restarts,
    "chebyshev": chebyshev,
    "piecewise_constant": piecewise,
    "piecewise_linear": lambda r: s.PiecewiseLinear(*points(r), **warm(r)),
    "piecewise_cosine": lambda r: s.PiecewiseCosine(*points(r), **warm(r)),
    "linear_anneal": lambda r: s.LinearAnneal(*piece(r), exponent(r), exponent(r), **warm(r)),
    "cosine_anneal": lambda r: s.CosineAnneal(*piece(r), exponent(r), exponent(r), **warm(r)),
    "exponential_anneal": lambda r: s.ExponentialAnneal(*piece(r, positive), **warm(r)),
    "tanh_anneal": lambda r: s.TanhAnneal(
        *piece(r), lb=r.uniform(-9, 1), ub=r.uniform(-1, 9), **warm(r)
    ),
    "wave": lambda r: s.Wave(*piece(r), **warm(r)),
    "lambda": lambda r: s.Lambda(sawtooth, **warm(r)),
}
PLAIN = list(CASES)
CASES |= {
    "scale": lambda r: s.Scale(some(r, 2), r.choice([0.1, -1.0, 3.0, r.random()]), **warm(r)),
    "sum": lambda r: s.Sum(*two(r), **warm(r)),
    "product": lambda r: s.Product(*two(r), **warm(r)),
    "minimum": lambda r: s.Minimum(*two(r), **warm(r)),
    "maximum": lambda r: s.Maximum(*two(r), **warm(r)),
    "clip": clip,
    "shift": lambda r: s.Shift(some(r, 2), r.choice([3, -40, r.randint(-999, 999)]), **warm(r)),
    "every": lambda r: s.Every(some(r, 2), r.randint(1, 99), **warm(r)),
    "repeat": lambda r: s.Repeat(some(r, 2), r.randint(1, 999), **warm(r)),
    "join": joined,
    "plateau": plateau,
}
KINDS = sorted(CASES)

POSITIONS = ("steps", "warmup", "knee", "timescale", "period", "by", "warmup_steps", "begin")


def updates(r, schedule, n):
    """Where something changes, then anywhere."""
    near = [0, 1, 2**53]
    for name in POSITIONS:
        near += [int(abs(getattr(schedule, name, 0))) + d for d in range(-3, 4)]
    cycle = getattr(schedule, "up", 0) + getattr(schedule, "down", 0)
    near += [cycle + d for d in range(-3, 4)]
    for name in ("milestones", "boundaries", "positions"):
        near += [int(x) + d for x in getattr(schedule, name, ()) for d in (-1, 0, 1)]
    near += [r.randint(0, 2 * getattr(schedule, "steps", 100)) for _ in range(n // 2)]
    near += [r.randint(0, 2500) for _ in range(n)]
    near += [r.randint(0, 10 ** r.randint(1, 15)) for _ in range(n // 4)]
    return [t for t in near if t >= 0]


def bits(values):
    """Bits of an array, one NaN for all."""
    array = np.array(values, np.float64)
    array[np.isnan(array)] = np.nan
    return array.view(np.int64).tolist()
