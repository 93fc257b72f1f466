/* ADOPT. Taniguchi et al. 2024, "ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal
 * Rate", algorithm 2, with the clipping of the authors' code.
 *
 *     t = 1: v = g^2 and no more
 *     u = g / max(sqrt(v), eps), clipped to +-(t - 1)^clip_exp
 *     m = beta1 m + (1 - beta1) u
 *     p = p - lr m
 *     v = beta2 v + (1 - beta2) g^2
 */
#include "kernel.h"

struct constants {
    real lr, beta1, new1, beta2, new2, eps, clip, keep, first;
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
    c->eps = (real)h->eps;
    c->clip = (real)(t > 1 && h->clip_exp == h->clip_exp ? lrc_pow((double)(t - 1), h->clip_exp)
                                                         : INFINITY);
    c->keep = (real)KEEP_IF_DECOUPLED(h);
    c->first = (real)(t == 1);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    if (c.first != 0) {
        EACH (i, n) {
            v[i] = g[i] * g[i];
            p[i] = c.keep * p[i];
        }
        return;
    }
    EACH (i, n) {
        real root = SQRT(v[i]);
        real u = g[i] / (root < c.eps ? c.eps : root);
        u = u > c.clip ? c.clip : u;
        u = u < -c.clip ? -c.clip : u;
        m[i] = c.beta1 * m[i] + c.new1 * u;
        p[i] = c.keep * p[i] - c.lr * m[i];
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
    }
}

KERNEL(constants, update);
