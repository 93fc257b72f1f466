/* Shampoo. Gupta, Koren & Singer 2018, "Shampoo: Preconditioned Stochastic Tensor Optimization",
 * algorithm 1.
 *
 *     in lrcore._matrices.shampoo: left = left + g g', right = right + g' g, from eps times the identity
 *     buf = momentum buf + (1 - momentum) g
 *     there again: d = left^(-1/4) buf right^(-1/4), and p = (1 - lr weight_decay) p - lr d
 */
#include "adamw.h"

struct constants {
    struct adamw adamw;
    real momentum, fresh;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->adamw = adamw_constants(h->lr, h->adamw_beta1, h->adamw_beta2, h->adamw_eps, KEEP(h), t);
    c->momentum = (real)h->momentum;
    c->fresh = (real)(1 - h->momentum);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    adamw(n, p, g, s->m, s->v, ((const struct constants *)in)->adamw);
}

static void prepare(size_t n, real *restrict d, const void *state, const void *in)
{
    const struct constants c = *(const struct constants *)in;
    real *restrict buf = ((const state_t *)state)->buf;
    if (!buf)
        return;
    EACH (i, n) {
        buf[i] = c.momentum * buf[i] + c.fresh * d[i];
        d[i] = buf[i];
    }
}

KERNEL_WITH_MATRICES(constants, update, prepare);
