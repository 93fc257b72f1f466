/* The block pipeline. A chunk is walked in blocks that fit the first cache; each stage is a plain
 * loop over the block, and one that is off costs nothing. The order of the stages is part of the
 * promise of bits. Knows no rule. */
#include "reduce.h"

#include <string.h>

#define RULE(name, ...) extern const kernel NAME(name);
#include "rules.def"
#undef RULE

static const kernel *const kernels[LRC_RULES] = {
#define RULE(name, ...) &NAME(name),
#include "rules.def"
#undef RULE
};

/* ------------------------------------------------------------ stage 1: load the gradient */

/* Exact: the bits of a half, moved into a float's places, are the value times 2^-112. */
static inline real from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13, bits;
    float x;
    memcpy(&x, &rest, sizeof x);
    x *= 0x1p112f;
    memcpy(&bits, &x, sizeof x);
    bits = ((h & 0x7c00u) == 0x7c00u ? rest | 0x7f800000u : bits) | sign;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline real read_f32(const char *at)
{
    float x;
    memcpy(&x, at, sizeof x);
    return (real)x;
}

static inline real read_f64(const char *at)
{
    double x;
    memcpy(&x, at, sizeof x);
    return (real)x;
}

static inline real read_f16(const char *at)
{
    uint16_t x;
    memcpy(&x, at, sizeof x);
    return from_half(x);
}

static void gather(int dtype, size_t n, const char *g, int64_t stride, real *out)
{
    if (dtype == LRC_F32)
        for (size_t i = 0; i < n; i++)
            out[i] = read_f32(g + (int64_t)i * stride);
    else if (dtype == LRC_F64)
        for (size_t i = 0; i < n; i++)
            out[i] = read_f64(g + (int64_t)i * stride);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = read_f16(g + (int64_t)i * stride);
}

static const int64_t width[] = {[LRC_F32] = 4, [LRC_F64] = 8, [LRC_F16] = 2};

/* Elements at .. at + n - 1, in C order, of a gradient of any shape and strides. */
static void gather_strided(const lrc_tensor *x, int64_t at, int64_t n, real *out)
{
    int last = x->g_ndim - 1;
    int64_t index[LRC_MAX_DIMS], rest = at;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % x->g_shape[d];
        rest /= x->g_shape[d];
    }
    while (n > 0) {
        const char *g = x->g;
        for (int d = 0; d <= last; d++)
            g += index[d] * x->g_stride[d];
        int64_t run = x->g_shape[last] - index[last];
        run = run < n ? run : n;
        gather(x->g_dtype, (size_t)run, g, x->g_stride[last], out);
        out += run;
        n -= run;
        index[last] = 0;
        for (int d = last - 1; d >= 0 && ++index[d] == x->g_shape[d]; d--)
            index[d] = 0;
    }
}

/* Where the gradient is already real and in order it is used where it stands. */
static const real *load(const lrc_tensor *x, int64_t at, size_t n, real *buf)
{
    if (x->g_ndim) {
        gather_strided(x, at, (int64_t)n, buf);
        return buf;
    }
    const char *g = (const char *)x->g + at * width[x->g_dtype];
    if (x->g_dtype == x->dtype)
        return (const real *)(const void *)g;
    gather(x->g_dtype, n, g, width[x->g_dtype], buf);
    return buf;
}

/* ------------------------------------------- stages 2 and 3: scale and clip, then decay */

static const real *scale(size_t n, const real *g, real factor, real *out)
{
    EACH (i, n)
        out[i] = g[i] * factor;
    return out;
}

static const real *clip(size_t n, const real *g, real most, real *out)
{
    EACH (i, n)
        out[i] = g[i] > most ? most : g[i] < -most ? -most : g[i];
    return out;
}

static const real *couple(size_t n, const real *g, const real *p, real decay, real *out)
{
    EACH (i, n)
        out[i] = g[i] + decay * p[i];
    return out;
}

/* The gradient as the rule sees it: stages 1 to 3 over elements at .. at + n - 1. */
static const real *gradient(const lrc_tensor *x, int64_t at, size_t n, const lrc_constants *c,
                            real *buf)
{
    const real *g = load(x, at, n, buf);
    if (c->scale != 1)
        g = scale(n, g, (real)c->scale, buf);
    if (c->clip_value != 0)
        g = clip(n, g, (real)c->clip_value, buf);
    if (c->coupled != 0)
        g = couple(n, g, (const real *)x->p + at, (real)c->coupled, buf);
    return g;
}

/* ------------------------------------------------------------------------- the sweeps */

/* How much of a chunk that ends at `end` is the block that starts at `at`. */
static size_t block(int64_t at, int64_t end)
{
    return end - at < LRC_BLOCK ? (size_t)(end - at) : LRC_BLOCK;
}

static void state_at(const lrc_tensor *x, int64_t at, real *s[LRC_MAX_STATES])
{
    for (int j = 0; j < LRC_MAX_STATES; j++)
        s[j] = x->state[j] ? (real *)x->state[j] + at : NULL;
}

static void update(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c)
{
    real buf[LRC_BLOCK], *s[LRC_MAX_STATES], *p = x->p;
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block(at, end);
        const real *g = gradient(x, at, n, c, buf);
        state_at(x, at, s);
        kernels[rule]->update(n, p + at, g, s, c->rule);
    }
}

static void measure(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c,
                    double *sums)
{
    real buf[LRC_BLOCK], room[LRC_MAX_SUMS][LRC_BLOCK], *s[LRC_MAX_STATES];
    factors_t factors[LRC_MAX_SUMS];
    lrc_lanes lanes[LRC_MAX_SUMS] = {0};
    int count = lrc_rules[rule].sums;
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block(at, end);
        const real *g = gradient(x, at, n, c, buf);
        state_at(x, at, s);
        kernels[rule]->measure(n, (const real *)x->p + at, g, s, c->rule, factors, room);
        for (int j = 0; j < count; j++)
            NAME(sum)(n, factors[j].a, factors[j].b, &lanes[j]);
    }
    for (int j = 0; j < count; j++)
        sums[j] = NAME(total)(&lanes[j]);
}

static int norm(const lrc_tensor *x, lrc_chunk k, int square, double *sum)
{
    real buf[LRC_BLOCK];
    lrc_lanes lanes = {0};
    int finite = 1;
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block(at, end);
        const real *g = load(x, at, n, buf);
        if (square)
            NAME(sum)(n, g, g, &lanes);
        else
            finite &= NAME(finite)(n, g);
    }
    *sum = NAME(total)(&lanes);
    /* A finite sum has finite terms; an infinite one may have overflowed: look again. */
    return *sum - *sum == 0 ? finite : norm(x, k, 0, &(double){0});
}

/* `count` arrays (1 to 4) read and written beside one that is read: in one loop, as a rule's are.
 * They keep their values, but for the sign of zeros: 0 g could be NaN and is not folded away. */
static void roof(size_t n, int count, const real *restrict g, real *const *x)
{
    real *restrict a = x[0], *restrict b = x[1], *restrict c = x[2], *restrict d = x[3];
    const real zero = 0;
    if (count == 1)
        EACH (i, n)
            a[i] = a[i] + zero * g[i];
    else if (count == 2)
        EACH (i, n) {
            a[i] = a[i] + zero * g[i];
            b[i] = b[i] + zero * g[i];
        }
    else if (count == 3)
        EACH (i, n) {
            a[i] = a[i] + zero * g[i];
            b[i] = b[i] + zero * g[i];
            c[i] = c[i] + zero * g[i];
        }
    else
        EACH (i, n) {
            a[i] = a[i] + zero * g[i];
            b[i] = b[i] + zero * g[i];
            c[i] = c[i] + zero * g[i];
            d[i] = d[i] + zero * g[i];
        }
}

/* Without `write` everything is only read, by the check for finiteness. */
static void roofline(const lrc_tensor *x, lrc_chunk k, int write)
{
    real buf[LRC_BLOCK], *s[LRC_MAX_STATES], *touched[LRC_MAX_STATES + 4] = {0};
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block(at, end);
        const real *g = load(x, at, n, buf);
        int count = 1;
        state_at(x, at, s);
        touched[0] = (real *)x->p + at;
        for (int j = 0; j < LRC_MAX_STATES; j++)
            if (s[j])
                touched[count++] = s[j];
        if (write) {
            for (int j = 0; j < count; j += 4)
                roof(n, count - j, g, touched + j);
            continue;
        }
        (void)NAME(finite)(n, g);
        for (int j = 0; j < count; j++)
            (void)NAME(finite)(n, touched[j]);
    }
}

static void constants(int rule, const double *h, int64_t t, const double *sums, lrc_constants *c)
{
    kernels[rule]->constants(h, t, sums, c->rule);
}

extern const lrc_engine NAME(engine);
const lrc_engine NAME(engine) = {constants, update, measure, norm, roofline};
