/* LAMB. You et al. 2020, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes",
 * algorithm 2 with phi(x) = x and bias correction.
 *
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     u = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay p
 *     p = p - lr |p| / |u| u                 over each tensor; the ratio is 1 where a norm is 0
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, unbias, root, eps, weight_decay, step;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    scalars_t *k = scalars;
    double pp = seen->sum[0], uu = seen->sum[1];
    (void)hyper;
    k->ratio = pp > 0 && uu > 0 ? sqrt(pp) / sqrt(uu) : 1;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->unbias = (real)(1 / (1 - lrc_pow(h->beta1, (double)t)));
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta2, (double)t)));
    c->eps = (real)h->eps;
    c->weight_decay = (real)h->weight_decay;
    c->step = (real)(h->lr * k->ratio);
}

#define DIRECTION(m, v, p) ((c.unbias * (m)) / (SQRT(v) * c.root + c.eps) + c.weight_decay * (p))

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        p[i] = p[i] - c.step * DIRECTION(m[i], v[i], p[i]);
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    const real *restrict m = s->m, *restrict v = s->v;
    real *restrict u = room[1];
    EACH (i, n) {
        real m1 = c.beta1 * m[i] + c.new1 * g[i];
        real v1 = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        u[i] = DIRECTION(m1, v1, p[i]);
    }
    factors[0] = (factors_t){p, p};
    factors[1] = (factors_t){u, u};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
