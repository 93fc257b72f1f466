"""math.c: within 1 ulp of the true value, and bit for bit the reference."""

import ast
import ctypes
import math
import os
import random
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest

import lrcore
from lrcore.reference import math as reference

WRAPPER = """
#include <lrcore.h>
void values(int f, size_t n, const double *x, const double *y, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = f == 0 ? lrc_exp(x[i]) : f == 1 ? lrc_log(x[i])
               : f == 2 ? lrc_cospi(x[i]) : lrc_pow(x[i], y[i]);
}
"""
NAMES = ["exp", "log", "cospi", "pow"]
TRUE = {"exp": mpmath.exp, "log": mpmath.log, "cospi": mpmath.cospi, "pow": mpmath.power}
inf, nan = math.inf, math.nan
up, down = (lambda x: math.nextafter(x, inf)), (lambda x: math.nextafter(x, -inf))


@pytest.fixture(scope="module")
def c(tmp_path_factory):
    """The functions of the installed C library, over lists of arguments."""
    folder = tmp_path_factory.mktemp("math")
    source, library = folder / "wrapper.c", folder / "wrapper.so"
    source.write_text(WRAPPER)
    compiler = [*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O1"]
    include = f"-I{lrcore.get_include()}"
    command = [*compiler, include, source, lrcore.get_library(), "-lpthread", "-o", library]
    subprocess.run(command, check=True)
    values = ctypes.CDLL(str(library)).values
    array = np.ctypeslib.ndpointer(np.float64, flags="C")
    values.argtypes = [ctypes.c_int, ctypes.c_size_t, array, array, array]
    values.restype = None

    def evaluate(name, arguments):
        x = np.array([a[0] for a in arguments], np.float64)
        y = np.array([a[-1] for a in arguments], np.float64)
        out = np.empty_like(x)
        values(NAMES.index(name), len(x), x, y, out)
        return out

    return evaluate


def around(points):
    return [f(x) for x in points for f in (down, lambda x: x, up)]


def anything(r):
    return struct.unpack("d", r.getrandbits(64).to_bytes(8, "little"))[0]


def edges(name):
    """Arguments where the method changes, and where the format ends."""
    if name == "exp":
        seams = [(k + 0.5) * math.log(2) / 8 for k in range(-40, 40)]
        ends = [
            709.782712893384,
            709.0,
            -708.0,
            -708.3964185322641,
            -745.1332191019411,
            720.0,
            -760.0,
        ]
        return [(x,) for x in around([*seams, *ends, 0.0, 1.0, -1.0, 1e-8, -1e-8, 1e-300])]
    if name == "log":
        seams = [(k + 0.5) / 64 for k in range(44, 64)] + [(k + 0.5) / 32 for k in range(32, 46)]
        powers = [2.0**k for k in range(-1074, 1024, 9)]
        return [(x,) for x in around([*seams, *powers, 1.0, 0.1, 10.0]) if x > 0] + [(1.7e308,)]
    if name == "cospi":
        quarters = [k / 4 for k in range(1, 20)]
        far = [2.0**k + d for k in (10, 30, 49, 50, 51, 52) for d in (0.0, 0.25, 0.5, 1.0, 1.5)]
        return [(x,) for x in around([*quarters, *far, 1e-8, 0.5 + 1e-9])] + [(0.0,), (5e-324,)]
    decay = [0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1 - 1e-9, down(1.0), 2 / 3]
    t = [1.0, 2.0, 3.0, 7.0, 10.0, 100.0, 1e3, 1e4, 123456.0, 1e6, 1e9 - 1, 1e9]
    thin = [(x, y) for x in (5e-324, 1e-310, 1.7e308, 2.0) for y in (0.5, 1.0, -0.5, 0.01, -1.0)]
    ends = [(2.0, y) for y in around([1023.0, 1024.0, -1022.0, -1074.0, -1075.0])]
    return (
        [(b, y) for b in decay for y in t]
        + [(b, -y) for b in decay[2:] for y in t[:5]]
        + thin
        + ends
    )


def scattered(name, n, seed=0):
    """Random arguments, thick where a schedule or a bias correction would be."""
    r = random.Random(f"{name}{seed}")
    if name == "exp":
        draw = [
            lambda: r.uniform(-745.2, 709.8),
            lambda: r.uniform(-1, 1),
            lambda: r.uniform(-746, -707),
            lambda: r.choice([-1, 1]) * 10 ** r.uniform(-20, 2),
        ]
    elif name == "log":
        draw = [
            lambda: r.uniform(0.5, 2),
            lambda: 1 + r.choice([-1, 1]) * 10 ** r.uniform(-16, -1),
            lambda: math.ldexp(r.uniform(0.5, 1), r.randint(-1021, 1024)),
            lambda: math.ldexp(r.uniform(0.5, 1), r.randint(-1073, -1021)),
        ]
    elif name == "cospi":
        draw = [
            lambda: r.random() / 2,
            lambda: r.uniform(0, 4),
            lambda: 0.5 + r.choice([-1, 1]) * 10 ** r.uniform(-16, -1),
            lambda: 2 ** r.uniform(-50, 52),
        ]
    else:

        def near():
            return r.uniform(0.98, 1.02)

        def wide():
            return math.ldexp(r.uniform(0.5, 1), r.randint(-1000, 1000))

        def reaching(x):  # the whole range of results
            return (x, r.uniform(-745, 709) / math.log(x)) if x != 1 else (x, 1.0)

        draw = [
            lambda: (1 - 10 ** r.uniform(-9, 0), float(r.randint(1, 10 ** r.randint(1, 9)))),
            lambda: (r.random(), r.uniform(0, 5)),
            lambda: reaching(near()),
            lambda: reaching(wide()),
            lambda: (r.random(), 10 ** r.uniform(-3, 3)),
        ]
    values = (r.choice(draw)() for _ in range(n))
    return [v if isinstance(v, tuple) else (v,) for v in values]


def error(got, true):
    """Distance from the true value in units of its last place."""
    if abs(true) >= mpmath.mpf(2) ** 1024 * (1 - mpmath.mpf(2) ** -54):
        return 0.0 if got == math.copysign(inf, true) else inf
    below = abs(float(true))
    below = down(below) if below > abs(true) else below
    return float(abs(mpmath.mpf(float(got)) - true) / math.ulp(below))


def worst(name, arguments, got):
    with mpmath.workprec(200):
        found = (
            (error(g, TRUE[name](*map(mpmath.mpf, a))), a)
            for a, g in zip(arguments, got, strict=True)
        )
        return max(found)


@pytest.mark.parametrize("name", NAMES)
def test_within_one_ulp(c, name):
    arguments = edges(name) + scattered(name, 30_000)
    ulps, where = worst(name, arguments, c(name, arguments))
    assert ulps <= 1, f"{name}{where}: {ulps} ulp"
    assert ulps > 0.4  # the measure measures


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_within_one_ulp_of_many(c, name):
    arguments = scattered(name, 400_000, seed=1)
    ulps, where = worst(name, arguments, c(name, arguments))
    print(f"{name}: at most {ulps:.3f} ulp, at {where}")
    assert ulps <= 1, f"{name}{where}: {ulps} ulp"


@pytest.mark.parametrize("name", NAMES)
def test_bits_are_those_of_the_reference(c, name):
    r = random.Random(2)
    special = [0.0, -0.0, 1.0, -1.0, inf, -inf, nan, 5e-324, -2.0, 2.0**52, 2.0**53, 2.0**64, 1e300]
    if name == "pow":
        arguments = [(x, y) for x in special for y in special]
        arguments += [(anything(r), anything(r)) for _ in range(10_000)]
        arguments += [(anything(r), r.uniform(-3, 3)) for _ in range(10_000)]
    else:
        arguments = [(x,) for x in special + [anything(r) for _ in range(20_000)]]
    arguments += edges(name) + scattered(name, 30_000)
    got = c(name, arguments)
    want = np.array([getattr(reference, name)(*a) for a in arguments])
    same = (got.view(np.int64) == want.view(np.int64)) | (np.isnan(got) & np.isnan(want))
    wrong = np.flatnonzero(~same)
    assert not len(wrong), f"{name}{arguments[wrong[0]]}: {got[wrong[0]]!r}, not {want[wrong[0]]!r}"


def test_pow_has_the_special_values_of_c99(c):
    odd, even, half = 3.0, 2.0, 0.5
    rows = [(x, y, 1.0) for x in (0.0, -0.0, nan, inf, -inf, -2.0, 3.0) for y in (0.0, -0.0)]
    rows += [(1.0, y, 1.0) for y in (nan, inf, -inf, 7.0)]
    rows += [(-1.0, inf, 1.0), (-1.0, -inf, 1.0), (nan, 1.0, nan), (2.0, nan, nan)]
    rows += [(0.0, odd, 0.0), (-0.0, odd, -0.0), (-0.0, even, 0.0), (-0.0, half, 0.0)]
    rows += [(0.0, -odd, inf), (-0.0, -odd, -inf), (-0.0, -even, inf), (0.0, -half, inf)]
    rows += [(half, inf, 0.0), (half, -inf, inf), (2.0, inf, inf), (2.0, -inf, 0.0)]
    rows += [(inf, half, inf), (inf, -half, 0.0), (-inf, odd, -inf), (-inf, even, inf)]
    rows += [(-inf, -odd, -0.0), (-inf, -even, 0.0), (-inf, half, inf), (0.0, inf, 0.0)]
    rows += [(-2.0, odd, -8.0), (-2.0, -odd, -0.125), (-2.0, even, 4.0), (-2.0, half, nan)]
    rows += [(-3.0, inf, inf), (-0.5, inf, 0.0), (-2.0, 2.0**53, inf), (-2.0, 1025.0, -inf)]
    got = c("pow", [(x, y) for x, y, _ in rows])
    for (x, y, want), value in zip(rows, got, strict=True):
        same = struct.pack("d", value) == struct.pack("d", want) or (
            value != value and want != want
        )
        assert same, f"pow({x}, {y}) is {value}, not {want}"


def test_other_special_values(c):
    assert c("exp", [(inf,), (-inf,), (0.0,), (-0.0,)]).tolist() == [inf, 0.0, 1.0, 1.0]
    assert c("log", [(inf,), (0.0,), (-0.0,), (1.0,)]).tolist() == [inf, -inf, -inf, 0.0]
    assert c("cospi", [(0.0,), (0.5,), (1.0,), (1.5,), (1e300,)]).tolist() == [1, 0, -1, 0, 1]
    assert np.isnan(c("exp", [(nan,)])).all()
    assert np.isnan(c("log", [(nan,), (-1.0,), (-inf,)])).all()
    assert np.isnan(c("cospi", [(nan,), (inf,), (-inf,)])).all()


def test_exact_results_are_exact(c):
    r = random.Random(3)
    cases = [((2.0, float(k)), math.ldexp(1.0, k)) for k in range(-1074, 1024)]
    cases += [((float(b), float(k)), float(b**k)) for b in (3, 10, 0.5) for k in range(23)]
    numbers = [r.uniform(0, 1) for _ in range(1000)] + [abs(anything(r)) for _ in range(1000)]
    cases += [((x, 1.0), x) for x in numbers if math.isfinite(x)]
    cases += [((float(k * k), 0.5), float(k)) for k in range(1, 1000)]
    got = c("pow", [a for a, _ in cases])
    assert not [a for (a, want), value in zip(cases, got, strict=True) if value != want]
    whole = c("cospi", [(float(k),) for k in range(1000)])
    assert whole.tolist() == [1.0, -1.0] * 500
    assert not c("cospi", [(k + 0.5,) for k in range(1000)]).any()


def test_constants():
    def near(got, true, bits):
        return abs(got - true) < mpmath.mpf(2) ** -bits

    with mpmath.workprec(300):
        assert near(mpmath.mpf(reference.LN2_HI) + reference.LN2_LO, mpmath.log(2), 87)
        assert near(mpmath.mpf(reference.PI_HI) + reference.PI_LO, mpmath.pi, 78)
        assert float(8 / mpmath.log(2)) == reference.EIGHT_OVER_LN2
        for j, (hi, lo) in enumerate(reference.EXP2_EIGHTH):
            assert near(mpmath.mpf(hi) + lo, mpmath.mpf(2) ** (mpmath.mpf(j) / 8), 106)
        for inverse, hi, lo in reference.LOG_NEAR:
            assert near(mpmath.mpf(hi) + lo, -mpmath.log(inverse), 94)
            assert (hi * 2.0**42).is_integer()
            assert Fraction(inverse).denominator <= 256
        assert len(reference.LOG_NEAR) == 32


@pytest.mark.parametrize("module", ["math", "schedules"])
def test_the_reference_leaves_nothing_to_the_platform(module):
    """No power, no function of libm but those that are exact."""
    source = Path(reference.__file__).with_name(f"{module}.py").read_text()
    exact = {"copysign", "floor", "frexp", "inf", "isnan", "ldexp", "nan", "sqrt"}
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, ast.Pow), f"{module}.py: a power"
        if isinstance(node, ast.ImportFrom) and node.module == "math" and node.level == 0:
            assert {a.name for a in node.names} <= exact
        if isinstance(node, ast.Import):
            assert "math" not in {a.name for a in node.names}
