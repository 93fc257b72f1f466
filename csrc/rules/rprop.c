/* Rprop. Riedmiller & Braun 1993, "A Direct Adaptive Method for Faster Backpropagation Learning: The
 * RPROP Algorithm", in the form that Igel & Huesken 2000, "Improving the Rprop Learning Algorithm",
 * call iRprop-: where the sign changes, the gradient is forgotten instead of the step undone.
 *
 *     step = eta2 step where g prev > 0, eta1 step where g prev < 0; inside the step sizes; lr at first
 *     prev = 0 where g prev < 0, g elsewhere
 *     p = p - sign(prev) step
 *
 * A step that has not begun is 0. Where lr is 0 nothing changes.
 */
#include "kernel.h"

struct constants {
    real lr, shorter, longer, low, high;
};

static void constants(const void *hyper, int64_t t, const void *scalars, void *out)
{
    const hyper_t *h = hyper;
    struct constants *c = out;
    (void)t, (void)scalars;
    c->lr = (real)h->lr;
    c->shorter = (real)h->eta1;
    c->longer = (real)h->eta2;
    c->low = (real)h->step_size1;
    c->high = (real)h->step_size2;
}

static void update(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *in)
{
    const state_t *s = state;
    const struct constants c = *(const struct constants *)in;
    real *restrict prev = s->prev, *restrict step_size = s->step_size;
    if (c.lr == 0)
        return;
    EACH (i, n) {
        real agreed = g[i] * prev[i];
        real step = step_size[i] == 0 ? c.lr : step_size[i];
        step = step * (agreed > 0 ? c.longer : agreed < 0 ? c.shorter : 1);
        step = step < c.low ? c.low : step;
        step = step > c.high ? c.high : step;
        step_size[i] = step;
        prev[i] = agreed < 0 ? 0 : g[i];
        p[i] = p[i] - SIGN(prev[i]) * step;
    }
}

KERNEL(constants, update);
