/* Yogi. Zaheer et al. 2018, "Adaptive Methods for Nonconvex Optimization", algorithm 2, with Adam's
 * bias correction.
 *
 *     m = beta1 m + (1 - beta1) g
 *     v = v - (1 - beta2) sign(v - g^2) g^2
 *     p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 */
#include "kernel.h"

struct constants {
    real beta1, new1, new2, step, root, eps;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->new2 = (real)(1 - h->beta2);
    c->step = (real)(h->lr / (1 - lrc_pow(h->beta1, (double)t)));
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta2, (double)t)));
    c->eps = (real)h->eps;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    EACH (i, n) {
        real square = g[i] * g[i], above = v[i] - square;
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        v[i] = v[i] - c.new2 * (SIGN(above) * square);
        p[i] = p[i] - (c.step * m[i]) / (SQRT(v[i]) * c.root + c.eps);
    }
}

KERNEL(constants, update);
