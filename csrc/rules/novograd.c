/* NovoGrad. Ginsburg et al. 2019, "Stochastic Gradient Methods with Layer-wise Adaptive Moments for
 * Training of Deep Networks", algorithm 1; grad_averaging and amsgrad are the authors' options.
 *
 *     v = |g|^2 at first, then beta2 v + (1 - beta2) |g|^2       a number a tensor
 *     m = beta1 m + (g / (sqrt(v) + eps) + weight_decay p)       grad_averaging: (1 - beta1) (...)
 *     p = p - lr m                                               amsgrad: by the largest v so far
 */
#include "kernel.h"

struct constants {
    real lr, beta1, fresh, scale, weight_decay;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    k->v = k->v == 0 ? seen->sum[0] : h->beta2 * k->v + (1 - h->beta2) * seen->sum[0];
    k->vmax = k->vmax >= k->v ? k->vmax : k->v;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    (void)t;
    double norm = sqrt(h->amsgrad != 0 ? k->vmax : k->v) + h->eps;
    c->lr = (real)h->lr;
    c->beta1 = (real)h->beta1;
    c->fresh = h->grad_averaging != 0 ? (real)(1 - h->beta1) : 1;
    c->scale = norm == 0 ? 0 : (real)(1 / norm);
    c->weight_decay = (real)h->weight_decay;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m;
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.fresh * (c.scale * g[i] + c.weight_decay * p[i]);
        p[i] = p[i] - c.lr * m[i];
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    (void)n, (void)p, (void)state, (void)in, (void)room;
    factors[0] = (factors_t){g, g};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
