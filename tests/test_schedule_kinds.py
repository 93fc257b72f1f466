"""What each schedule means: formulas by plain Python, laws over random arguments, errors."""

import math
import random
from functools import partial

import numpy as np
import pytest
from schedule_cases import CASES, PLAIN

import lrcore
from lrcore import schedules
from lrcore._schedule import BENDS
from lrcore.schedules import (
    REX,
    WSD,
    Chebyshev,
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    Hyperbolic,
    InverseSqrt,
    Knee,
    Linear,
    Noam,
    OneCycle,
    PiecewiseCosine,
    PiecewiseLinear,
    Polynomial,
    Power,
    TanhDecay,
)

pi, cos, sqrt = math.pi, math.cos, math.sqrt


def half(x):
    return (1 + cos(pi * x)) / 2


def hyperbolic(t, lr=0.3, N=200, U=500, infimum=0.01):
    def h(n):
        return sqrt((N - n) / U * (2 - (N + n) / U))

    return lr + (lr - infimum) * (h(t) - h(0))


def restarts(t, lr, period, mult, gamma, end):
    """By walking through the cycles."""
    begin, length, peak = 0.0, period, lr
    while begin + length <= t:
        begin, length, peak = begin + length, length * mult, peak * gamma
    return end + (peak - end) * half((t - begin) / length)


def saw(t):
    """Polynomial that begins again: stretched over all that has been."""
    end = 20 * max(math.ceil(t / 20), 1)
    return 0.1 + 0.2 * (1 - t / end) ** 1.5


def triangle(t, up, down):
    cycle, x = divmod(t, up + down)
    return cycle, x / up if x < up else (up + down - x) / down


def chebyshev(i, low, high, n):
    return 1 / ((high + low) / 2 - (high - low) / 2 * cos(pi * (i + 0.5) / n))


@pytest.mark.parametrize(
    ("s", "formula"),
    [
        (Exponential(0.3, 0.5, 7), lambda t: 0.3 * 0.5 ** (t / 7)),
        (InverseSqrt(0.3, 40), lambda t: 0.3 * sqrt(40 / max(t, 40))),
        (Noam(512, 40, 2.0), lambda t: 2 * 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 40**-1.5)),
        (Power(0.3, 4.6, 0.51, 32), lambda t: min(0.3, 4.6 * (32 * t) ** -0.51) if t else 0.3),
        (
            Polynomial(0.3, 200, 1.7, 0.1, 0.8),
            lambda t: 0.1 + 0.2 * (1 - (t / 200) ** 0.8) ** 1.7,
        ),
        (Polynomial(0.3, 20, 1.5, 0.1, cycle=True), saw),
        (Cosine(0.3, 200, 0.1, exponent=1.5), lambda t: 0.1 + 0.2 * half(t / 200) ** 1.5),
        (Cosine(0.3, 200, 0.1, k_decay=1.5), lambda t: 0.1 + 0.2 * half((t / 200) ** 1.5)),
        (
            TanhDecay(0.3, 200, 0.1),
            lambda t: 0.1 + 0.2 * (1 - math.tanh(-7 * (1 - t / 200) + 3 * t / 200)) / 2,
        ),
        (REX(0.3, 200, 0.1), lambda t: 0.1 + 0.2 * (1 - t / 200) / (1 - t / 400)),
        (Hyperbolic(0.3, 200, 500, 0.01), hyperbolic),
        (Knee(0.3, 200, 50, 0.1), lambda t: 0.3 - 0.2 * max(t - 50, 0) / 150),
        (WSD(0.3, 200, 50, 0.1, "linear"), lambda t: 0.1 + 0.2 * min((200 - t) / 50, 1)),
        (WSD(0.3, 200, 50, 0.1, "cosine"), lambda t: 0.1 + 0.2 * half(max(t - 150, 0) / 50)),
        (WSD(0.3, 200, 50, 0.1), lambda t: 0.1 + 0.2 * (1 - sqrt(max(t - 150, 0) / 50))),
        (
            WSD(0.3, 200, 50, 0.1, "1-square"),
            lambda t: 0.1 + 0.2 * (1 - (max(t - 150, 0) / 50) ** 2),
        ),
        (Cyclic(0.1, 0.3, 20, 30), lambda t: 0.1 + 0.2 * triangle(t, 20, 30)[1]),
        (
            Cyclic(0.1, 0.3, 20, mode="triangular2"),
            lambda t: 0.1 + 0.2 * triangle(t, 20, 20)[1] / 2 ** triangle(t, 20, 20)[0],
        ),
        (
            Cyclic(0.1, 0.3, 20, 7, "exp_range", 0.99),
            lambda t: 0.1 + 0.2 * triangle(t, 20, 7)[1] * 0.99**t,
        ),
        (
            CosineRestarts(0.3, 30, 1, 0.5, 0.01),
            lambda t: restarts(t, 0.3, 30, 1, 0.5, 0.01),
        ),
        (CosineRestarts(0.3, 5, 2, 0.9, 0.01), lambda t: restarts(t, 0.3, 5, 2, 0.9, 0.01)),
        (CosineRestarts(0.3, 5, 1.3), lambda t: restarts(t, 0.3, 5, 1.3, 1, 0)),
        (
            Chebyshev(0.3, 200, 0.01, "falling"),
            lambda t: chebyshev(t, 1 / 0.3, 1 / 0.01, 200),
        ),
        (
            PiecewiseLinear([2.5, 60, 100], [0.1, 0.3, 0.2]),
            lambda t: np.interp(t, [2.5, 60, 100], [0.1, 0.3, 0.2]),
        ),
        (
            PiecewiseCosine([0, 200], [0.3, 0.1]),
            lambda t: 0.1 + 0.2 * half(t / 200),
        ),
    ],
    ids=repr,
)
def test_formula(s, formula):
    np.testing.assert_allclose(s(range(200)), [formula(t) for t in range(200)], rtol=1e-11)


@pytest.mark.parametrize(
    ("shape", "formula"),
    [
        ("linear", lambda x: x),
        ("cosine", lambda x: (1 - cos(pi * x)) / 2),
        ("1-sqrt", lambda x: 1 - sqrt(1 - x)),
        ("1-square", lambda x: 1 - (1 - x) ** 2),
        ("logarithmic", lambda x: math.log(1 + 40 * x) / math.log(41)),
    ],
)
def test_shapes_of_a_warmup(shape, formula):
    s = Cosine(0.3, 100, warmup=40, warmup_start=0.1, warmup_shape=shape)
    wanted = [0.1 + 0.2 * formula(t / 40) for t in range(41)]
    np.testing.assert_allclose(s(range(41)), wanted, rtol=1e-13)
    assert (s(0), s(40)) == (0.1, 0.3)
    assert s(range(40, 120)).tolist() == Cosine(0.3, 60)(range(80)).tolist()


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("shape", [*BENDS, "logarithmic"])
def test_every_schedule_warms_up_in_every_shape(kind, shape):
    """From the start, never back, to the value of the schedule proper."""
    r = random.Random(f"{kind} {shape}")
    for _ in range(20):
        s = CASES[kind](r)
        arguments = {**s._arguments, "warmup_shape": shape, "warmup_start": 0.0}
        s = type(s)(**arguments)
        values = s(range(s.warmup + 1))
        assert s.warmup == 0 or values[0] == 0.0
        assert (np.diff(values) >= 0).all(), s


# --------------------------------------------------------------------------------------- laws

FALLING = {
    *("step", "multistep", "exponential", "natural_exponential", "inverse_time", "inverse_sqrt"),
    *("power", "linear", "polynomial", "cosine", "tanh_decay", "rex", "hyperbolic", "wsd", "knee"),
}
ENDING = {"linear", "polynomial", "cosine", "tanh_decay", "rex", "wsd", "knee", "chebyshev"}


@pytest.mark.parametrize("kind", sorted(FALLING))
def test_falls_after_the_warmup(kind):
    r = random.Random(kind)
    for _ in range(100):
        s = CASES[kind](r)
        if (
            getattr(s, "gamma", 1) > 1
            or getattr(s, "cycle", False)
            or getattr(s, "end", 0) > s.lr
            or getattr(s, "infimum", 0) > s.lr
            or getattr(s, "lb", 0) > getattr(s, "ub", 0)
        ):
            continue
        values = s(range(s.warmup, s.warmup + 3000))
        assert (np.diff(values) <= 1e-15 * s.lr).all(), s


@pytest.mark.parametrize("kind", sorted(ENDING))
def test_the_end_is_exact_and_held(kind):
    r = random.Random(kind)
    for _ in range(200):
        s = CASES[kind](r)
        if not getattr(s, "cycle", False):
            assert [s(s.steps + i) for i in (0, 1, 10, 2**40)] == [s.end] * 4, s


@pytest.mark.parametrize("kind", sorted((FALLING | ENDING) - {"tanh_decay", "chebyshev"}))
def test_the_peak_is_where_the_warmup_ends(kind):
    r = random.Random(kind)
    for _ in range(200):
        s = CASES[kind](r)
        if not {"milestones", "timescale", "scale"} & s.domains.keys():
            assert s(s.warmup) == s.lr, s


COUNTS_ALL = {"multistep", "inverse_sqrt", "noam", "power", "lambda"}


@pytest.mark.parametrize("kind", sorted({k for k in PLAIN if "piecewise" not in k} - COUNTS_ALL))
def test_a_warmup_puts_the_rest_off(kind):
    """What follows it is the schedule without it, with all positions that much earlier."""
    r, seen = random.Random(kind), 0
    while seen < 50:
        s = CASES[kind](r)
        if not s.warmup:
            continue
        seen += 1
        arguments = {**s._arguments, "warmup": 0}
        for name in {"steps", "knee", "upper_bound"} & arguments.keys():
            arguments[name] -= s.warmup
        t = np.array([r.randint(0, 3000) for _ in range(50)])
        assert s(t + s.warmup).tolist() == type(s)(**arguments)(t).tolist(), s


def test_the_hyperbola_and_the_one_cycle_stay_where_they_end():
    r = random.Random(0)
    for kind in ("hyperbolic", "one_cycle"):
        for _ in range(100):
            s = CASES[kind](r)
            assert len({s(s.steps + i) for i in (0, 1, 10, 2**40)}) == 1, s


@pytest.mark.parametrize("mult", [2, 3, 5, 6, 7, 10])
def test_restarts_begin_where_they_should(mult):
    for period in (1, 10, 37):
        s = CosineRestarts(1.0, period, mult, gamma=0.5)
        begin = [period * (mult**i - 1) // (mult - 1) for i in range(14)]
        assert s(begin).tolist() == [0.5**i for i in range(14)]
        before = s(np.array(begin[2:]) - 1)
        assert (before < [0.6 * 0.5**i for i in range(1, 13)]).all()


def test_the_fractal_order_is_that_of_the_paper():
    falling = Chebyshev(1.0, 8, 0.1, "falling")(range(8))
    order = np.array([1, 8, 4, 5, 2, 7, 3, 6]) - 1
    assert Chebyshev(1.0, 8, 0.1)(range(8)).tolist() == falling[order].tolist()
    many = Chebyshev(1.0, 1024, 0.1)(range(1024))
    assert sorted(many) == sorted(Chebyshev(1.0, 1024, 0.1, "falling")(range(1024)))


@pytest.mark.parametrize("order", ["fractal", "falling"])
def test_chebyshev_is_faster_than_any_constant_step(order):
    curvature = np.linspace(0.1, 10, 50)
    x, y = np.ones(50), np.ones(50)
    for rate in Chebyshev(10.0, 32, 0.1, order)(range(32)):
        x -= rate * curvature * x
        y -= 2 / (0.1 + 10) * curvature * y
    assert np.abs(x).max() < 0.01 < 0.5 < np.abs(y).max()


# ------------------------------------------------------------------------------------ one-cycle


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("phases", [2, 3])
def test_the_phases_of_a_cycle(shape, phases):
    s = OneCycle(1.0, 100, 0.25, 10.0, 100.0, phases, shape)
    assert s(0) == 0.1
    assert s(25) == 1.0
    assert s(100) == s(101) == pytest.approx(0.001, rel=1e-15)
    middle = s(50)
    assert middle == pytest.approx(0.1, rel=1e-14) if phases == 3 else middle > 0.6
    straight = np.diff(s(range(26)))
    assert (np.ptp(straight) < 1e-15) == (shape == "linear")
    warm = OneCycle(1.0, 120, 0.25, 10.0, 100.0, phases, shape, warmup=20)
    np.testing.assert_allclose(warm(range(20, 130)), s(range(110)), rtol=1e-12)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("phases", [2, 3])
@pytest.mark.parametrize("warmup", [0, 20])
def test_momentum_mirrors_the_rate(shape, phases, warmup):
    s = OneCycle(1.0, 100 + warmup, 0.25, phases=phases, shape=shape, warmup=warmup)
    m = s.momentum(0.8, 0.9)
    back = 2 * 25 if phases == 3 else 100
    assert [m(t) for t in (0, warmup, warmup + 25, warmup + back)] == [0.9, 0.9, 0.8, 0.9]
    rate, momentum = (x(range(warmup, warmup + 26)) for x in (s, m))
    first = 1 / 25
    np.testing.assert_allclose((rate - first) / (1 - first), (0.9 - momentum) / 0.1, atol=1e-12)
    opt = lrcore.SGD(np.zeros(2), lr=s, momentum=m)
    opt.step(np.ones(2))
    lrcore.AdamW(np.zeros(2), lr=s, betas=(m, 0.99)).step(np.ones(2))


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (partial(Exponential, 1.0, 0.5, 0), "Exponential: step_size must be an integer in [1, "),
        (partial(InverseSqrt, 1.0, 0), "InverseSqrt: timescale must be in (0, inf), got 0"),
        (partial(Noam, 0), "Noam: d_model must be an integer in [1, 2**53], got 0"),
        (partial(Noam, 8, 0), "Noam: warmup_steps must be an integer in [1, 2**53], got 0"),
        (partial(Power, 1.0, 1.0, 0.0), "Power: power must be in (0, inf), got 0.0"),
        (partial(Polynomial, 1.0, 9, -1.0), "Polynomial: power must be in (0, inf), got -1.0"),
        (partial(Polynomial, 1.0, 9, k_decay=0.0), "Polynomial: k_decay must be in (0, inf)"),
        (partial(Polynomial, 1.0, 9, cycle=1), "Polynomial: cycle must be False or True, got 1"),
        (partial(Cosine, 1.0, 9, exponent=0.0), "Cosine: exponent must be in (0, inf), got 0.0"),
        (partial(TanhDecay, 1.0, 9, ub=math.nan), "TanhDecay: ub must be in (-inf, inf), got nan"),
        (
            partial(Hyperbolic, 1.0, 9, 8),
            "Hyperbolic: upper_bound must be at least steps (9), got 8",
        ),
        (
            partial(WSD, 1.0, 9, 8, warmup=2),
            "WSD: decay_steps must be at most steps - warmup (7), got 8",
        ),
        (partial(WSD, 1.0, 9, 0), "WSD: decay_steps must be an integer in [1, 2**53], got 0"),
        (
            partial(WSD, 1.0, 9, 3, shape="sqrt"),
            'WSD: shape must be "linear", "cosine", "1-sqrt" or "1-square", got \'sqrt\'',
        ),
        (partial(WSD, 1.0, 9, 3, shape=None), "WSD: shape must be"),
        (partial(Knee, 1.0, 9, 9), "Knee: knee must be in [warmup, steps) ([0, 9)), got 9"),
        (partial(Knee, 1.0, 9, 1, warmup=2), "Knee: knee must be in [warmup, steps) ([2, 9))"),
        (partial(OneCycle, 1.0, 9, 1.0), "OneCycle: pct_start must be in (0, 1), got 1.0"),
        (
            partial(OneCycle, 1.0, 9, 0.5, phases=3),
            "OneCycle: pct_start must be below 0.5 with three phases, got 0.5",
        ),
        (partial(OneCycle, 1.0, 9, phases=4), "OneCycle: phases must be 2 or 3, got 4"),
        (partial(OneCycle, 1.0, 9, div_factor=0), "OneCycle: div_factor must be in (0, inf)"),
        (
            lambda: OneCycle(1.0, 9, shape="1-sqrt").momentum(),
            'OneCycle: shape must be "linear" or "cosine" for a momentum, got \'1-sqrt\'',
        ),
        (lambda: OneCycle(1.0, 9).momentum(-1), "values[1] must be in [0, inf), got -1"),
        (partial(Cyclic, 0.1, 0.2, 0), "Cyclic: up must be an integer in [1, 2**53], got 0"),
        (partial(Cyclic, 0.1, 0.2, 3, 0), "Cyclic: down must be an integer in [1, 2**53], got 0"),
        (partial(Cyclic, 0.1, 0.2, mode="exp"), 'Cyclic: mode must be "triangular", "triangular2"'),
        (partial(CosineRestarts, 1.0, 0), "CosineRestarts: period must be an integer in [1, "),
        (partial(CosineRestarts, 1.0, 5, 0.5), "CosineRestarts: mult must be in [1, inf), got 0.5"),
        (
            partial(CosineRestarts, 1.0, 5, 1.0001),
            "CosineRestarts: mult must be 1 or at least 1.001, got 1.0001",
        ),
        (partial(CosineRestarts, 1.0, 5, gamma=0), "CosineRestarts: gamma must be in (0, inf)"),
        (partial(Chebyshev, 1.0, 8, 0.0), "Chebyshev: end must be in (0, inf), got 0.0"),
        (
            partial(Chebyshev, 1.0, 12, 0.1, warmup=2),
            'Chebyshev: steps - warmup must be a power of two with order "fractal", got 10',
        ),
        (
            partial(PiecewiseLinear, [1, 2], [1.0]),
            "PiecewiseLinear: the number of values must be 2, as of positions, got 1",
        ),
        (
            partial(PiecewiseLinear, [], []),
            "PiecewiseLinear: the number of values must be 1, as of positions, got 0",
        ),
        (
            partial(PiecewiseCosine, [1, 0.5], [1, 2]),
            "PiecewiseCosine: positions must be increasing, got [1.0, 0.5]",
        ),
        (
            partial(PiecewiseCosine, [-0.5], [1]),
            "PiecewiseCosine: positions[0] must be in [0, 2**53], got -0.5",
        ),
        (
            partial(Constant, 1.0, warmup=2, warmup_shape="exponential"),
            'Constant: warmup_shape must be "linear", "cosine", "1-sqrt", "1-square" or '
            "\"logarithmic\", got 'exponential'",
        ),
        *(
            (
                partial(cls, 1.0, 5, *more, warmup=5),
                f"{cls.__name__}: steps must be an integer > warmup (5), got 5",
            )
            for cls, *more in [
                *((cls,) for cls in (Cosine, Linear, OneCycle, Polynomial, REX, TanhDecay)),
                (Chebyshev, 0.1),
                (Hyperbolic, 9),
                (Knee, 5),
                (WSD, 1),
            ]
        ),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [n for n in schedules.__all__ if n[0].isupper()])
def test_docstrings_have_a_formula_and_every_argument(name):
    cls = getattr(schedules, name)
    if cls is schedules.Schedule:
        return
    doc = cls.__doc__
    notes = doc.split("    Notes\n    -----\n")[1]
    assert notes.lstrip().startswith("``"), f"{name}: Notes must begin with the formula"
    described = [
        argument
        for line in doc.splitlines()
        if " : " in line
        for argument in line.split(" : ")[0].strip().split(", ")
    ]
    assert set(cls.domains) <= set(described), name
    assert ">>>" in doc
