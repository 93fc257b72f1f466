/* QHAdam. Ma & Yarats 2019, "Quasi-hyperbolic momentum and Adam for deep learning", section 3.3.
 *
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     u = (1 - nu1) g + nu1 m / (1 - beta1^t)
 *     w = (1 - nu2) g^2 + nu2 v / (1 - beta2^t)
 *     p = p - lr u / (sqrt(w) + eps)
 */
#include "kernel.h"

struct constants {
    real lr, beta1, new1, beta2, new2, now1, past1, now2, past2, eps, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->lr = (real)h->lr;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->now1 = (real)(1 - h->nu1);
    c->past1 = (real)(h->nu1 / (1 - lrc_pow(h->beta1, (double)t)));
    c->now2 = (real)(1 - h->nu2);
    c->past2 = (real)(h->nu2 / (1 - lrc_pow(h->beta2, (double)t)));
    c->eps = (real)h->eps;
    c->keep = (real)KEEP_IF_DECOUPLED(h);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    EACH (i, n) {
        real square = g[i] * g[i];
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        v[i] = c.beta2 * v[i] + c.new2 * square;
        real u = c.now1 * g[i] + c.past1 * m[i];
        real w = c.now2 * square + c.past2 * v[i];
        p[i] = c.keep * p[i] - (c.lr * u) / (SQRT(w) + c.eps);
    }
}

KERNEL(constants, update);
