/* signSGD. Bernstein, Wang, Azizzadenesheli & Anandkumar 2018, "signSGD: Compressed Optimisation for
 * Non-Convex Problems", algorithm 1.
 *
 *     p = (1 - lr weight_decay) p - lr sign(g)       sign(0) = 0, sign(NaN) = NaN
 */
#include "kernel.h"

struct constants {
    real lr, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)t, (void)scalars;
    c->lr = (real)h->lr;
    c->keep = (real)KEEP(h);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const struct constants c = *(const struct constants *)in;
    (void)state;
    EACH (i, n)
        p[i] = c.keep * p[i] - c.lr * SIGN(g[i]);
}

KERNEL(constants, update);
