#include "stages.h"

const real *NAME(scale)(size_t n, const real *g, real factor, real *out)
{
    EACH (i, n)
        out[i] = g[i] * factor;
    return out;
}

const real *NAME(clip)(size_t n, const real *g, real most, real *out)
{
    EACH (i, n)
        out[i] = g[i] > most ? most : g[i] < -most ? -most : g[i];
    return out;
}

const real *NAME(couple)(size_t n, const real *g, const real *p, real decay, real *out)
{
    EACH (i, n)
        out[i] = g[i] + decay * p[i];
    return out;
}

const real *NAME(scale_units)(const lrc_tensor *x, int64_t at, size_t n, const real *g,
                              const real *factors, real *out)
{
    int64_t units = x->units > 1 ? x->units : 1, size = x->n / units, end = at + (int64_t)n;
    for (int64_t i = at, run; i < end; i += run) {
        run = x->unit_columns ? units - i % units : size - i % size;
        run = run < end - i ? run : end - i;
        const real *from = g + (i - at);
        real *to = out + (i - at);
        if (x->unit_columns) {
            const real *f = factors + i % units;
            EACH (j, (size_t)run)
                to[j] = from[j] * f[j];
        } else
            (void)NAME(scale)((size_t)run, from, factors[i / size], to);
    }
    return out;
}

/* -------------------------------------------------- choosing among the elements of a step
 *
 * Cautious: Liang et al. 2024, "Cautious Optimizers: Improving Training with One Line of Code";
 * Grams: Cao et al. 2024, "Grams: Gradient Descent with Adaptive Momentum Scaling". Decoupled decay
 * is not the rule's step and happens in any case. */

#define DOWNHILL(s, g) ((((s) < 0) & ((g) > 0)) | (((s) > 0) & ((g) < 0)))

size_t NAME(agreeing)(size_t n, const real *p, const real *old, const real *g, real keep)
{
    uint32_t count = 0; /* of a block */
    for (size_t i = 0; i < n; i++) {
        real s = p[i] - keep * old[i];
        count += DOWNHILL(s, g[i]);
    }
    return count;
}

void NAME(cautious)(size_t n, real *p, const real *old, real *g, real keep, real chosen)
{
    EACH (i, n) {
        real base = keep * old[i], s = p[i] - base;
        int downhill = DOWNHILL(s, g[i]);
        p[i] = downhill ? base + s * chosen : base;
        g[i] = downhill ? g[i] : 0;
    }
}

void NAME(grams)(size_t n, real *p, const real *old, const real *g, real keep)
{
    EACH (i, n) {
        real base = keep * old[i], s = p[i] - base;
        p[i] = base - SIGN(g[i]) * (s < 0 ? -s : s);
    }
}

/* ---------------------------------------------------------------- after the rule */

void NAME(descend)(size_t n, real *p, const real *direction, real rate, real keep)
{
    EACH (i, n)
        p[i] = keep * p[i] - rate * direction[i];
}

void NAME(average)(size_t n, real *average, const real *p, real weight)
{
    if (weight == 1)
        EACH (i, n)
            average[i] = p[i];
    else
        EACH (i, n)
            average[i] = average[i] + weight * (p[i] - average[i]);
}

size_t NAME(lost)(size_t n, const real *step, const real *g)
{
    uint32_t count = 0; /* of a block */
    for (size_t i = 0; i < n; i++)
        count += (step[i] == 0) & (g[i] != 0);
    return count;
}
