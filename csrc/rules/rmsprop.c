/* RMSprop. Tieleman & Hinton 2012, "Lecture 6.5", Coursera; centered is Graves 2013, "Generating
 * Sequences With Recurrent Neural Networks", equations 38-45, which has eps inside the root. It is
 * outside, as torch has it, or with eps_inside inside, as TensorFlow, Keras and optax do.
 *
 *     v = alpha v + (1 - alpha) g^2          mean = alpha mean + (1 - alpha) g
 *     d = g / (sqrt(v) + eps), or centered   g / (sqrt(v - mean^2) + eps)
 *         g / sqrt(v + eps)                  g / sqrt(v - mean^2 + eps)
 *     p = p - lr d, or with momentum         buf = momentum buf + d,  p = p - lr buf
 */
#include "kernel.h"

struct constants {
    real lr, alpha, fresh, inner, outer, momentum;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)t, (void)scalars;
    c->lr = (real)h->lr;
    c->alpha = (real)h->alpha;
    c->fresh = (real)(1 - h->alpha);
    c->inner = h->eps_inside != 0 ? (real)h->eps : 0;
    c->outer = h->eps_inside != 0 ? 0 : (real)h->eps;
    c->momentum = (real)h->momentum;
}

/* Rounding can leave v a little below mean^2, where the root has no value; it is then taken of 0,
 * where torch returns NaN. */
static inline real spread(real v, real mean)
{
    real x = v - mean * mean;
    return x < 0 ? 0 : x;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict v = s->v, *restrict mean = s->mean, *restrict buf = s->buf;
    if (mean && buf) {
        EACH (i, n) {
            v[i] = c.alpha * v[i] + c.fresh * (g[i] * g[i]);
            mean[i] = c.alpha * mean[i] + c.fresh * g[i];
            buf[i] = c.momentum * buf[i] + g[i] / (SQRT(spread(v[i], mean[i]) + c.inner) + c.outer);
            p[i] = p[i] - c.lr * buf[i];
        }
    } else if (mean) {
        EACH (i, n) {
            v[i] = c.alpha * v[i] + c.fresh * (g[i] * g[i]);
            mean[i] = c.alpha * mean[i] + c.fresh * g[i];
            p[i] = p[i] - (c.lr * g[i]) / (SQRT(spread(v[i], mean[i]) + c.inner) + c.outer);
        }
    } else if (buf) {
        EACH (i, n) {
            v[i] = c.alpha * v[i] + c.fresh * (g[i] * g[i]);
            buf[i] = c.momentum * buf[i] + g[i] / (SQRT(v[i] + c.inner) + c.outer);
            p[i] = p[i] - c.lr * buf[i];
        }
    } else {
        EACH (i, n) {
            v[i] = c.alpha * v[i] + c.fresh * (g[i] * g[i]);
            p[i] = p[i] - (c.lr * g[i]) / (SQRT(v[i] + c.inner) + c.outer);
        }
    }
}

KERNEL(constants, update);
