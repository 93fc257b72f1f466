/* SGD with the stochastic Polyak step size. Loizou, Vaswani, Laradji & Lacoste-Julien 2021,
 * "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate for Fast Convergence", SPS_max; a
 * loss below f_star makes no step, as in Garrigos, Gower & Schaipp 2023 (SPS+).
 *
 *     eta = min((loss - f_star) / (c |g|^2 + eps), max_lr)      |g| over all groups
 *     p = p - eta g
 */
#include "kernel.h"

struct constants {
    real eta;
};

/* The share of max_lr is what a tensor's own rate, scaled by lr_scale, is multiplied by. */
static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double gap = seen->loss - h->f_star, size = h->c * seen->all[0] + h->eps;
    double eta = gap > 0 && size > 0 ? gap / size : 0;
    k->share = eta < h->max_lr ? eta / h->max_lr : 1;
    k->eta = eta < h->max_lr ? eta : h->max_lr;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    (void)t;
    c->eta = (real)(h->max_lr * k->share);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const struct constants c = *(const struct constants *)in;
    (void)state;
    EACH (i, n)
        p[i] = p[i] - c.eta * g[i];
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    (void)n, (void)p, (void)state, (void)in, (void)room;
    factors[0] = (factors_t){g, g};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
