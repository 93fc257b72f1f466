#include "reduce.h"

/* `n` is a multiple of LANES but for the last block of a chunk; the lanes live in registers. */
static inline void fold(size_t n, const real *a, const real *b, lrc_lanes *s)
{
    lrc_lanes t = *s;
    size_t i = 0, rest = n % LRC_LANES;
    for (; i < n - rest; i += LRC_LANES)
        for (size_t j = 0; j < LRC_LANES; j++)
            t.lane[j] += (double)a[i + j] * (double)b[i + j];
    for (size_t j = 0; j < rest; j++)
        t.lane[j] += (double)a[i + j] * (double)b[i + j];
    *s = t;
}

static inline void fold_one(size_t n, const real *a, lrc_lanes *s)
{
    lrc_lanes t = *s;
    size_t i = 0, rest = n % LRC_LANES;
    for (; i < n - rest; i += LRC_LANES)
        for (size_t j = 0; j < LRC_LANES; j++)
            t.lane[j] += (double)a[i + j];
    for (size_t j = 0; j < rest; j++)
        t.lane[j] += (double)a[i + j];
    *s = t;
}

/* Squares are compiled apart: half the loads. */
void NAME(sum)(size_t n, const real *a, const real *b, lrc_lanes *s)
{
    if (!b)
        fold_one(n, a, s);
    else if (a == b)
        fold(n, a, a, s);
    else
        fold(n, a, b, s);
}

/* The lanes of a strip live in registers, too, and start at 0. */
void NAME(strip)(size_t n, const real *a, const real *b, lrc_lanes *s)
{
    real t[LRC_LANES] = {0};
    size_t i = 0, rest = n % LRC_LANES;
    for (; i < n - rest; i += LRC_LANES)
        for (size_t j = 0; j < LRC_LANES; j++)
            t[j] += a[i + j] * b[i + j];
    for (size_t j = 0; j < rest; j++)
        t[j] += a[i + j] * b[i + j];
    for (size_t j = 0; j < LRC_LANES; j++)
        s->lane[j] += (double)t[j];
}

void NAME(strips)(size_t n, const real *a, const real *b, const real *c, lrc_lanes *aa,
                  lrc_lanes *ab, lrc_lanes *cc)
{
    real t[LRC_LANES] = {0}, u[LRC_LANES] = {0}, v[LRC_LANES] = {0};
    size_t i = 0, rest = n % LRC_LANES;
    for (; i < n - rest; i += LRC_LANES)
        for (size_t j = 0; j < LRC_LANES; j++) {
            t[j] += a[i + j] * a[i + j];
            u[j] += a[i + j] * b[i + j];
            v[j] += c[i + j] * c[i + j];
        }
    for (size_t j = 0; j < rest; j++) {
        t[j] += a[i + j] * a[i + j];
        u[j] += a[i + j] * b[i + j];
        v[j] += c[i + j] * c[i + j];
    }
    for (size_t j = 0; j < LRC_LANES; j++) {
        aa->lane[j] += (double)t[j];
        ab->lane[j] += (double)u[j];
        cc->lane[j] += (double)v[j];
    }
}

double NAME(total)(const lrc_lanes *s)
{
    lrc_lanes t = *s;
    for (size_t w = LRC_LANES / 2; w; w /= 2)
        for (size_t j = 0; j < w; j++)
            t.lane[j] += t.lane[j + w];
    return t.lane[0];
}

/* x - x is 0 for every finite x and NaN for the others. */
int NAME(finite)(size_t n, const real *x)
{
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= !(x[i] - x[i] == 0);
    return !bad;
}

/* Each element is alone in its lane, and lanes beyond are zero. */
double NAME(few)(size_t n, const real *a)
{
    double lane[LRC_LANES];
    size_t half = 1;
    while (2 * half < n)
        half *= 2;
    for (size_t i = 0; i < 2 * half; i++)
        lane[i] = i < n ? (double)a[i] * (double)a[i] : 0;
    for (; half; half /= 2)
        for (size_t i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static inline void halve(double *lane, size_t w)
{
    for (size_t j = 0; j < w; j++)
        lane[j] += lane[j + w];
}

double NAME(squares)(size_t n, const real *a)
{
    double lane[LRC_LANES] = {0};
    size_t i = 0, rest = n % LRC_LANES;
    if (n < LRC_LANES)
        return NAME(few)(n, a);
    for (; i < n - rest; i += LRC_LANES)
        for (size_t j = 0; j < LRC_LANES; j++)
            lane[j] += (double)a[i + j] * (double)a[i + j];
    for (size_t j = 0; j < rest; j++)
        lane[j] += (double)a[i + j] * (double)a[i + j];
    halve(lane, 16);
    halve(lane, 8);
    halve(lane, 4);
    halve(lane, 2);
    halve(lane, 1);
    return lane[0];
}
