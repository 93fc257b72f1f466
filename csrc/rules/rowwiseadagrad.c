/* Row-wise Adagrad: a second moment for each row. Mudigere et al. 2022, "Software-Hardware Co-design
 * for Fast and Scalable Training of Deep Learning Recommendation Models"; as in FBGEMM and TorchRec.
 *
 *     s = s + mean of g^2 over the row        s starts at initial_accumulator_value
 *     p = p - lr / (1 + (t - 1) lr_decay) / (sqrt(s) + eps) g
 */
#include "kernel.h"

struct constants {
    real step, eps;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->step = (real)(h->lr / (1 + (double)(t - 1) * h->lr_decay));
    c->eps = (real)h->eps;
}

static void rows(size_t n, real *restrict mean, const void *state, const void *in)
{
    const state_t *st = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict s = st->s;
    EACH (i, n) {
        s[i] = s[i] + mean[i];
        mean[i] = c.step / (SQRT(s[i]) + c.eps);
    }
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const real *restrict step = OF_ROW(state);
    (void)in;
    EACH (i, n)
        p[i] = p[i] - step[i] * g[i];
}

KERNEL_WITH_ROWS(constants, update, rows);
