/* Adadelta. Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method", algorithm 1, with a rate.
 *
 *     v = rho v + (1 - rho) g^2
 *     d = sqrt((u + eps) / (v + eps)) g      one root of the quotient for two roots and a quotient
 *     u = rho u + (1 - rho) d^2
 *     p = p - lr d
 */
#include "kernel.h"

struct constants {
    real lr, rho, fresh, eps;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)t, (void)scalars;
    c->lr = (real)h->lr;
    c->rho = (real)h->rho;
    c->fresh = (real)(1 - h->rho);
    c->eps = (real)h->eps;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict v = s->v, *restrict u = s->u;
    EACH (i, n) {
        v[i] = c.rho * v[i] + c.fresh * (g[i] * g[i]);
        real d = SQRT((u[i] + c.eps) / (v[i] + c.eps)) * g[i];
        u[i] = c.rho * u[i] + c.fresh * (d * d);
        p[i] = p[i] - c.lr * d;
    }
}

KERNEL(constants, update);
