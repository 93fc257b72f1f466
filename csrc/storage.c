#include "storage.h"

#include <string.h>

/* Bytes of an element. */
const int64_t NAME(width)[] = {[LRC_REAL] = sizeof(real),
                               [LRC_F32] = 4,
                               [LRC_F64] = 8,
                               [LRC_F16] = 2,
                               [LRC_BF16] = 2,
                               [LRC_Q8] = 1};

static inline uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float float_of(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

#define HALF_WORD(words, i, odd) ((odd) ? (words)[i] >> 16 : (words)[i] % 0x10000u)

/* ------------------------------------------------------------------------- one element */

static inline float from_bf16(uint16_t h) { return float_of((uint32_t)h << 16); }

/* Exact: the bits of a half, moved into a float's places, are the value times 2^-112. */
static inline float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13;
    uint32_t bits = bits_of(float_of(rest) * 0x1p112f);
    bits = ((h & 0x7c00u) == 0x7c00u ? rest | 0x7f800000u : bits) | sign;
    return float_of(bits);
}

/* `round` is what is added before the lower bits are cut off: random, or for the nearest. */
static inline uint16_t to_bf16(float x, uint32_t random, int stochastic)
{
    uint32_t u = bits_of(x), even = 0x7fffu + ((u >> 16) & 1);
    return (uint16_t)(x != x ? 0x7fc0u : (u + (stochastic ? random : even)) >> 16);
}

/* Below the smallest normal half the spacing is 2^-24: that of floats from 1/2 to 1. */
static inline uint16_t to_half(float x, uint32_t random, int stochastic)
{
    uint32_t u = bits_of(x), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    uint32_t round = stochastic ? random >> 3 : 0xfffu + ((a >> 13) & 1);
    uint32_t normal = (a - 0x38000000u + round) >> 13;
    float small = a < 0x38800000u ? float_of(a) : 0;
    uint32_t nearest = bits_of(small + 0.5f) - bits_of(0.5f);
    uint32_t chance =
        (uint32_t)(int32_t)(small * 0x1p24f + (float)(int32_t)(random >> 3) * 0x1p-13f);
    uint32_t tiny = stochastic ? chance : nearest;
    uint32_t h = a > 0x7f800000u    ? 0x7e00u
                 : a >= 0x47800000u ? 0x7c00u
                 : a >= 0x38800000u ? normal
                                    : tiny;
    return (uint16_t)(h | sign);
}

/* --------------------------------------------- 8 bits: a float of 4 bits of mantissa
 *
 * Relative to the largest of its block, a number is |x| 2^-E + C; code is what its bits are above
 * those of C. Well above C the steps are relative (1/16), below they are even and reach 0. Scales are
 * powers of two, so that a block whose largest changes keeps its grid: what is on it stays. */

enum { CUT = 19, HALF = 1 << (CUT - 1) };

static inline float least(int positive) { return positive ? 0x1p-15f : 0x1p-7f; }

static inline float from_q8(uint32_t code, float unit, int positive)
{
    const float c = least(positive);
    uint32_t number = positive ? code : code & 0x7fu, sign = positive ? 0 : (code & 0x80u) << 24;
    return float_of(bits_of((float_of((number << CUT) + bits_of(c)) - c) * unit) | sign);
}

static void decode_q8(size_t n, const uint8_t *restrict code, uint8_t scale, int positive,
                      real *restrict out)
{
    const float unit = float_of((uint32_t)scale << 23);
    if (positive)
        EACH (i, n)
            out[i] = (real)from_q8(code[i], unit, 1);
    else
        EACH (i, n)
            out[i] = (real)from_q8(code[i], unit, 0);
}

/* The exponent under which the largest, too, is rounded to a code that exists. */
static uint8_t scale_q8(size_t n, const real *x, int positive)
{
    uint32_t top = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t a = bits_of((float)x[i]) & 0x7fffffffu;
        top = a > top ? a : top;
    }
    top = (top + (positive ? 0x800ffu : 0x8ffffu)) >> 23;
    return (uint8_t)(top > 255 ? 255 : top);
}

static inline uint8_t to_q8(float x, float inverse, int positive, uint32_t round)
{
    const float c = least(positive);
    uint32_t u = bits_of(x), a = u & 0x7fffffffu, one = 1u << CUT;
    uint32_t q = bits_of(float_of(a) * inverse + c) - bits_of(c) + round;
    if (!positive)
        return (uint8_t)(q >> CUT | (u >> 24 & 0x80u));
    one = a < one ? a : one; /* not a step for 0, nor for numbers below 2^-130 */
    return (uint8_t)((q > one ? q : one) >> CUT);
}

static void encode_q8(size_t n, const real *restrict x, uint8_t scale, int positive,
                      const uint32_t *restrict random, int odd, uint8_t *restrict code)
{
    const float tiny = float_of(0x400000u); /* 2^-127 */
    const float inverse = scale < 254 ? float_of((254u - scale) << 23) : tiny;
#define ENCODE_Q8(positive, round) \
    EACH (i, n)                    \
    code[i] = to_q8((float)x[i], inverse, positive, round)
    if (scale == 255)
        memset(code, 0xff, n);
    else if (positive && odd)
        ENCODE_Q8(1, HALF_WORD(random, i, 1) << 3);
    else if (positive)
        ENCODE_Q8(1, HALF_WORD(random, i, 0) << 3);
    else if (!random)
        ENCODE_Q8(0, HALF);
    else if (odd)
        ENCODE_Q8(0, HALF_WORD(random, i, 1) << 3);
    else
        ENCODE_Q8(0, HALF_WORD(random, i, 0) << 3);
}

/* ------------------------------------------------------------------------------- arrays */

#define FROM_F32(x) (x)
#define FROM_F64(x) (x)

/* One loop for elements that follow each other, which the compiler makes vectors of, and one for
 * those that do not. */
#define DECODE(type, convert)                                      \
    do {                                                           \
        const type *restrict x = (const type *)(const void *)from; \
        if (stride == sizeof(type))                                \
            EACH (i, n)                                            \
                out[i] = (real)convert(x[i]);                      \
        else                                                       \
            for (size_t i = 0; i < n; i++) {                       \
                type y;                                            \
                memcpy(&y, from + (int64_t)i * stride, sizeof y);  \
                out[i] = (real)convert(y);                         \
            }                                                      \
    } while (0)

void NAME(gather)(int dtype, size_t n, const char *from, int64_t stride, real *restrict out)
{
    if (dtype == LRC_F32)
        DECODE(float, FROM_F32);
    else if (dtype == LRC_F64)
        DECODE(double, FROM_F64);
    else if (dtype == LRC_F16)
        DECODE(uint16_t, from_half);
    else
        DECODE(uint16_t, from_bf16);
}

/* The blocks of 8 bits within the elements at .. at + n - 1. */
#define EACH_Q8(i, m, n) \
    for (size_t i = 0, m; m = (n)-i < LRC_Q8_BLOCK ? (n)-i : LRC_Q8_BLOCK, i < (n); i += m)

real *NAME(decode)(const lrc_array *a, int64_t at, size_t n, real *buf)
{
    const int64_t width = NAME(width)[a->dtype];
    char *from = (char *)a->data + at * width;
    if (a->dtype == LRC_REAL || a->dtype == REAL_DTYPE)
        return (real *)(void *)from;
    if (a->dtype != LRC_Q8) {
        NAME(gather)(a->dtype, n, from, width, buf);
        return buf;
    }
    const uint8_t *code = (const uint8_t *)from, *scale = a->scale + at / LRC_Q8_BLOCK;
    EACH_Q8(i, m, n)
    decode_q8(m, code + i, *scale++, a->positive, buf + i);
    return buf;
}

#define ENCODE(convert)                                                  \
    do {                                                                 \
        uint16_t *restrict out = (uint16_t *)a->data + at;               \
        if (!bits)                                                       \
            EACH (i, n)                                                  \
                out[i] = convert((float)x[i], 0, 0);                     \
        else if (odd)                                                    \
            EACH (i, n)                                                  \
                out[i] = convert((float)x[i], HALF_WORD(bits, i, 1), 1); \
        else                                                             \
            EACH (i, n)                                                  \
                out[i] = convert((float)x[i], HALF_WORD(bits, i, 0), 1); \
    } while (0)

void NAME(encode)(const lrc_array *a, int64_t at, size_t n, const real *restrict x,
                  const uint32_t *restrict bits, int odd)
{
    if (a->dtype == LRC_BF16)
        ENCODE(to_bf16);
    else if (a->dtype == LRC_F16)
        ENCODE(to_half);
    else if (a->dtype == LRC_F32 && REAL_DTYPE != LRC_F32) {
        float *restrict out = (float *)a->data + at;
        EACH (i, n)
            out[i] = (float)x[i];
    } else if (a->dtype == LRC_Q8) {
        uint8_t *code = (uint8_t *)a->data + at, *scale = a->scale + at / LRC_Q8_BLOCK;
        EACH_Q8(i, m, n)
        {
            *scale = scale_q8(m, x + i, a->positive);
            encode_q8(m, x + i, *scale++, a->positive, bits ? bits + i : NULL, odd, code + i);
        }
    }
}

void NAME(join)(size_t n, const uint16_t *upper, const uint16_t *lower, real *out)
{
    EACH (i, n)
        out[i] = (real)float_of((uint32_t)upper[i] << 16 | lower[i]);
}

void NAME(split)(size_t n, const real *x, uint16_t *upper, uint16_t *lower)
{
    EACH (i, n) {
        uint32_t u = bits_of((float)x[i]);
        upper[i] = (uint16_t)(u >> 16);
        lower[i] = (uint16_t)(u & 0xffffu);
    }
}

/* -------------------------------------------------------------------------- random bits */

/* splitmix64's finalizer: Steele, Lea & Flood 2014, "Fast Splittable Pseudorandom Number Generators",
 * with the constants of Stafford's mix 13. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The key is worked out once; an element costs two products of 32 bits (the rounds are Wellons' 2018
 * lowbias32, with the key's other half between them). */
void NAME(draw)(uint64_t seed, int64_t age, int64_t tensor, int word, int64_t at, size_t n,
                uint32_t *out)
{
    uint64_t high = (uint64_t)at >> 32;
    uint64_t key = mix(mix(mix(mix(seed) ^ (uint64_t)age) ^ (uint64_t)tensor) ^
                       ((uint64_t)word + (high << 8)));
    const uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32), first = (uint32_t)at;
    EACH (i, n) {
        uint32_t x = (first + (uint32_t)i) * 0x9e3779b1u + k0;
        x = (x ^ x >> 16) * 0x7feb352du;
        x = (x ^ (x >> 15 ^ k1)) * 0x846ca68bu;
        out[i] = x ^ x >> 16;
    }
}
