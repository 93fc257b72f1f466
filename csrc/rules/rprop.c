/* Rprop. Riedmiller & Braun 1993, "A Direct Adaptive Method for Faster Backpropagation Learning: The
 * RPROP Algorithm", in the form that Igel & Huesken 2000, "Improving the Rprop Learning Algorithm",
 * call iRprop-: where the sign changes, the gradient is forgotten instead of the step undone.
 *
 *     step = eta2 step where g prev > 0, eta1 step where g prev < 0; inside the step sizes, lr at first
 *     prev = 0 where g prev < 0, g elsewhere
 *     p = p - sign(prev) step
 */
#include "kernel.h"

struct constants {
    real shorter, longer, low, high, first, keep;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)scalars;
    c->shorter = (real)h->eta1;
    c->longer = (real)h->eta2;
    c->low = (real)h->step_size1;
    c->high = (real)h->step_size2;
    c->first = t == 1 ? (real)h->lr : 0;
    c->keep = t != 1;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict prev = s->prev, *restrict step_size = s->step_size;
    EACH (i, n) {
        real agreed = g[i] * prev[i];
        real step = c.keep * step_size[i] + c.first; /* the one or the other */
        step = step * (agreed > 0 ? c.longer : agreed < 0 ? c.shorter : 1);
        step = step < c.low ? c.low : step;
        step = step > c.high ? c.high : step;
        step_size[i] = step;
        prev[i] = agreed < 0 ? 0 : g[i];
        p[i] = p[i] - SIGN(prev[i]) * step;
    }
}

KERNEL(constants, update);
