"""exp, log, pow and cospi from + - * / alone, within 1 ulp of the true value.

The specification of ``csrc/math.c``: the same operations in the same order. Method:

- *exp*: x = k ln2/8 + r with abs(r) <= ln2/16, e^x = 2^(k/8) e^r, and e^r by its Taylor series.
- *log*: x = 2^k m and r = m * (about 1/m from a table) - 1;
  log x = k ln2 - log(about 1/m) + (r - r^2/2 + r^3/3 - ...), the first terms exactly.
- *pow*: e^(y log x), with log x and the product in two floats, about 2^-65 relative.
- *cospi*: x = j/2 + r with abs(r) <= 1/4, and the Taylor series of sin or cos of pi r.

``math.frexp`` and ``math.ldexp`` take numbers apart and make powers of two; both are exact.
"""

from __future__ import annotations

from math import copysign, floor, frexp, inf, isnan, ldexp, nan

__all__ = ["cospi", "exp", "log", "pow"]

LN2_HI = float.fromhex("0x1.62e42ffp-1")  # ln 2 to 32 bits: k * LN2_HI is exact
LN2_LO = float.fromhex("-0x1.718432a1b0e26p-35")  # ln 2 - LN2_HI
EIGHT_OVER_LN2 = float.fromhex("0x1.71547652b82fep+3")
PI_HI = float.fromhex("0x1.921fb58p+1")  # pi to 26 bits: half-width products are exact
PI_LO = float.fromhex("-0x1.dde973dcb3b3ap-26")  # pi - PI_HI

# 2^(j/8), j = 0..7, as a sum of two floats.
EXP2_EIGHTH = [
    (float.fromhex(hi), float.fromhex(lo))
    for hi, lo in (
        ("0x1p+0", "0"),
        ("0x1.172b83c7d517bp+0", "-0x1.19041b9d78a76p-55"),
        ("0x1.306fe0a31b715p+0", "0x1.6f46ad23182e4p-55"),
        ("0x1.4bfdad5362a27p+0", "0x1.d4397afec42e2p-56"),
        ("0x1.6a09e667f3bcdp+0", "-0x1.bdd3413b26456p-54"),
        ("0x1.8ace5422aa0dbp+0", "0x1.6e9f156864b27p-54"),
        ("0x1.ae89f995ad3adp+0", "0x1.7a1cd345dcc81p-54"),
        ("0x1.d5818dcfba487p+0", "0x1.2ed02d75b3707p-55"),
    )
]

# For m next to c: a short number close to 1/c, so that products with half of m are exact, and minus
# its logarithm as a sum of two floats; the first of them is a multiple of 2^-42, so that
# k * LN2_HI + it is exact.
LOG_NEAR = [
    (inverse, float.fromhex(hi), float.fromhex(lo))
    for inverse, hi, lo in (
        # inverse, -log(inverse)                                    c
        (356 / 256, "-0x1.51aad872ep-2", "0x1.f4bd8db0a7cc1p-44"),  # 46/64
        (349 / 256, "-0x1.3d54fa5c1fp-2", "-0x1.c3e1cd9a395e3p-44"),  # 47/64
        (341 / 256, "-0x1.2596010df7p-2", "-0x1.8e7bc224ea3e3p-44"),  # 48/64
        (334 / 256, "-0x1.1058bf9ae5p-2", "0x1.4ab9d817d52cdp-44"),  # 49/64
        (328 / 256, "-0x1.fb9186d5e4p-3", "0x1.d572aab993c87p-47"),  # 50/64
        (321 / 256, "-0x1.cf6354e09cp-3", "-0x1.771239a07d55bp-45"),  # 51/64
        (315 / 256, "-0x1.a8becfc882p-3", "-0x1.e3185cf21b9cfp-44"),  # 52/64
        (309 / 256, "-0x1.815c0a1436p-3", "0x1.02a52f9201ce8p-44"),  # 53/64
        (303 / 256, "-0x1.59338d9982p-3", "-0x1.0ba68b7555d4ap-48"),  # 54/64
        (298 / 256, "-0x1.371fc201e8p-3", "-0x1.ee8779b2d8abcp-44"),  # 55/64
        (293 / 256, "-0x1.1478584674p-3", "-0x1.563451027c75p-46"),  # 56/64
        (287 / 256, "-0x1.d4313d66ccp-4", "0x1.9454379135713p-45"),  # 57/64
        (282 / 256, "-0x1.8c345d6318p-4", "-0x1.b20f5acb42a66p-44"),  # 58/64
        (278 / 256, "-0x1.51b073f06p-4", "-0x1.83f69278e686ap-44"),  # 59/64
        (273 / 256, "-0x1.075983599p-4", "0x1.b8ecfe4b59987p-44"),  # 60/64
        (269 / 256, "-0x1.95c830ec9p-5", "0x1.c148297c5feb8p-45"),  # 61/64
        (264 / 256, "-0x1.f829b0e78p-6", "-0x1.980267c7e09e4p-45"),  # 62/64
        (260 / 256, "-0x1.fc0a8b0fcp-7", "-0x1.f1e7cf6d3a69cp-50"),  # 63/64
        (256 / 256, "0", "0"),  # 32/32
        (248 / 256, "0x1.0415d89e78p-5", "-0x1.dddc7f461c516p-44"),  # 33/32
        (241 / 256, "0x1.eea31c0068p-5", "0x1.c3dd83606d891p-44"),  # 34/32
        (234 / 256, "0x1.700d30aeacp-4", "0x1.c1e8da99ded32p-49"),  # 35/32
        (228 / 256, "0x1.da72763844p-4", "0x1.a89401fa71733p-46"),  # 36/32
        (221 / 256, "0x1.2d1610c868p-3", "0x1.39d6ccb81b4a1p-47"),  # 37/32
        (216 / 256, "0x1.5bf406b544p-3", "-0x1.27023eb68981cp-46"),  # 38/32
        (210 / 256, "0x1.95a5adcf7p-3", "0x1.7f22858a0ff6fp-47"),  # 39/32
        (205 / 256, "0x1.c6ffbc6fp-3", "0x1.ee138d3a69d43p-44"),  # 40/32
        (200 / 256, "0x1.f991c6cb3cp-3", "-0x1.90d04cd7cc834p-44"),  # 41/32
        (195 / 256, "0x1.16b5ccbadp-2", "-0x1.23299042d74bfp-44"),  # 42/32
        (191 / 256, "0x1.2bef07cdc9p-2", "0x1.a9cfa4a5004f4p-45"),  # 43/32
        (186 / 256, "0x1.4718dc271cp-2", "0x1.06c18fb4c14c5p-44"),  # 44/32
        (182 / 256, "0x1.5d5bddf596p-2", "-0x1.a0b2a08a465dcp-47"),  # 45/32
    )
]


def _nearest(x: float) -> float:
    """The nearest whole number, ties to even, for abs(x) < 2^51."""
    return (x + 6755399441055744.0) - 6755399441055744.0  # 1.5 * 2^52


def _upper(x: float) -> float:
    """The upper 26 bits of x; x - upper(x) has 26 too, so products of such halves are exact."""
    t = x * 134217729.0  # 2^27 + 1
    return t - (t - x)


def _exp_of_sum(a: float, b: float) -> float:
    """e^(a + b), where abs(b) < abs(a) / 4096."""
    if a > 720.0:
        return inf
    if a < -760.0:
        return 0.0

    k = _nearest((a + b) * EIGHT_OVER_LN2)
    r0 = a - k * (0.125 * LN2_HI)  # exact
    r1 = b - k * (0.125 * LN2_LO)
    r = r0 + r1
    r2 = r * r
    q0 = 0.5 + r * (1 / 6)
    q1 = 1 / 24 + r * (1 / 120)
    q2 = 1 / 720 + (r * (1 / 5040) + r2 * (1 / 40320))
    q = q0 + r2 * (q1 + r2 * q2)
    e = r0 + (r1 + r2 * q)  # e^r - 1

    n, j = divmod(int(k), 8)
    hi, lo = EXP2_EIGHTH[j]
    y = hi + (lo + hi * e)
    # Two factors: a subnormal result, or one that overflows, is rounded once, at the end.
    half = n // 2
    return (y * ldexp(1.0, half)) * ldexp(1.0, n - half)


def _log_in_two(x: float) -> tuple[float, float]:
    """Two floats whose sum is log x; the first has 26 bits, the second is 4096 times smaller."""
    m, exponent = frexp(x)
    if m < 45.5 / 64:
        m, exponent = 2.0 * m, exponent - 1
    k = float(exponent)
    # 45.5/64 <= m < 45.5/32; c is the multiple of 1/64 (m < 1) or 1/32 nearest to m.
    i = floor(m * 64.0 - 45.5) if m < 127 / 128 else floor(m * 32.0 - 31.5) + 18
    inverse, log_hi, log_lo = LOG_NEAR[i]

    # r_hi + r_lo = m * inverse - 1, abs(r) < 1/56
    m_hi = (m + 201326592.0) - 201326592.0  # 1.5 * 2^27
    m_lo = m - m_hi
    p = m_hi * inverse - 1.0  # exact
    p_lo = m_lo * inverse  # exact
    r = p + p_lo
    r_hi = _upper(r)
    r_lo = (r - r_hi) + ((p - r) + p_lo)

    base = k * LN2_HI + log_hi  # exact
    total = base + r_hi
    total_error = (base - total) + r_hi
    square = 0.5 * (r_hi * r_hi)  # exact
    top = total - square
    top_error = (total - top) - square

    r2 = r * r
    r4 = r2 * r2
    q0 = (1 / 3 - r * (1 / 4)) + r2 * (1 / 5 - r * (1 / 6))
    q1 = (1 / 7 - r * (1 / 8)) + r2 * (1 / 9 - r * (1 / 10))
    q = q0 + r4 * (q1 + r4 * (1 / 11))
    r_rest = r_lo - r_lo * (0.5 * (r + r_hi))
    error = (total_error + top_error) + (k * LN2_LO + log_lo)
    small = (r_rest + error) + (r * r2) * q
    hi = _upper(top)
    return hi, (top - hi) + small


def exp(x: float) -> float:
    """e^x."""
    return x if isnan(x) else _exp_of_sum(x, 0.0)


def log(x: float) -> float:
    """Natural logarithm; -inf at zero, NaN below."""
    if not 0.0 < x < inf:
        if x == 0.0:
            return -inf
        return nan if x < 0.0 else x
    hi, lo = _log_in_two(x)
    return hi + lo


def pow(x: float, y: float) -> float:
    """x^y, with the special values of C99 (F.9.4.4)."""
    if y == 0.0 or x == 1.0:
        return 1.0
    if isnan(x) or isnan(y):
        return nan
    negative = copysign(1.0, x) < 0.0
    a = -x if negative else x
    if a == 0.0:
        value = 0.0 if y > 0.0 else inf
    elif a == inf:
        value = inf if y > 0.0 else 0.0
    elif negative and not (abs(y) == inf or y.is_integer()):
        return nan
    else:
        # Beyond 2^64 every power of a != 1 overflows or underflows, and so would upper(y).
        y0 = min(max(y, -18446744073709551616.0), 18446744073709551616.0)
        value = _pow_positive(a, y0)
    odd = y.is_integer() and int(y) % 2 == 1
    return -value if negative and odd else value


def _pow_positive(x: float, y: float) -> float:
    hi, lo = _log_in_two(x)
    y0 = _upper(y)
    y1 = y - y0
    return _exp_of_sum(y0 * hi, y1 * hi + y * lo)


def _sin_of_sum(x: float, e: float) -> float:
    """sin(x + e) for abs(x) <= pi/4 and an e below its last place."""
    z = x * x
    q = z * (1 / 355687428096000) - 1 / 1307674368000
    q = z * q + 1 / 6227020800
    q = z * q - 1 / 39916800
    q = z * q + 1 / 362880
    q = z * q - 1 / 5040
    q = z * q + 1 / 120
    q = z * q - 1 / 6
    return x + (e * (1.0 - 0.5 * z) + (x * z) * q)


def _cos_of_sum(x: float, e: float) -> float:
    z = x * x
    q = z * (1 / 20922789888000) - 1 / 87178291200
    q = z * q + 1 / 479001600
    q = z * q - 1 / 3628800
    q = z * q + 1 / 40320
    q = z * q - 1 / 720
    q = z * q + 1 / 24
    half = 0.5 * z
    w = 1.0 - half
    return w + (((1.0 - w) - half) + ((z * z) * q - x * e))


def cospi(x: float) -> float:
    """cos(pi x); exactly 0 and +-1 where it should be."""
    x = abs(x)
    if not x < 9007199254740992.0:  # beyond 2^53 all are even
        return 1.0 if x < inf else nan
    t = x - 2.0 * float(int(x * 0.5))  # exact, 0 <= t < 2
    j = _nearest(t * 2.0)
    r = t - j * 0.5
    r0 = _upper(r)
    r1 = r - r0
    a = r0 * PI_HI
    b = r1 * PI_HI + r * PI_LO
    y = a + b
    e = (a - y) + b
    if j == 1.0:
        return 0.0 - _sin_of_sum(y, e)
    if j == 3.0:
        return _sin_of_sum(y, e)
    return -_cos_of_sum(y, e) if j == 2.0 else _cos_of_sum(y, e)
