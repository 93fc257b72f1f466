/* Prodigy. Mishchenko & Defazio 2024, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner",
 * algorithm 4, with the authors' growth_rate, d_coef and weight decay.
 *
 *     lambda = lr d               use_bias_correction: times sqrt(1 - beta2^t) / (1 - beta1^t)
 *     numerator = beta3 numerator + d / d0 lambda <g, p0 - p>        beta3: sqrt(beta2) if None
 *     m = beta1 m + (1 - beta1) d g,  v = beta2 v + (1 - beta2) d^2 g^2
 *     s = beta3 s + d / d0 lambda g                   safeguard_warmup: d in place of lambda
 *     guess = d_coef numerator / |s|_1,  d_max = max(d_max, guess)
 *     d = min(d_max, growth_rate d)                   where d is still d0: of max(d, guess)
 *     p = p - lambda m / (sqrt(v) + d eps)
 *
 * over the group. decouple: p = (1 - lambda weight_decay) p first, otherwise g += weight_decay p.
 * lambda has the old d, eps the new one: measure() sees the old one as d, update(), after the
 * estimate, as `used`. */
#include "kernel.h"

struct constants {
    real beta1, new1, beta2, new2, beta3, new3, due3, eps, step, coupled, keep;
};

static double beta3_of(const hyper_t *h)
{
    return h->beta3 == h->beta3 ? h->beta3 : sqrt(h->beta2);
}

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
    double d = k->d, lambda = d * unbiased(h, seen->t), norm = seen->sum[1];
    k->used = d;
    if (!(norm > 0))
        return;
    k->numerator = beta3_of(h) * k->numerator + ((d / h->d0) * lambda) * seen->sum[0];
    double guess = h->d_coef * k->numerator / norm;
    if (d == h->d0 && guess > d)
        d = guess;
    if (guess > k->d_max)
        k->d_max = guess;
    d = d * h->growth_rate;
    k->d = d < k->d_max ? d : k->d_max;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    double rate = unbiased(h, t), d = k->used, lambda = d * rate;
    double factor = h->safeguard_warmup != 0 ? 1 : rate;
    int decoupled = h->decouple != 0;
    c->beta1 = (real)h->beta1;
    c->new1 = (real)((1 - h->beta1) * d);
    c->beta2 = (real)h->beta2;
    c->new2 = (real)((1 - h->beta2) * (d * d));
    c->beta3 = (real)beta3_of(h);
    c->new3 = (real)((d / h->d0) * (d * factor));
    c->due3 = (real)((k->d / h->d0) * (k->d * factor));
    c->eps = (real)(k->d * h->eps);
    c->step = (real)lambda;
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
        p[i] = c.keep * p[i] - (c.step * m[i]) / (SQRT(v[i]) + c.eps);
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *a = state;
    const struct constants c = *(const struct constants *)in;
    const real *restrict s = a->s, *restrict p0 = a->p0;
    real *restrict u = room[0], *restrict way = room[1], *restrict size = room[2];
    EACH (i, n) {
        u[i] = g[i] + c.coupled * p[i];
        way[i] = p0[i] - p[i];
        real s1 = c.beta3 * s[i] + c.due3 * u[i];
        size[i] = s1 < 0 ? -s1 : s1;
    }
    factors[0] = (factors_t){u, way};
    factors[1] = (factors_t){size, NULL};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
