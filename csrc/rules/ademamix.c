/* AdEMAMix. Pagliardini, Ablin & Grangier 2024, "The AdEMAMix Optimizer: Better, Faster, Older",
 * algorithm 1 and equations for the two warm-ups.
 *
 *     m = beta1 m + (1 - beta1) g,  m_slow = beta3 m_slow + (1 - beta3) g
 *     v = beta2 v + (1 - beta2) g^2
 *     p = p - lr (m / (1 - beta1^t) + alpha m_slow) / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *
 * While t < alpha_warmup alpha is alpha t / alpha_warmup; while t < beta3_warmup the half-life of
 * m_slow is on a straight line from that of beta1 to that of beta3.
 */
#include "kernel.h"

struct constants {
    real lr, beta1, new1, beta2, new2, beta3, new3, unbias, alpha, root, eps, keep;
};

/* -1 / log(beta), to which the half-life is proportional. */
static double memory(double beta) { return beta > 0 ? -1 / lrc_log(beta) : 0; }

static double warm_beta(double from, double to, double part)
{
    double length = (1 - part) * memory(from) + part * memory(to);
    return length > 0 ? lrc_exp(-1 / length) : 0;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    double now = (double)t, beta3 = h->beta3, alpha = h->alpha;
    if (now < h->beta3_warmup)
        beta3 = warm_beta(h->beta1, beta3, now / h->beta3_warmup);
    if (now < h->alpha_warmup)
        alpha = alpha * (now / h->alpha_warmup);
    c->lr = (real)h->lr;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)(1 - h->beta1);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->beta3 = (real)beta3;
    c->new3 = (real)(1 - beta3);
    c->unbias = (real)(1 / (1 - lrc_pow(h->beta1, now)));
    c->alpha = (real)alpha;
    c->root = (real)(1 / sqrt(1 - lrc_pow(h->beta2, now)));
    c->eps = (real)h->eps;
    c->keep = (real)KEEP(h);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = s->m, *restrict m_slow = s->m_slow, *restrict v = s->v;
    EACH (i, n) {
        m[i] = c.beta1 * m[i] + c.new1 * g[i];
        m_slow[i] = c.beta3 * m_slow[i] + c.new3 * g[i];
        v[i] = c.beta2 * v[i] + c.new2 * (g[i] * g[i]);
        real u = c.unbias * m[i] + c.alpha * m_slow[i];
        p[i] = c.keep * p[i] - (c.lr * u) / (SQRT(v[i]) * c.root + c.eps);
    }
}

KERNEL(constants, update);
