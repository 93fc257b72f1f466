/* D-Adaptation for Adam. Defazio & Mishchenko 2023, "Learning-Rate-Free Learning by D-Adaptation",
 * algorithm 5, with the authors' growth_rate and weight decay.
 *
 *     lambda = lr d               use_bias_correction: times sqrt(1 - beta2^t) / (1 - beta1^t)
 *     numerator = beta3 numerator + (1 - beta3) lambda <g, s / (sqrt(v) + eps)>
 *     m = beta1 m + (1 - beta1) lambda g,  v = beta2 v + (1 - beta2) g^2
 *     s = beta3 s + (1 - beta3) lambda g                             beta3 = sqrt(beta2)
 *     d = max(d, min(numerator / ((1 - beta3) |s|_1), growth_rate d))
 *     p = p - m / (sqrt(v) + eps)
 *
 * over the group. decouple: p = (1 - lambda weight_decay) p first, otherwise g += weight_decay p.
 * lambda has the old d: measure() sees it as d, update(), after the estimate, as `used`. */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, beta3, new3, due3, eps, coupled, keep;
};

static double unbiased(const hyper_t *h, int64_t t)
{
    if (h->use_bias_correction == 0)
        return h->lr;
    return h->lr * (sqrt(1 - lrc_pow(h->beta2, (double)t)) / (1 - lrc_pow(h->beta1, (double)t)));
}

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double beta3 = sqrt(h->beta2), lambda = k->d * unbiased(h, seen->t), norm = seen->sum[1];
    k->used = k->d;
    if (!(norm > 0))
        return;
    k->numerator = beta3 * k->numerator + (1 - beta3) * (lambda * seen->sum[0]);
    double guess = k->numerator / ((1 - beta3) * norm), most = k->d * h->growth_rate;
    if (guess > k->d)
        k->d = guess < most ? guess : most;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    double rate = unbiased(h, t), lambda = k->used * rate, beta3 = sqrt(h->beta2);
    int decoupled = h->decouple != 0;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)((1 - h->beta1) * lambda);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)(1 - h->beta2);
    c->beta3 = (real)beta3;
    c->new3 = (real)((1 - beta3) * lambda);
    c->due3 = (real)((1 - beta3) * (k->d * rate));
    c->eps = (real)h->eps;
    c->coupled = (real)(decoupled ? 0 : h->weight_decay);
    c->keep = (real)(decoupled ? 1 - lambda * h->weight_decay : 1);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *a = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict m = a->m, *restrict v = a->v, *restrict s = a->s;
    EACH (i, n) {
        real u = g[i] + c.coupled * p[i];
        m[i] = c.beta1 * m[i] + c.new1 * u;
        v[i] = c.beta2 * v[i] + c.new2 * (u * u);
        s[i] = c.beta3 * s[i] + c.new3 * u;
        p[i] = c.keep * p[i] - m[i] / (SQRT(v[i]) + c.eps);
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *a = state;
    const struct constants c = *(const struct constants *)in;
    const real *restrict v = a->v, *restrict s = a->s;
    real *restrict u = room[0], *restrict w = room[1], *restrict size = room[2];
    EACH (i, n) {
        u[i] = g[i] + c.coupled * p[i];
        w[i] = s[i] / (SQRT(v[i]) + c.eps);
        real s1 = c.beta3 * s[i] + c.due3 * u[i];
        size[i] = s1 < 0 ? -s1 : s1;
    }
    factors[0] = (factors_t){u, w};
    factors[1] = (factors_t){size, NULL};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
