/* Adamax. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 2, with eps added
 * to the gradient's size, as torch has it.
 *
 *     m = beta1 m + (1 - beta1) g
 *     u = max(beta2 u, |g| + eps)
 *     p = p - lr / (1 - beta1^t) m / u
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, step, eps;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->step = (real)(h->lr / (1 - lrc_pow(h->beta1, (double)t)));
    c->eps = (real)h->eps;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict u = s->u;
    EACH (i, n) {
        real faded = c.beta2 * u[i], size = ABS(g[i]) + c.eps;
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        u[i] = faded >= size ? faded : size;
        p[i] = p[i] - (c.step * m[i]) / u[i];
    }
}

KERNEL(constants, update);
