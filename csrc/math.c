/* exp, log, pow and cospi from + - * / alone, so that their bits are the same on every platform.
 *
 * Each is within 1 ulp of the true value (tests/test_math.py). The reference, operation for
 * operation, is lrcore/reference/math.py; a change here is a change there. Method:
 *
 *   exp    x = k ln2/8 + r, |r| <= ln2/16:    e^x = 2^(k/8) e^r, e^r by its Taylor series
 *   log    x = 2^k m, r = m * (about 1/m from a table) - 1:
 *          log x = k ln2 - log(about 1/m) + (r - r^2/2 + r^3/3 - ...), the first terms exactly
 *   pow    e^(y log x), with log x and the product in two doubles, about 2^-65 relative
 *   cospi  x = j/2 + r, |r| <= 1/4: Taylor series of sin or cos of pi r, pi r in two doubles
 *
 * Products that must be exact are split after Veltkamp and Dekker (Numerische Math. 18, 1971). */
#include <math.h>
#include <string.h>

#include "lrcore.h"

static const double LN2_HI = 0x1.62e42ffp-1;         /* ln 2 to 32 bits: k * LN2_HI is exact */
static const double LN2_LO = -0x1.718432a1b0e26p-35; /* ln 2 - LN2_HI */
static const double EIGHT_OVER_LN2 = 0x1.71547652b82fep+3;
static const double PI_HI = 0x1.921fb58p+1; /* pi to 26 bits: half-width products are exact */
static const double PI_LO = -0x1.dde973dcb3b3ap-26; /* pi - PI_HI */

/* 2^(j/8), j = 0..7, as a sum of two doubles. */
static const double EXP2_EIGHTH[8][2] = {
    {0x1p+0, 0},
    {0x1.172b83c7d517bp+0, -0x1.19041b9d78a76p-55},
    {0x1.306fe0a31b715p+0, 0x1.6f46ad23182e4p-55},
    {0x1.4bfdad5362a27p+0, 0x1.d4397afec42e2p-56},
    {0x1.6a09e667f3bcdp+0, -0x1.bdd3413b26456p-54},
    {0x1.8ace5422aa0dbp+0, 0x1.6e9f156864b27p-54},
    {0x1.ae89f995ad3adp+0, 0x1.7a1cd345dcc81p-54},
    {0x1.d5818dcfba487p+0, 0x1.2ed02d75b3707p-55},
};

/* For m next to c: a short number close to 1/c, so that products with half of m are exact, and
 * minus its logarithm as a sum of two doubles; the first of them is a multiple of 2^-42, so that
 * k * LN2_HI + it is exact. */
static const double LOG_NEAR[32][3] = {
    /* inverse, -log(inverse)                                   c */
    {356 / 256.0, -0x1.51aad872ep-2, 0x1.f4bd8db0a7cc1p-44},   /* 46/64 */
    {349 / 256.0, -0x1.3d54fa5c1fp-2, -0x1.c3e1cd9a395e3p-44}, /* 47/64 */
    {341 / 256.0, -0x1.2596010df7p-2, -0x1.8e7bc224ea3e3p-44}, /* 48/64 */
    {334 / 256.0, -0x1.1058bf9ae5p-2, 0x1.4ab9d817d52cdp-44},  /* 49/64 */
    {328 / 256.0, -0x1.fb9186d5e4p-3, 0x1.d572aab993c87p-47},  /* 50/64 */
    {321 / 256.0, -0x1.cf6354e09cp-3, -0x1.771239a07d55bp-45}, /* 51/64 */
    {315 / 256.0, -0x1.a8becfc882p-3, -0x1.e3185cf21b9cfp-44}, /* 52/64 */
    {309 / 256.0, -0x1.815c0a1436p-3, 0x1.02a52f9201ce8p-44},  /* 53/64 */
    {303 / 256.0, -0x1.59338d9982p-3, -0x1.0ba68b7555d4ap-48}, /* 54/64 */
    {298 / 256.0, -0x1.371fc201e8p-3, -0x1.ee8779b2d8abcp-44}, /* 55/64 */
    {293 / 256.0, -0x1.1478584674p-3, -0x1.563451027c75p-46},  /* 56/64 */
    {287 / 256.0, -0x1.d4313d66ccp-4, 0x1.9454379135713p-45},  /* 57/64 */
    {282 / 256.0, -0x1.8c345d6318p-4, -0x1.b20f5acb42a66p-44}, /* 58/64 */
    {278 / 256.0, -0x1.51b073f06p-4, -0x1.83f69278e686ap-44},  /* 59/64 */
    {273 / 256.0, -0x1.075983599p-4, 0x1.b8ecfe4b59987p-44},   /* 60/64 */
    {269 / 256.0, -0x1.95c830ec9p-5, 0x1.c148297c5feb8p-45},   /* 61/64 */
    {264 / 256.0, -0x1.f829b0e78p-6, -0x1.980267c7e09e4p-45},  /* 62/64 */
    {260 / 256.0, -0x1.fc0a8b0fcp-7, -0x1.f1e7cf6d3a69cp-50},  /* 63/64 */
    {1.0, 0.0, 0.0},                                           /* 32/32 */
    {248 / 256.0, 0x1.0415d89e78p-5, -0x1.dddc7f461c516p-44},  /* 33/32 */
    {241 / 256.0, 0x1.eea31c0068p-5, 0x1.c3dd83606d891p-44},   /* 34/32 */
    {234 / 256.0, 0x1.700d30aeacp-4, 0x1.c1e8da99ded32p-49},   /* 35/32 */
    {228 / 256.0, 0x1.da72763844p-4, 0x1.a89401fa71733p-46},   /* 36/32 */
    {221 / 256.0, 0x1.2d1610c868p-3, 0x1.39d6ccb81b4a1p-47},   /* 37/32 */
    {216 / 256.0, 0x1.5bf406b544p-3, -0x1.27023eb68981cp-46},  /* 38/32 */
    {210 / 256.0, 0x1.95a5adcf7p-3, 0x1.7f22858a0ff6fp-47},    /* 39/32 */
    {205 / 256.0, 0x1.c6ffbc6fp-3, 0x1.ee138d3a69d43p-44},     /* 40/32 */
    {200 / 256.0, 0x1.f991c6cb3cp-3, -0x1.90d04cd7cc834p-44},  /* 41/32 */
    {195 / 256.0, 0x1.16b5ccbadp-2, -0x1.23299042d74bfp-44},   /* 42/32 */
    {191 / 256.0, 0x1.2bef07cdc9p-2, 0x1.a9cfa4a5004f4p-45},   /* 43/32 */
    {186 / 256.0, 0x1.4718dc271cp-2, 0x1.06c18fb4c14c5p-44},   /* 44/32 */
    {182 / 256.0, 0x1.5d5bddf596p-2, -0x1.a0b2a08a465dcp-47},  /* 45/32 */
};

static inline uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline double from_bits(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* -1022 <= k <= 1023 */
static inline double power_of_two(int k) { return from_bits((uint64_t)(k + 1023) << 52); }

/* The nearest whole number, ties to even, for |x| < 2^51. */
static inline double nearest(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

/* The upper 26 bits of x; x - upper(x) has 26 too, so products of such halves are exact. */
static inline double upper(double x)
{
    double t = x * 134217729.0; /* 2^27 + 1 */
    return t - (t - x);
}

/* e^(a + b), where |b| < |a| / 4096. */
static inline double exp_of_sum(double a, double b)
{
    if (a > 720.0)
        return INFINITY;
    if (a < -760.0)
        return 0.0;

    double k = nearest((a + b) * EIGHT_OVER_LN2);
    double r0 = a - k * (0.125 * LN2_HI); /* exact */
    double r1 = b - k * (0.125 * LN2_LO);
    double r = r0 + r1;
    double r2 = r * r;
    double q0 = 0.5 + r * (1.0 / 6), q1 = 1.0 / 24 + r * (1.0 / 120);
    double q2 = 1.0 / 720 + (r * (1.0 / 5040) + r2 * (1.0 / 40320));
    double q = q0 + r2 * (q1 + r2 * q2);
    double e = r0 + (r1 + r2 * q); /* e^r - 1 */

    int i = (int)k, j = i & 7;
    double hi = EXP2_EIGHTH[j][0], lo = EXP2_EIGHTH[j][1];
    double y = hi + (lo + hi * e);
    int n = i >> 3;
    if (a > -708.0 && a < 709.0)
        return y * power_of_two(n);
    /* Two factors: a subnormal result, or one that overflows, is rounded once, at the end. */
    int half = n >> 1;
    return (y * power_of_two(half)) * power_of_two(n - half);
}

/* log(x 2^k) = *hi + *lo for a normal x > 0; *hi has 26 bits, |*lo| < |*hi| / 4096. */
static inline void log_in_two(double x, double k, double *hi, double *lo)
{
    /* 45.5/64 <= m < 45.5/32; c is the multiple of 1/64 (m < 1) or 1/32 nearest to m. */
    uint64_t u = bits_of(x), above = u - bits_of(45.5 / 64);
    const double *near = LOG_NEAR[above >> 47 & 31];
    k = k + (double)((int64_t)above >> 52);
    double m = from_bits(u - (above & 0xfff0000000000000u));

    /* r_hi + r_lo = m * inverse - 1, |r| < 1/56 */
    double m_hi = (m + 0x1.8p27) - 0x1.8p27, m_lo = m - m_hi;
    double p = m_hi * near[0] - 1.0, p_lo = m_lo * near[0]; /* exact */
    double r = p + p_lo;
    double r_hi = upper(r), r_lo = (r - r_hi) + ((p - r) + p_lo);

    double base = k * LN2_HI + near[1]; /* exact */
    double sum = base + r_hi;
    double sum_error = (base - sum) + r_hi;
    double square = 0.5 * (r_hi * r_hi); /* exact */
    double top = sum - square;
    double top_error = (sum - top) - square;

    double r2 = r * r, r4 = r2 * r2;
    double q0 = (1.0 / 3 - r * (1.0 / 4)) + r2 * (1.0 / 5 - r * (1.0 / 6));
    double q1 = (1.0 / 7 - r * (1.0 / 8)) + r2 * (1.0 / 9 - r * (1.0 / 10));
    double q = q0 + r4 * (q1 + r4 * (1.0 / 11));
    double r_rest = r_lo - r_lo * (0.5 * (r + r_hi));
    double error = (sum_error + top_error) + (k * LN2_LO + near[2]);
    double small = (r_rest + error) + (r * r2) * q;
    *hi = upper(top);
    *lo = (top - *hi) + small;
}

double lrc_exp(double x)
{
    if (x != x)
        return x;
    return exp_of_sum(x, 0.0);
}

double lrc_log(double x)
{
    if (!(x > 0.0 && x < INFINITY)) {
        if (x == 0.0)
            return -INFINITY;
        return x < 0.0 ? NAN : x;
    }
    double hi, lo;
    if (x < 0x1p-1022)
        log_in_two(x * 0x1p54, -54.0, &hi, &lo);
    else
        log_in_two(x, 0.0, &hi, &lo);
    return hi + lo;
}

/* (x 2^k)^y for a normal x > 0 and |y| <= 2^64. */
static inline double pow_positive(double x, double k, double y)
{
    double hi, lo, y0 = upper(y), y1 = y - y0;
    log_in_two(x, k, &hi, &lo);
    return exp_of_sum(y0 * hi, y1 * hi + y * lo);
}

static int is_whole(double y)
{
    if (!(y < 0x1p52 && y > -0x1p52))
        return y == y;
    return (double)(int64_t)y == y;
}

static int is_odd(double y)
{
    if (!(y < 0x1p53 && y > -0x1p53))
        return 0;
    return (double)(int64_t)y == y && ((int64_t)y & 1);
}

/* What is rare, and what C99 (F.9.4.4) says of zeros, infinities, NaN and negative bases. */
static double pow_special(double x, double y)
{
    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (x != x || y != y)
        return NAN;
    int negative = (int)(bits_of(x) >> 63);
    double a = negative ? -x : x, value;
    if (a == 0.0)
        value = y > 0.0 ? 0.0 : INFINITY;
    else if (a == INFINITY)
        value = y > 0.0 ? INFINITY : 0.0;
    else if (negative && !is_whole(y))
        return NAN;
    else {
        /* Beyond 2^64 every power of a != 1 overflows or underflows, and so would upper(y). */
        double z = y > 0x1p64 ? 0x1p64 : y < -0x1p64 ? -0x1p64 : y;
        value = a < 0x1p-1022 ? pow_positive(a * 0x1p54, -54.0, z) : pow_positive(a, 0.0, z);
    }
    return negative && is_odd(y) ? -value : value;
}

double lrc_pow(double x, double y)
{
    if (x >= 0x1p-1022 && x < INFINITY && y > -0x1p64 && y < 0x1p64)
        return pow_positive(x, 0.0, y);
    return pow_special(x, y);
}

/* sin(x + e) for |x| <= pi/4 and an e below its last place. */
static inline double sin_of_sum(double x, double e)
{
    double z = x * x;
    double q = z * (1.0 / 355687428096000) - 1.0 / 1307674368000;
    q = z * q + 1.0 / 6227020800;
    q = z * q - 1.0 / 39916800;
    q = z * q + 1.0 / 362880;
    q = z * q - 1.0 / 5040;
    q = z * q + 1.0 / 120;
    q = z * q - 1.0 / 6;
    return x + (e * (1.0 - 0.5 * z) + (x * z) * q);
}

static inline double cos_of_sum(double x, double e)
{
    double z = x * x;
    double q = z * (1.0 / 20922789888000) - 1.0 / 87178291200;
    q = z * q + 1.0 / 479001600;
    q = z * q - 1.0 / 3628800;
    q = z * q + 1.0 / 40320;
    q = z * q - 1.0 / 720;
    q = z * q + 1.0 / 24;
    double half = 0.5 * z;
    double w = 1.0 - half;
    return w + (((1.0 - w) - half) + ((z * z) * q - x * e));
}

double lrc_cospi(double x)
{
    x = x < 0.0 ? -x : x;
    if (!(x < 0x1p53))
        return x < INFINITY ? 1.0 : NAN;             /* beyond 2^53 all are even */
    double t = x - 2.0 * (double)(int64_t)(x * 0.5); /* exact, 0 <= t < 2 */
    double j = nearest(t * 2.0);
    double r = t - j * 0.5;
    double r0 = upper(r), r1 = r - r0;
    double a = r0 * PI_HI, b = r1 * PI_HI + r * PI_LO;
    double y = a + b, e = (a - y) + b;
    if (j == 1.0)
        return 0.0 - sin_of_sum(y, e);
    if (j == 3.0)
        return sin_of_sum(y, e);
    return j == 2.0 ? -cos_of_sum(y, e) : cos_of_sum(y, e);
}
