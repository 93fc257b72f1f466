/* DoG. Ivgi, Hinder & Carmon 2023, "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size
 * Schedule", with the initial step of the authors' package.
 *
 *     distance = max(distance, |p - x0|)      at first reps_rel (1 + |p|), with init_eta 0
 *     squares += |g|^2                        at first eps
 *     p = p - lr distance / sqrt(squares) g   over the group; with init_eta first p - lr init_eta g
 *
 * `squares` is 0 until the first gradient; until then measure() takes |p| in place of |p - x0|. */
#include "kernel.h"

struct constants {
    real origin, step;
};

static void estimate(const void *hyper, const lrc_seen *seen, void *scalars)
{
    const hyper_t *h = hyper;
    scalars_t *k = scalars;
    double norm = sqrt(seen->sum[0]), gg = seen->sum[1];
    int first = !(k->squares > 0), given = h->init_eta == h->init_eta;
    if (first) {
        k->distance = given ? 0 : h->reps_rel * (1 + norm);
        k->squares = gg + h->eps;
    } else {
        k->distance = norm > k->distance ? norm : k->distance;
        k->squares += gg;
    }
    k->ratio = k->squares > 0 ? k->distance / sqrt(k->squares) : 0;
    if (first && given)
        k->ratio = h->init_eta;
}

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    const scalars_t *k = scalars;
    struct constants *c = out;
    (void)t;
    c->origin = (real)(k->squares > 0);
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
    const struct constants c = *(const struct constants *)in;
    const real *restrict x0 = a->x0;
    real *restrict way = room[0];
    EACH (i, n)
        way[i] = p[i] - c.origin * x0[i];
    factors[0] = (factors_t){way, way};
    factors[1] = (factors_t){g, g};
}

KERNEL_WITH_SUMS(estimate, constants, update, measure);
