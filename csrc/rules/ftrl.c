/* FTRL-Proximal. McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", algorithm 1,
 * with Keras' power, l2 (counted twice) and shrinkage. Everything is multiplied by lr, so that it is
 * divided by nowhere, and may change; where it is 0 nothing changes, n neither.
 *
 *     n' = n + g^2                            n starts at initial_accumulator_value
 *     z = z + lr (g + 2 l2_shrinkage p) - (n'^-lr_power - n^-lr_power) p
 *     p = 0 where |z| <= lr l1, elsewhere (sign(z) lr l1 - z) / (n'^-lr_power + beta + 2 l2 lr)
 */
#include "kernel.h"

struct constants {
    real lr, shrinkage, l1, more, power, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)t, (void)scalars;
    c->lr = (real)h->lr;
    c->shrinkage = (real)(2 * h->l2_shrinkage);
    c->l1 = (real)(h->lr * h->l1);
    c->more = (real)(h->beta + (2 * h->l2) * h->lr);
    c->power = (real)-h->lr_power;
    c->keep = (real)KEEP(h);
}

/* z and p of element i, whose sum of squares had the power `before` and has the power `size`. */
#define FOLLOW(i, before, size)                                               \
    do {                                                                      \
        real w = c.keep * p[i], pull = c.lr * (g[i] + c.shrinkage * w);       \
        z[i] = z[i] + (pull - ((size) - (before)) * w);                       \
        real solved = ((z[i] > 0 ? c.l1 : -c.l1) - z[i]) / ((size) + c.more); \
        p[i] = ABS(z[i]) <= c.l1 ? 0 : solved;                                \
    } while (0)

static real power(real x, real y) { return (real)lrc_pow((double)x, (double)y); }

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    enum { STRIP = 64 };
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict z = s->z, *restrict sum = s->n;
    if (c.lr == 0)
        return;
    if (c.power == (real)0.5) {
        EACH (i, n) {
            real before = SQRT(sum[i]);
            sum[i] = sum[i] + g[i] * g[i];
            real size = SQRT(sum[i]);
            FOLLOW(i, before, size);
        }
        return;
    }
    for (size_t at = 0; at < n; at += STRIP) {
        real before[STRIP], size[STRIP];
        size_t end = n - at < STRIP ? n : at + STRIP;
        for (size_t i = at; i < end; i++) {
            before[i - at] = power(sum[i], c.power);
            sum[i] = sum[i] + g[i] * g[i];
            size[i - at] = power(sum[i], c.power);
        }
        EACH (j, end - at)
            FOLLOW(at + j, before[j], size[j]);
    }
}

KERNEL(constants, update);
