/* NAdam. Dozat 2016, "Incorporating Nesterov Momentum into Adam", algorithm 2 with the warm-up of
 * the momentum of section 3, eps outside the root.
 *
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2),  P = mu_1 ... mu_t
 *     p = p - lr ((1 - mu_t) / (1 - P) g + mu_t+1 / (1 - P mu_t+1) m) / (sqrt(v / (1 - beta2^t)) + eps)
 */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, now, step, root, eps, keep;
};

static double momentum(const hyper_t *h, int64_t t)
{
    return h->beta1 * (1 - 0.5 * lrc_pow(0.96, (double)t * h->momentum_decay));
}

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    scalars_t *k = scalars;
    double before = seen->t == 1 ? 1 : k->mu_product;
    k->mu_product = before * momentum(hyper, seen->t);
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    double mu = momentum(h, t), ahead = momentum(h, t + 1);
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->now = (real)((h->lr * (1 - mu)) / (1 - k->mu_product));
    c->step = (real)((h->lr * ahead) / (1 - k->mu_product * ahead));
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta2, (double)t)));
    c->eps = (real)h->eps;
    c->keep = (real)KEEP_IF_DECOUPLED(h);
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
        p[i] = c.keep * p[i] - (c.now * g[i] + c.step * m[i]) / (SQRT(v[i]) * c.root + c.eps);
    }
}

KERNEL_WITH_SCALARS(estimate, constants, update);
