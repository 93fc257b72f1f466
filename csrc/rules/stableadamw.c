/* StableAdamW. Wortsman et al. 2023, "Stable and low-precision training for large-scale
 * vision-language models", algorithm 2: AdamW whose rate is divided by how much larger the gradient
 * is than its running mean square says.
 *
 *     b1 = beta1 (1 - beta1^(t-1)) / (1 - beta1^t),  b2 likewise: then m and v need no correction
 *     m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
 *     eta = lr / max(1, rms),  rms^2 = mean of g^2 / max(v, eps^2) over the tensor
 *     p = (1 - eta weight_decay) p - eta m / (sqrt(v) + eps)
 */
#include "kernel.h"

struct constants {
    real old1, new1, old2, new2, least, step, eps, keep;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    scalars_t *k = scalars;
    double rms = seen->n > 0 ? sqrt(seen->sum[0] / (double)seen->n) : 0;
    (void)hyper;
    k->shrink = rms > 1 ? 1 / rms : 1;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    double new1 = (1 - h->beta1) / (1 - lrc_pow(h->beta1, (double)t));
    double new2 = (1 - h->beta2) / (1 - lrc_pow(h->beta2, (double)t));
    double eta = h->lr * k->shrink;
    c->old1 = (real)(1 - new1);
    c->new1 = (real)new1;
    c->old2 = (real)(1 - new2);
    c->new2 = (real)new2;
    c->least = (real)(h->eps * h->eps);
    c->step = (real)eta;
    c->eps = (real)h->eps;
    c->keep = (real)(1 - eta * h->weight_decay);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v;
    EACH (i, n) {
        m[i] = c.old1 * m[i] + c.new1 * g[i];
        v[i] = c.old2 * v[i] + c.new2 * (g[i] * g[i]);
        p[i] = c.keep * p[i] - (c.step * m[i]) / (SQRT(v[i]) + c.eps);
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    const real *restrict v = s->v;
    real *restrict u = room[0];
    (void)p;
    EACH (i, n) {
        real gg = g[i] * g[i];
        real v1 = c.old2 * v[i] + c.new2 * gg;
        real most = v1 >= c.least ? v1 : c.least;
        u[i] = most > 0 ? gg / most : 0;
    }
    factors[0] = (factors_t){u, NULL};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
