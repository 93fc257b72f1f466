/* Muon. Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the rates of
 * differently shaped matrices as there or as in Liu et al. 2025, "Muon is Scalable for LLM Training".
 *
 *     buf = momentum buf + (1 - momentum) g
 *     d = buf, with nesterov (1 - momentum) g + momentum buf
 *     then, in lrcore._matrices.muon: d made orthogonal, and p = (1 - lr weight_decay) p - lr d
 */
#include "adamw.h"

struct constants {
    struct adamw adamw;
    real momentum, fresh, share, rest;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->adamw = adamw_constants(h->lr, h->adamw_beta1, h->adamw_beta2, h->adamw_eps, KEEP(h), t);
    c->momentum = (real)h->momentum;
    c->fresh = (real)(1 - h->momentum);
    c->share = h->nesterov != 0 ? c->momentum : 1;
    c->rest = h->nesterov != 0 ? c->fresh : 0;
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
    EACH (i, n) {
        buf[i] = c.momentum * buf[i] + c.fresh * d[i];
        d[i] = c.rest * d[i] + c.share * buf[i];
    }
}

KERNEL_WITH_MATRICES(constants, update, prepare);
