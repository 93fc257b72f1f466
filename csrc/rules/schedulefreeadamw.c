/* Schedule-free AdamW; see schedulefree.h. The decay is that of y, inside the direction:
 *
 *     v = beta2 v + (1 - beta2) g^2
 *     u = g / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay y
 */
#include "kernel.h"

#include "schedulefree.h"

struct constants {
    struct mixture y;
    real beta2, new2, root, eps, weight_decay;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    weigh(h, h->beta1, seen, scalars);
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    c->y = mixture_of(h, t, scalars);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta2, (double)t)));
    c->eps = (real)h->eps;
    c->weight_decay = (real)h->weight_decay;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict z = s->z, *restrict v = s->v;
    EACH (i, n) {
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        real u = g[i] / (SQRT(v[i]) * c.root + c.eps) + c.weight_decay * p[i];
        p[i] = c.y.keep * p[i] + c.y.pull * z[i] - c.y.step * u;
        z[i] = z[i] - c.y.lr * u;
    }
}

KERNEL_WITH_SCALARS(estimate, constants, update);
