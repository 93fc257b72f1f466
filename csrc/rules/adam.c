/* Adam. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1; amsgrad is
 * Reddi, Kale & Kumar 2018, "On the Convergence of Adam and Beyond", with the maximum over v before
 * bias correction, as torch has it.
 *
 *     m = beta1 m + (1 - beta1) g
 *     v = beta2 v + (1 - beta2) g^2          vmax = max(vmax, v)
 *     p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, step, root, eps, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    double unbias1 = 1 - lrc_pow(h->beta1, (double)t);
    double unbias2 = 1 - lrc_pow(h->beta2, (double)t);
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->step = (real)(h->lr / unbias1);
    c->root = (real)(1 / sqrt(unbias2));
    c->eps = (real)h->eps;
    c->keep = (real)KEEP(h);
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
            p[i] = c.keep * p[i] - (c.step * m[i]) / (SQRT(vmax[i]) * c.root + c.eps);
        }
        return;
    }
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        p[i] = c.keep * p[i] - (c.step * m[i]) / (SQRT(v[i]) * c.root + c.eps);
    }
}

KERNEL(constants, update);
