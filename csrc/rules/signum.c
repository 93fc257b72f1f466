/* Signum. Bernstein, Wang, Azizzadenesheli & Anandkumar 2018, "signSGD: Compressed Optimisation for
 * Non-Convex Problems", algorithm 2.
 *
 *     m = momentum m + (1 - momentum) g
 *     p = (1 - lr weight_decay) p - lr sign(m)       sign(0) = 0, sign(NaN) = NaN
 */
#include "kernel.h"

struct constants {
    real lr, momentum, fresh, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)t, (void)scalars;
    c->lr = (real)h->lr;
    c->momentum = (real)h->momentum;
    c->fresh = (real)(1 - h->momentum);
    c->keep = (real)KEEP(h);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m;
    EACH (i, n) {
        m[i] = c.momentum * m[i] + c.fresh * g[i];
        p[i] = c.keep * p[i] - c.lr * SIGN(m[i]);
    }
}

KERNEL(constants, update);
