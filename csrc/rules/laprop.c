/* LaProp. Ziyin, Wang & Ueda 2020, "LaProp: Separating Momentum and Adaptivity in Adam", algorithm 1.
 *
 *     v = beta2 v + (1 - beta2) g^2
 *     m = beta1 m + (1 - beta1) g / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *     p = p - lr / (1 - beta1^t) m
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, step, root, eps, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->step = (real)(h->lr / (1 - lrc_pow(h->beta1, (double)t)));
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta2, (double)t)));
    c->eps = (real)h->eps;
    c->keep = (real)KEEP(h);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    EACH (i, n) {
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        m[i] = c.beta1 * m[i] + c.new1 * (g[i] / (SQRT(v[i]) * c.root + c.eps));
        p[i] = c.keep * p[i] - c.step * m[i];
    }
}

KERNEL(constants, update);
