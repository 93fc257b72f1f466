/* Adam-HD. Baydin et al. 2018, algorithm 6; see hypergradient.h. The direction of the step before is
 * made of m and v once more, which costs less memory traffic than keeping it would.
 *
 *     d = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps)      m, v as in adam.c
 *     p = p - eta d
 */
#include "kernel.h"

#include "hypergradient.h"

struct constants {
    int norms;
    real beta1, new1, beta2, new2, step, root, unbias0, root0, eps;
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
    double before = (double)(t - 1);
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->step = (real)((h->lr * k->ratio) / (1 - lrc_pow(h->beta1, (double)t)));
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta2, (double)t)));
    c->unbias0 = t == 1 ? 0 : (real)(1 / (1 - lrc_pow(h->beta1, before)));
    c->root0 = t == 1 ? 0 : (real)(1 / sqrt(1 - lrc_pow(h->beta2, before)));
    c->eps = (real)h->eps;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        p[i] = p[i] - (c.step * m[i]) / (SQRT(v[i]) * c.root + c.eps);
    }
}

/* Where the denominator is 0 there was no step. */
static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    const real *restrict m = s->m, *restrict v = s->v;
    real *restrict d = room[0];
    (void)p;
    EACH (i, n) {
        real size = SQRT(v[i]) * c.root0 + c.eps;
        d[i] = size > 0 ? (c.unbias0 * m[i]) / size : 0;
    }
    to_learn(g, d, c.norms, factors);
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
