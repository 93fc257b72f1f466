/* Averaged stochastic gradient descent. Polyak & Juditsky 1992, "Acceleration of Stochastic
 * Approximation by Averaging", with the rate that Bottou 2012, "Stochastic Gradient Descent Tricks",
 * section 5, gives, as torch has it.
 *
 *     eta = lr / (1 + lambd lr (t - 1))^alpha,  mu = 1 / max(1, t - 1 - t0)
 *     p = (1 - lambd eta) p - eta g
 *     ax = (1 - mu) ax + mu p
 */
#include "kernel.h"

struct constants {
    real shrink, eta, old, mu;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    double past = (double)(t - 1);
    double eta = h->lr / lrc_pow(1 + (h->lambd * h->lr) * past, h->alpha);
    double mu = past - h->t0 > 1 ? 1 / (past - h->t0) : 1;
    c->shrink = (real)(1 - h->lambd * eta);
    c->eta = (real)eta;
    c->old = (real)(1 - mu);
    c->mu = (real)mu;
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

KERNEL(constants, update);
