/* Schedule-free SGD; see schedulefree.h. Here u is the gradient, and beta is called momentum. */
#include "kernel.h"

#include "schedulefree.h"

struct constants {
    struct mixture y;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    weigh(h, h->momentum, seen, scalars);
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    struct constants *c = out;
    c->y = mixture_of(hyper, t, scalars);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct mixture c = ((const struct constants *)in)->y;
    real *restrict z = s->z;
    EACH (i, n) {
        p[i] = c.keep * p[i] + c.pull * z[i] - c.step * g[i];
        z[i] = z[i] - c.lr * g[i];
    }
}

KERNEL_WITH_SCALARS(estimate, constants, update);
