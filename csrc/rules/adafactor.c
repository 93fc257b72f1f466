/* Adafactor. Shazeer & Stern 2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost",
 * algorithms 4 and 5 without momentum, with the rate and decay of torch.optim.Adafactor.
 *
 *     w = t^beta2_decay
 *     variance = variance + w (g^2 - variance);  of a matrix row_var and col_var likewise, towards
 *     the means of g^2 over its columns and rows, and variance = row_var / max(eps1, mean(row_var)) col_var
 *     u = g / sqrt(max(variance, eps1^2)) = g min(1 / sqrt(variance), 1 / eps1)
 *     p = (1 - lr weight_decay) p - min(lr, 1 / sqrt(t)) max(eps2, rms(p)) / max(1, rms(u) / d) u
 */
#include "kernel.h"

struct constants {
    real weight, eps1, least, most, none, step, keep;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double size = 0, length = 0;
    if (seen->n > 0) {
        size = sqrt(seen->sum[0]) / sqrt((double)seen->n);
        length = sqrt(seen->sum[1]) / (sqrt((double)seen->n) * h->d);
    }
    k->scale = size > h->eps2 ? size : h->eps2;
    k->shrink = length > 1 ? 1 / length : 1;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    double most = 1 / sqrt((double)t), rate = h->lr < most ? h->lr : most;
    double eps1 = h->eps1 == h->eps1 ? h->eps1 : REAL_BITS == 32 ? FLT_EPSILON : DBL_EPSILON;
    c->weight = (real)lrc_pow((double)t, h->beta2_decay);
    c->eps1 = (real)eps1;
    c->least = (real)(eps1 * eps1);
    c->most = (real)(1 / eps1);
    c->none = c->most < INFINITY ? INFINITY : 0;
    c->step = (real)((rate * k->scale) * k->shrink);
    c->keep = (real)KEEP(h);
}

static void follow(size_t n, real *restrict v, const real *restrict mean, const void *in)
{
    const struct constants c = *(const struct constants *)in;
    EACH (i, n)
        v[i] = v[i] + c.weight * (mean[i] - v[i]);
}

/* What a factor has of 1 / sqrt(variance): so neither sweep divides. */
static void share(size_t n, real *restrict out, const real *restrict factor, const real *mean,
                  const void *in)
{
    const struct constants c = *(const struct constants *)in;
    real most = !mean ? 1 : *mean < c.eps1 ? c.eps1 : *mean;
    EACH (i, n)
        out[i] = factor[i] == 0 ? c.none : 1 / SQRT(factor[i] / most);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict v = s->variance;
    if (IS_PRODUCT(state))
        EACH (i, n) {
            real root = v[i] > c.most ? c.most : v[i];
            p[i] = c.keep * p[i] - c.step * (g[i] * root);
        }
    else
        EACH (i, n) {
            v[i] = v[i] + c.weight * (g[i] * g[i] - v[i]);
            real most = v[i] < c.least ? c.least : v[i];
            p[i] = c.keep * p[i] - c.step * (most == 0 ? 0 : g[i] / SQRT(most));
        }
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    const real *restrict v = s->variance;
    real *restrict u = room[1];
    if (IS_PRODUCT(state))
        EACH (i, n)
            u[i] = g[i] * (v[i] > c.most ? c.most : v[i]);
    else
        EACH (i, n) {
            real moved = v[i] + c.weight * (g[i] * g[i] - v[i]);
            real most = moved < c.least ? c.least : moved;
            u[i] = most == 0 ? 0 : g[i] / SQRT(most);
        }
    factors[0] = (factors_t){p, p};
    factors[1] = (factors_t){u, u};
}

KERNEL_WITH_FACTORS(estimate, constants, update, measure, follow, share);
