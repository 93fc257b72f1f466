/* MADGRAD. Defazio & Jelassi 2022, "A Momentumized, Adaptive, Dual Averaged Gradient Method for
 * Stochastic Optimization", algorithm 1, with eps added to the rate, as its authors' code has it.
 *
 *     l = (lr + eps) sqrt(t)                 0 where lr is
 *     v = v + l g^2,  s = s + l g
 *     z = x0 - s / (cbrt(v) + eps)           x0 is where p started
 *     p = p + (1 - momentum) (z - p)
 *
 * Without momentum x0 is worked out from p, s and v of the step before, and not kept.
 */
#include "kernel.h"

struct constants {
    real step, eps, fresh, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    double rate = h->lr == 0 ? 0 : h->lr + h->eps;
    c->step = (real)(rate * sqrt((double)t));
    c->eps = (real)h->eps;
    c->fresh = (real)(1 - h->momentum);
    c->keep = (real)KEEP_IF_DECOUPLED(h);
}

/* s / (cbrt(v) + eps), 0 where both are. */
static inline real ratio(real s, real v, real eps)
{
    real root = cube_root(v) + eps;
    return root == 0 ? 0 : s / root;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *st = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict v = st->v, *restrict s = st->s, *restrict x0 = st->x0;
    if (x0) {
        EACH (i, n) {
            v[i] = v[i] + c.step * (g[i] * g[i]);
            s[i] = s[i] + c.step * g[i];
            real z = x0[i] - ratio(s[i], v[i], c.eps);
            real w = c.keep * p[i];
            p[i] = w + c.fresh * (z - w);
        }
        return;
    }
    EACH (i, n) {
        real start = c.keep * p[i] + ratio(s[i], v[i], c.eps);
        v[i] = v[i] + c.step * (g[i] * g[i]);
        s[i] = s[i] + c.step * g[i];
        p[i] = start - ratio(s[i], v[i], c.eps);
    }
}

KERNEL(constants, update);
