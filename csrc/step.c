/* A step: the rule between the stages of block.c, over the blocks of a chunk; and the other sweeps that
 * kernels are asked for. */
#include "block.h"
#include "means.h"
#include "reduce.h"
#include "roofline.h"
#include "stages.h"
#include "units.h"

#include <string.h>

#define RULE(name, ...) extern const kernel NAME(name);
#include "rules.def"
#undef RULE

const kernel *const NAME(kernels)[LRC_RULES] = {
#define RULE(name, ...) &NAME(name),
#include "rules.def"
#undef RULE
};

/* ------------------------------------------------------------------------- statistics */

typedef struct {
    lrc_lanes sum[LRC_SLOPE + 1];
    int64_t nonfinite, lost;
    int finite;  /* the gradient is known to be */
    real *trace; /* where the previous step of this chunk is kept; NULL: it is not */
    int64_t start;
} observed;

static void watch(lrc_chunk k, const lrc_tensor *x, const lrc_constants *c, observed *o)
{
    int64_t number = k.start / LRC_CHUNK;
    memset(o, 0, sizeof *o);
    o->finite = c->finite;
    if (x->trace && number % c->trace_every == 0)
        o->trace = (real *)x->trace + number / c->trace_every * LRC_CHUNK;
    o->start = k.start;
}

static void count_nonfinite(size_t n, const real *g, observed *o)
{
    for (size_t i = 0; i < n; i++)
        o->nonfinite += !(g[i] - g[i] == 0);
}

static void watch_gradient(size_t n, int64_t at, const real *g, observed *o)
{
    lrc_lanes *sum = o->sum;
    if (!o->finite)
        count_nonfinite(n, g, o);
    if (!o->trace) {
        NAME(strip)(n, g, g, &sum[LRC_GRAD2]);
        return;
    }
    const real *step = o->trace + (at - o->start);
    NAME(strips)(n, g, step, step, &sum[LRC_GRAD2], &sum[LRC_DOT], &sum[LRC_TRACE2]);
}

static void watch_step(const passage *a, workbench *w, block *b, observed *o)
{
    const lrc_tensor *x = a->x;
    lrc_lanes *sum = o->sum;
    if (x->dtype != REAL_DTYPE && x->master_kind == LRC_NO_MASTER)
        b->p = NAME(fetch_p)(x, b->at, b->n, w->p);
    if (!o->trace) {
        NAME(strip)(b->n, b->p, b->p, &sum[LRC_PARAM2]);
        return;
    }
    real *step = o->trace + (b->at - o->start);
    EACH (i, b->n)
        step[i] = b->p[i] - w->old[i];
    o->lost += (int64_t)NAME(lost)(b->n, step, b->g);
    if (a->treated || a->c->select) /* the gradient as it came, again */
        b->g = NAME(load)(x, b->at, b->n, w->g);
    NAME(strips)(b->n, step, b->g, b->p, &sum[LRC_STEP2], &sum[LRC_SLOPE], &sum[LRC_PARAM2]);
}

static void report(const observed *o, double *seen)
{
    for (int j = 0; j <= LRC_SLOPE; j++)
        seen[j] = NAME(total)(&o->sum[j]);
    seen[LRC_DOT_GRAD2] = o->trace ? seen[LRC_GRAD2] : 0;
    seen[LRC_NONFINITE] = (double)o->nonfinite;
    seen[LRC_LOST] = (double)o->lost;
}

static void observe(const lrc_tensor *x, lrc_chunk k, double *seen)
{
    real buf[LRC_BLOCK];
    observed o = {0};
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block_size(at, end);
        watch_gradient(n, at, NAME(load)(x, at, n, buf), &o);
    }
    report(&o, seen);
}

/* ------------------------------------------------------------------------- the sweeps */

/* The rule's step, or a matrix's along the direction that is ready. */
static void make(int rule, const passage *a, block *b)
{
    const lrc_tensor *x = a->x;
    const lrc_constants *c = a->c;
    if (x->work)
        NAME(descend)(b->n, b->p, (const real *)x->work + b->at, (real)c->rate, (real)c->keep);
    else
        NAME(kernels)[rule]->update(b->n, b->p, b->g, b->state, c->rule);
}

/* What is done with a block once the rule has made its step. */
static void follow(const passage *a, lrc_chunk k, workbench *w, block *b, observed *o)
{
    if (a->c->select)
        NAME(choose)(a->c, w, b);
    if (a->averages)
        NAME(take_averages)(a, b);
    if (a->stored)
        NAME(store)(a, k.tensor, b);
    if (o)
        watch_step(a, w, b, o);
    if (a->c->zero_grads)
        NAME(zero_gradient)(a->x, b->at, b->n);
}

/* Whether nothing is to be done with a block but the rule's step, on arrays as they stand. */
static int rule_alone(const passage *a, int followed)
{
    return a->g && !a->treated && !followed && !a->c->of_rows && !a->row_shares;
}

/* All elements as one block: at the speed of memory the 180 instructions that begin a block cost 4 % of
 * a step, since a core then has fewer loads under way. */
static void update_at_once(int rule, const passage *a, lrc_chunk k)
{
    block b = {.at = k.start, .n = (size_t)k.n, .g = a->g + k.start, .p = a->p + k.start};
    for (int j = 0; j < a->states; j++)
        b.state[j] = a->state[j] ? a->state[j] + k.start : NULL;
    make(rule, a, &b);
}

static void update(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c, double *seen)
{
    workbench w;
    block b;
    observed o;
    passage a;
    enter(x, c, x->work ? 0 : c->states, &a);
    if (seen)
        watch(k, x, c, &o);
    int remembered = (seen && o.trace) || c->select;
    int followed = seen || c->select || a.averages || a.stored || c->zero_grads;
    if (rule_alone(&a, followed)) {
        update_at_once(rule, &a, k);
        return;
    }
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        open_block(&a, at, end, &w, &b);
        if (seen && !a.g)
            watch_gradient(b.n, at, b.g, &o); /* on the workbench, where treat() may change it */
        if (a.treated)
            NAME(treat)(&a, &w, &b);
        if (c->of_rows && !a.rows)
            NAME(open_rows)(rule, &a, &w, &b);
        if (remembered)
            memcpy(w.old, b.p, b.n * sizeof(real));
        make(rule, &a, &b);
        if (seen && a.g)
            watch_gradient(b.n, at, a.g + at, &o); /* in cache by now */
        if (followed)
            follow(&a, k, &w, &b, seen ? &o : NULL);
    }
    if (seen)
        report(&o, seen);
}

static double trial(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c)
{
    workbench w;
    block b;
    passage a;
    enter(x, c, x->work ? 0 : c->states, &a);
    size_t count = 0;
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        open_block(&a, at, end, &w, &b);
        NAME(treat)(&a, &w, &b);
        memcpy(w.old, b.p, b.n * sizeof(real));
        NAME(detach)(&a, &w, &b);
        make(rule, &a, &b);
        count += NAME(agreeing)(b.n, b.p, w.old, b.g, (real)c->keep);
    }
    return (double)count;
}

static void measure(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c,
                    double *sums)
{
    workbench w;
    block b;
    real room[LRC_MAX_SUMS][LRC_BLOCK];
    factors_t factors[LRC_MAX_SUMS];
    lrc_lanes lanes[LRC_MAX_SUMS] = {0};
    passage a;
    enter(x, c, c->states, &a);
    int count = lrc_rules[rule].sums, strips = lrc_rules[rule].scope == LRC_FACTORED;
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        open_block(&a, at, end, &w, &b);
        NAME(treat)(&a, &w, &b);
        NAME(kernels)[rule]->measure(b.n, b.p, b.g, b.state, c->rule, factors, room);
        for (int j = 0; j < count; j++)
            if (factors[j].a)
                (strips ? NAME(strip) : NAME(sum))(b.n, factors[j].a, factors[j].b, &lanes[j]);
    }
    for (int j = 0; j < count; j++)
        sums[j] = NAME(total)(&lanes[j]);
}

static void gather(const lrc_tensor *x, lrc_chunk k, const lrc_constants *c)
{
    workbench w;
    block b;
    passage a;
    enter(x, c, 0, &a);
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        open_block(&a, at, end, &w, &b);
        NAME(treat)(&a, &w, &b);
        memcpy((real *)x->work + at, b.g, b.n * sizeof(real));
    }
}

static void prepare(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c)
{
    workbench w;
    block b;
    passage a;
    _Alignas(64) lrc_draws d;
    enter(x, c, c->states, &a);
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        d.made = -1;
        open_block(&a, at, end, &w, &b);
        NAME(kernels)[rule]->prepare(b.n, (real *)x->work + at, b.state, c->rule);
        if (a.decoded)
            NAME(store_states)(&a, k.tensor, &b, &d);
    }
}

static int finite(const lrc_tensor *x, lrc_chunk k)
{
    real buf[LRC_BLOCK];
    int all = 1;
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block_size(at, end);
        all &= NAME(finite)(n, NAME(load)(x, at, n, buf));
    }
    return all;
}

/* A finite sum has finite terms; an infinite one may have overflowed: look again. */
static int norm(const lrc_tensor *x, lrc_chunk k, double *sum)
{
    real buf[LRC_BLOCK];
    lrc_lanes lanes = {0};
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block_size(at, end);
        const real *g = NAME(load)(x, at, n, buf);
        NAME(sum)(n, g, g, &lanes);
    }
    *sum = NAME(total)(&lanes);
    return *sum - *sum == 0 || finite(x, k);
}

static void accumulate(const lrc_tensor *x, lrc_chunk k)
{
    real buf[LRC_BLOCK];
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK) {
        size_t n = block_size(at, end);
        const real *g = NAME(load)(x, at, n, buf);
        real *sum = (real *)x->sum + at;
        if (x->summed)
            EACH (i, n)
                sum[i] = sum[i] + g[i];
        else
            memcpy(sum, g, n * sizeof(real));
    }
}

static void zero(const lrc_tensor *x, lrc_chunk k)
{
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += LRC_BLOCK)
        NAME(zero_gradient)(x, at, block_size(at, end));
}

static void estimate(int rule, const double *h, const lrc_seen *seen, double *scalars)
{
    NAME(kernels)[rule]->estimate(h, seen, scalars);
}

static void constants(int rule, const double *h, int64_t t, const double *scalars, lrc_constants *c)
{
    NAME(kernels)[rule]->constants(h, t, scalars, c->rule);
}

extern const lrc_engine NAME(engine);
const lrc_engine NAME(engine) = {.estimate = estimate,
                                 .constants = constants,
                                 .update = update,
                                 .trial = trial,
                                 .measure = measure,
                                 .rows = NAME(rows),
                                 .tiles = NAME(tiles),
                                 .factor = NAME(factor),
                                 .gather = gather,
                                 .prepare = prepare,
                                 .finite = finite,
                                 .norm = norm,
                                 .observe = observe,
                                 .accumulate = accumulate,
                                 .zero = zero,
                                 .units = NAME(units),
                                 .roofline = NAME(roofline)};
