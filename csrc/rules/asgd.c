/* Averaged stochastic gradient descent. Polyak & Juditsky 1992, "Acceleration of Stochastic
 * Approximation by Averaging", with the rate that Bottou 2012, "Stochastic Gradient Descent Tricks",
 * section 5, gives, as torch has it: update t goes by what update t - 1 left.
 *
 *     p = (1 - lambd eta) p - eta g
 *     ax = (1 - mu) ax + mu p
 *     eta = lr / (1 + lambd lr t)^alpha,  mu = 1 / max(1, t - t0)
 */
#include "kernel.h"

struct constants {
    real shrink, eta, old, mu;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double t = (double)seen->t;
    k->rate = seen->t == 1 ? h->lr : k->eta;
    k->share = seen->t == 1 ? 1 : k->mu;
    k->eta = h->lr / lrc_pow(1 + (h->lambd * h->lr) * t, h->alpha);
    k->mu = t - h->t0 > 1 ? 1 / (t - h->t0) : 1;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    (void)t;
    c->shrink = (real)(1 - h->lambd * k->rate);
    c->eta = (real)k->rate;
    c->old = (real)(1 - k->share);
    c->mu = (real)k->share;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict ax = s->ax;
    EACH (i, n) {
        p[i] = c.shrink * p[i] - c.eta * g[i];
        ax[i] = c.old * ax[i] + c.mu * p[i];
    }
}

KERNEL_WITH_SCALARS(estimate, constants, update);
