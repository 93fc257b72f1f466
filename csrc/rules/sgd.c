/* Stochastic gradient descent. Momentum and Nesterov's form after Sutskever, Martens, Dahl & Hinton
 * 2013, "On the importance of initialization and momentum in deep learning", with the rate outside
 * the buffer, as torch has it.
 *
 *     buf = g at the first step, then momentum buf + (1 - dampening) g
 *     p = p - lr buf, or with nesterov  p - lr (g + momentum buf); without momentum  p - lr g
 */
#include "kernel.h"

struct constants {
    real lr, momentum, keep, fresh, nesterov;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->lr = (real)h->lr;
    c->momentum = (real)h->momentum;
    c->keep = t == 1 ? 0 : (real)h->momentum;
    c->fresh = t == 1 ? 1 : (real)(1 - h->dampening);
    c->nesterov = (real)h->nesterov;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict buf = s->buf;
    if (!buf) {
        EACH (i, n)
            p[i] = p[i] - c.lr * g[i];
        return;
    }
    if (c.nesterov != 0) {
        EACH (i, n) {
            buf[i] = c.keep * buf[i] + c.fresh * g[i];
            p[i] = p[i] - c.lr * (g[i] + c.momentum * buf[i]);
        }
        return;
    }
    EACH (i, n) {
        buf[i] = c.keep * buf[i] + c.fresh * g[i];
        p[i] = p[i] - c.lr * buf[i];
    }
}

KERNEL(constants, update);
