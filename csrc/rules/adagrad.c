/* Adagrad. Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and
 * Stochastic Optimization", the diagonal form.
 *
 *     s = s + g^2                            s starts at initial_accumulator_value
 *     p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
 */
#include "kernel.h"

struct constants {
    real step, eps;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->step = (real)(h->lr / (1 + (double)(t - 1) * h->lr_decay));
    c->eps = (real)h->eps;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *st = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict s = st->s;
    EACH (i, n) {
        s[i] = s[i] + g[i] * g[i];
        p[i] = p[i] - (c.step * g[i]) / (SQRT(s[i]) + c.eps);
    }
}

KERNEL(constants, update);
