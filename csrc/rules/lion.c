/* Lion. Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2.
 *
 *     p = (1 - lr weight_decay) p - lr sign(beta1 m + (1 - beta1) g)     sign(0) = 0, sign(NaN) = NaN
 *     m = beta2 m + (1 - beta2) g
 */
#include "kernel.h"

struct constants {
    real lr, beta1, new1, beta2, new2, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)t, (void)scalars;
    c->lr = (real)h->lr;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->keep = (real)KEEP(h);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m;
    EACH (i, n) {
        real u = c.beta1 * m[i] + c.new1 * g[i];
        p[i] = c.keep * p[i] - c.lr * SIGN(u);
        m[i] = c.beta2 * m[i] + c.new2 * g[i];
    }
}

KERNEL(constants, update);
