/* DoWG. Khaled, Mishchenko & Jin 2023, "DoWG Unleashed: An Efficient Universal Parameter-Free
 * Gradient Descent Method", algorithm 1, with the eps of optax.
 *
 *     distance = max(distance, |p - x0|^2)    at first init_estim_sq_dist, or eps
 *     squares += distance |g|^2
 *     p = p - lr distance / (sqrt(squares) + eps) g                 over the group
 */
#include "kernel.h"

struct constants {
    real step;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double first = h->init_estim_sq_dist == h->init_estim_sq_dist ? h->init_estim_sq_dist : h->eps;
    double far = seen->sum[0] > first ? seen->sum[0] : first;
    k->distance = far > k->distance ? far : k->distance;
    k->squares += k->distance * seen->sum[1];
    double root = sqrt(k->squares) + h->eps;
    k->ratio = root > 0 ? k->distance / root : 0;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    (void)t;
    c->step = (real)(h->lr * k->ratio);
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const struct constants c = *(const struct constants *)in;
    (void)state;
    EACH (i, n)
        p[i] = p[i] - c.step * g[i];
}

static void measure(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *in, factors_t *factors, real (*room)[LRC_BLOCK])
{
    const state_t *a = state;
    const real *restrict x0 = a->x0;
    real *restrict way = room[0];
    (void)in;
    EACH (i, n)
        way[i] = p[i] - x0[i];
    factors[0] = (factors_t){way, way};
    factors[1] = (factors_t){g, g};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
