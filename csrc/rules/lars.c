/* LARS. You, Gitman & Ginsburg 2017, "Large Batch Training of Convolutional Networks", algorithm 1,
 * with the rate outside the buffer and Nesterov's form as in sgd.c; trust_clip is NVIDIA's LARC.
 *
 *     ratio = trust_coefficient |p| / (|g| + weight_decay |p| + eps)     over each tensor; 1 where a
 *     u = ratio (g + weight_decay p)                                     norm is 0
 *     buf = u at the first step, then momentum buf + (1 - dampening) u
 *     p = p - lr buf, or with nesterov  p - lr (u + momentum buf); without momentum  p - lr u
 */
#include "kernel.h"

struct constants {
    real lr, momentum, keep, fresh, nesterov, ratio, weight_decay;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double p = sqrt(seen->sum[0]), g = sqrt(seen->sum[1]);
    int adapts = h->always_adapt != 0 || h->weight_decay != 0;
    k->ratio = 1;
    if (adapts && p > 0 && g > 0)
        k->ratio = (h->trust_coefficient * p) / (g + h->weight_decay * p + h->eps);
    if (adapts && h->trust_clip != 0)
        k->ratio = k->ratio < h->lr ? k->ratio / h->lr : 1;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    c->lr = (real)h->lr;
    c->momentum = (real)h->momentum;
    c->keep = t == 1 ? 0 : (real)h->momentum;
    c->fresh = t == 1 ? 1 : (real)(1 - h->dampening);
    c->nesterov = (real)h->nesterov;
    c->ratio = (real)k->ratio;
    c->weight_decay = (real)h->weight_decay;
}

#define SCALED(g, p) (c.ratio * ((g) + c.weight_decay * (p)))

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict buf = s->buf;
    if (!buf) {
        EACH (i, n)
            p[i] = p[i] - c.lr * SCALED(g[i], p[i]);
        return;
    }
    if (c.nesterov != 0) {
        EACH (i, n) {
            real u = SCALED(g[i], p[i]);
            buf[i] = c.keep * buf[i] + c.fresh * u;
            p[i] = p[i] - c.lr * (u + c.momentum * buf[i]);
        }
        return;
    }
    EACH (i, n) {
        buf[i] = c.keep * buf[i] + c.fresh * SCALED(g[i], p[i]);
        p[i] = p[i] - c.lr * buf[i];
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    (void)n, (void)state, (void)in, (void)room;
    factors[0] = (factors_t){p, p};
    factors[1] = (factors_t){g, g};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
