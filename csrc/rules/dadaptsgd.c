/* D-Adaptation for SGD. Defazio & Mishchenko 2023, "Learning-Rate-Free Learning by D-Adaptation",
 * algorithm 4, with the authors' growth_rate.
 *
 *     lambda = lr d / |g_1|                   over the group, of its first gradient
 *     numerator += lambda <g, s>,  s += lambda g
 *     d = max(d, min(2 numerator / |s|, growth_rate d))        from the next step on
 *     p = momentum p + (1 - momentum) (x0 - s)
 *
 * Where a tensor has a rate of its own, r times the group's, lambda and s are r times as large
 * and the norms are those of the problem so scaled, |g|^2 = sum r g^2 and |s|^2 = sum s^2 / r. With
 * w = r lr the sums are over g s, s^2 / w and w g^2, from which |s + lambda g|^2 follows. */
#include "kernel.h"

struct constants {
    real lr, inverse, step, stay, go;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double gs = seen->sum[0], ss = seen->sum[1], gg = seen->sum[2];
    k->rate = 0;
    if (!(h->lr > 0))
        return;
    if (!(k->g0 > 0))
        k->g0 = sqrt(gg / h->lr);
    if (!(k->g0 > 0))
        return;
    k->rate = k->d / k->g0;
    k->numerator += (k->rate * h->lr) * gs;
    double norm2 = h->lr * ((ss + 2 * (k->rate * gs)) + (k->rate * k->rate) * gg);
    double guess = norm2 > 0 ? 2 * k->numerator / sqrt(norm2) : 0, most = k->d * h->growth_rate;
    if (guess > k->d)
        k->d = guess < most ? guess : most;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    int moves = k->rate * h->lr > 0;
    (void)t;
    c->lr = (real)h->lr;
    c->inverse = (real)(h->lr > 0 ? 1 / h->lr : 0);
    c->step = (real)(k->rate * h->lr);
    c->stay = (real)(moves ? h->momentum : 1);
    c->go = (real)(moves ? 1 - h->momentum : 0);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *a = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict s = a->s;
    const real *restrict x0 = a->x0;
    EACH (i, n) {
        s[i] = s[i] + c.step * g[i];
        p[i] = c.stay * p[i] + c.go * (x0[i] - s[i]);
    }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *a = state;
    const struct constants c = *(const struct constants *)in;
    const real *restrict s = a->s;
    real *restrict over = room[1], *restrict times = room[2];
    (void)p;
    EACH (i, n) {
        over[i] = c.inverse * s[i];
        times[i] = c.lr * g[i];
    }
    factors[0] = (factors_t){g, s};
    factors[1] = (factors_t){s, over};
    factors[2] = (factors_t){g, times};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
