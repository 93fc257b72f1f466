/* AdaBelief. Zhuang et al. 2020, "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed
 * Gradients", algorithm 2; rectified as Liu et al. 2020, "On the Variance of the Adaptive Learning
 * Rate and Beyond", algorithm 2, from a length of 5 on as the authors do.
 *
 *     m = beta1 m + (1 - beta1) g
 *     v = beta2 v + (1 - beta2) (g - m)^2 + eps     vmax = max(vmax, v)
 *     p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *     rectify: p = p - lr r_t / (1 - beta1^t) m / (sqrt(v) + eps), at first without the divisor
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, eps, step, root, divide, keep;
};

/* r_t sqrt(1 - beta2^t); 0 as long as v is the mean of too few squares. */
static double rectification(double beta2, double t)
{
    double power = lrc_pow(beta2, t), most = 2 / (1 - beta2) - 1;
    double length = most - (2 * t) * power / (1 - power);
    if (!(length >= 5))
        return 0;
    double ratio = (length - 4) / (most - 4) * ((length - 2) / length);
    return sqrt((1 - power) * (ratio * (most / (most - 2))));
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    double factor = h->rectify != 0 ? rectification(h->beta2, (double)t) : 1;
    double step = h->lr / (1 - lrc_pow(h->beta1, (double)t));
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->eps = (real)h->eps;
    c->step = (real)(factor != 0 ? step * factor : step);
    c->root = (real)(h->rectify != 0 ? 1 : 1 / sqrt(1 - lrc_pow(h->beta2, (double)t)));
    c->divide = (real)(factor != 0);
    c->keep = (real)KEEP_IF_DECOUPLED(h);
}

#define DIVISOR(v) (c.divide != 0 ? SQRT(v) * c.root + c.eps : (real)1)

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict v = s->v, *restrict vmax = s->vmax;
    if (vmax) {
        EACH (i, n) {
            m[i] = c.beta1 * m[i] + c.new1 * g[i];
            real off = g[i] - m[i];
            v[i] = (c.beta2 * v[i] + c.new2 * (off * off)) + c.eps;
            vmax[i] = vmax[i] >= v[i] ? vmax[i] : v[i];
            p[i] = c.keep * p[i] - (c.step * m[i]) / DIVISOR(vmax[i]);
        }
        return;
    }
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        real off = g[i] - m[i];
        v[i] = (c.beta2 * v[i] + c.new2 * (off * off)) + c.eps;
        p[i] = c.keep * p[i] - (c.step * m[i]) / DIVISOR(v[i]);
    }
}

KERNEL(constants, update);
