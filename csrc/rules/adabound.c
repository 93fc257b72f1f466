/* AdaBound. Luo et al. 2019, "Adaptive Gradient Methods with Dynamic Bound of Learning Rate",
 * algorithms 2 and 3 (amsbound), with the bounds and the bias correction of the authors' code.
 *
 *     m = beta1 m + (1 - beta1) g
 *     v = beta2 v + (1 - beta2) g^2          vmax = max(vmax, v)
 *     rate = lr sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps), but not
 *            below last (1 - 1 / (gamma t + 1)) nor above last (1 + 1 / (gamma t))
 *     last = final_lr lr / base, base being the largest lr so far
 *     p = p - rate m
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, step, eps, low, high;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    (void)seen;
    k->base = k->base >= h->lr ? k->base : h->lr;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    double last = k->base > 0 ? h->final_lr * (h->lr / k->base) : 0;
    double way = h->gamma * (double)t;
    double unbias1 = 1 - lrc_pow(h->beta1, (double)t);
    double unbias2 = 1 - lrc_pow(h->beta2, (double)t);
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->step = (real)(h->lr * sqrt(unbias2) / unbias1);
    c->eps = (real)h->eps;
    c->low = (real)(last * (1 - 1 / (way + 1)));
    c->high = (real)(last * (1 + 1 / way));
}

/* NaN stays NaN. */
static inline real within(real x, real low, real high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v, *restrict vmax = s->vmax;
    if (vmax) {
        EACH (i, n) {
            m[i] = c.beta1 * m[i] + c.new1 * g[i];
            v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
            vmax[i] = vmax[i] >= v[i] ? vmax[i] : v[i];
            p[i] = p[i] - within(c.step / (SQRT(vmax[i]) + c.eps), c.low, c.high) * m[i];
        }
        return;
    }
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        p[i] = p[i] - within(c.step / (SQRT(v[i]) + c.eps), c.low, c.high) * m[i];
    }
}

KERNEL_WITH_SCALARS(estimate, constants, update);
