/* RAdam. Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond", algorithm 2,
 * with eps beside the root of v as it is, and the adaptive step from a length above 5 on, as torch
 * has them.
 *
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     L = 2 / (1 - beta2) - 1,  l = L - 2 t beta2^t / (1 - beta2^t)
 *     r = sqrt((l - 4) (l - 2) L / ((L - 4) (L - 2) l) (1 - beta2^t))
 *     p = p - lr / (1 - beta1^t) m r / (sqrt(v) + eps) where l > 5, and without r and v elsewhere
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, step, eps, keep, rectified;
};

static double rectification(const hyper_t *h, int64_t t)
{
    double power = lrc_pow(h->beta2, (double)t);
    double longest = 2 / (1 - h->beta2) - 1;
    double length = longest - ((2 * (double)t) * power) / (1 - power);
    if (!(length > 5))
        return 0;
    double above = ((length - 4) * (length - 2)) * longest;
    double below = ((longest - 4) * (longest - 2)) * length;
    return sqrt(above / below) * sqrt(1 - power);
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    double step = h->lr / (1 - lrc_pow(h->beta1, (double)t)), r = rectification(h, t);
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->step = (real)(r != 0 ? step * r : step);
    c->eps = (real)h->eps;
    c->keep = (real)KEEP_IF_DECOUPLED(h);
    c->rectified = r != 0;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    if (c.rectified == 0) {
        EACH (i, n) {
            m[i] = c.beta1 * m[i] + c.new1 * g[i];
            v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
            p[i] = c.keep * p[i] - c.step * m[i];
        }
        return;
    }
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        p[i] = c.keep * p[i] - (c.step * m[i]) / (SQRT(v[i]) + c.eps);
    }
}

KERNEL(constants, update);
