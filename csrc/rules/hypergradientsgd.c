/* SGD-HD, SGDN-HD with nesterov. Baydin et al. 2018, algorithms 4 and 5; see hypergradient.h.
 *
 *     d = momentum d + g; with nesterov  buf = momentum buf + g,  d = g + momentum buf
 *     p = p - eta d
 */
#include "kernel.h"

#include "hypergradient.h"

struct constants {
    int norms;
    real eta, momentum;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    learn(hyper, seen, scalars);
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    c->norms = h->multiplicative != 0;
    (void)t;
    c->eta = (real)(h->lr * k->ratio);
    c->momentum = (real)h->momentum;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict d = s->d, *restrict buf = s->buf;
    if (buf) {
        EACH (i, n) {
            buf[i] = c.momentum * buf[i] + g[i];
            d[i] = g[i] + c.momentum * buf[i];
            p[i] = p[i] - c.eta * d[i];
        }
        return;
    }
    EACH (i, n) {
        d[i] = c.momentum * d[i] + g[i];
        p[i] = p[i] - c.eta * d[i];
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    (void)n, (void)p, (void)room;
    to_learn(g, s->d, c.norms, factors);
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
