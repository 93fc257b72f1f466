/* Adan. Xie et al. 2022, "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep
 * Models", algorithm 1, with the betas and the bias correction of the authors' code.
 *
 *     x = g - prev (0 at t = 1),  prev = g
 *     m = beta1 m + (1 - beta1) g,  d = beta2 d + (1 - beta2) x
 *     v = beta3 v + (1 - beta3) (g + beta2 x)^2
 *     u = lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(v) / sqrt(1 - beta3^t) + eps)
 *     p = (p - u) / (1 + lr weight_decay);  no_prox: p = (1 - lr weight_decay) p - u
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, beta3, new3, step_m, step_d, root, eps, before, after, first;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    double decay = h->lr * h->weight_decay;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->beta3 = (real)h->beta3;
    c->new3 = (real)(1 - h->beta3);
    c->step_m = (real)(h->lr / (1 - lrc_pow(h->beta1, (double)t)));
    c->step_d = (real)(h->lr * h->beta2 / (1 - lrc_pow(h->beta2, (double)t)));
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta3, (double)t)));
    c->eps = (real)h->eps;
    c->before = (real)(h->no_prox != 0 ? 1 - decay : 1);
    c->after = (real)(h->no_prox != 0 ? 1 : 1 / (1 + decay));
    c->first = (real)(t == 1);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict d = s->d, *restrict v = s->v, *restrict prev = s->prev;
    EACH (i, n) {
        real x = c.first != 0 ? 0 : g[i] - prev[i];
        real y = g[i] + c.beta2 * x;
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        d[i] = c.beta2 * d[i] + c.new2 * x;
        v[i] = c.beta3 * v[i] + c.new3 * (y * y);
        real u = (c.step_m * m[i] + c.step_d * d[i]) / (SQRT(v[i]) * c.root + c.eps);
        p[i] = c.after * (c.before * p[i] - u);
        prev[i] = g[i];
    }
}

KERNEL(constants, update);
