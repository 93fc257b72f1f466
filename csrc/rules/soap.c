/* SOAP. Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam", algorithm 3.
 *
 *     in lrcore._matrices.soap: d = left_basis' g right_basis
 *     m = beta1 m + (1 - beta1) d
 *     v = beta2 v + (1 - beta2) d^2
 *     d = sqrt(1 - beta2^k) / (1 - beta1^k) m / (sqrt(v) + eps), with k = t - 1
 *     there again: d = left_basis d right_basis', and p = (1 - lr weight_decay) p - lr d
 *
 * The first update of a matrix finds its bases and moves nothing.
 */
#include "adamw.h"

struct constants {
    struct adamw adamw;
    real beta1, new1, beta2, new2, step, eps;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    int plain = h->correct_bias == 0 || h->normalize_grads != 0;
    (void)scalars;
    c->adamw = adamw_constants(h->lr, h->beta1, h->beta2, h->eps, KEEP(h), t);
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->eps = (real)h->eps;
    c->step = t > 1 && plain ? 1 : 0;
    if (t > 1 && !plain)
        c->step = (real)(sqrt(1 - lrc_pow(h->beta2, (double)(t - 1))) /
                         (1 - lrc_pow(h->beta1, (double)(t - 1))));
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    adamw(n, p, g, s->m, s->v, ((const struct constants *)in)->adamw);
}

static void prepare(size_t n, real *restrict d, const void *state, const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * d[i];
        v[i] = c.beta2 * v[i] + c.new2 * (d[i] * d[i]);
        d[i] = (c.step * m[i]) / (SQRT(v[i]) + c.eps);
    }
}

KERNEL_WITH_MATRICES(constants, update, prepare);
