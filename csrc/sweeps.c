/* The sweeps of a step: tasks over its chunks, units, rows or tiles, on as many threads as they are
 * worth, and what each asks the kernels to do. */
#include "sweeps.h"

#include <stdatomic.h>

static _Atomic int64_t parallel_from = 98304;

int64_t lrc_get_parallel_from(void) { return atomic_load(&parallel_from); }

void lrc_set_parallel_from(int64_t elements) { atomic_store(&parallel_from, elements); }

/* Small steps run on the caller's thread. */
static void run(lrc_plan *plan, int64_t n, void (*task)(void *context, size_t i), void *context)
{
    if (plan->work->n_elements >= lrc_get_parallel_from())
        lrc_parallel((size_t)n, task, context);
    else
        for (size_t i = 0; i < (size_t)n; i++)
            task(context, i);
}

/* ----------------------------------------------------------------- over the chunks */

typedef struct {
    lrc_plan *plan;
    lrc_visit *visit;
    int joined;
} sweep_context;

static void sweep_task(void *context, size_t i)
{
    sweep_context *s = context;
    const lrc_work *w = s->plan->work;
    for (int64_t c = w->tasks[i], end = w->tasks[i + 1], next; c < end; c = next) {
        lrc_chunk k = w->chunks[c];
        const lrc_tensor *x = &s->plan->tensors[k.tensor];
        for (next = c + 1; s->joined && next < end && w->chunks[next].tensor == k.tensor; next++)
            k.n += w->chunks[next].n;
        if (x->g)
            s->visit(s->plan, w->engines[lrc_arithmetic(x)], c, k, x);
    }
}

void lrc_sweep(lrc_plan *plan, lrc_visit *what)
{
    sweep_context context = {plan, what, 0};
    run(plan, plan->work->n_tasks, sweep_task, &context);
}

void lrc_sweep_joined(lrc_plan *plan, lrc_visit *what)
{
    sweep_context context = {plan, what, 1};
    run(plan, plan->work->n_tasks, sweep_task, &context);
}

static const lrc_constants *constants_of(const lrc_plan *plan, int64_t chunk)
{
    const lrc_work *w = plan->work;
    return &w->constants[w->slot[w->chunks[chunk].tensor]];
}

void lrc_visit_norm(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                    const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    w->bad[c] =
        !(w->square ? engine->norm(x, k, &w->sums[c * LRC_MAX_SUMS]) : engine->finite(x, k));
}

void lrc_visit_measure(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                       const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    engine->measure(plan->rule, x, k, constants_of(plan, c), &w->sums[c * LRC_MAX_SUMS]);
}

void lrc_visit_trial(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                     const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    if (plan->groups[x->group].select == LRC_CAUTIOUS)
        w->sums[c * LRC_MAX_SUMS] = engine->trial(plan->rule, x, k, constants_of(plan, c));
}

void lrc_visit_update(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                      const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    engine->update(plan->rule, x, k, constants_of(plan, c),
                   plan->stats ? &w->seen[c * LRC_OBSERVED] : NULL);
}

void lrc_visit_gather(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                      const lrc_tensor *x)
{
    if (x->work)
        engine->gather(x, k, constants_of(plan, c));
}

void lrc_visit_prepare(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                       const lrc_tensor *x)
{
    if (x->work)
        engine->prepare(plan->rule, x, k, constants_of(plan, c));
}

void lrc_visit_observe(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                       const lrc_tensor *x)
{
    engine->observe(x, k, &plan->work->seen[c * LRC_OBSERVED]);
}

void lrc_visit_zero(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                    const lrc_tensor *x)
{
    (void)plan;
    (void)c;
    engine->zero(x, k);
}

void lrc_visit_accumulate(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                          const lrc_tensor *x)
{
    (void)c;
    engine->accumulate(x, k);
    if (plan->zero_grads)
        engine->zero(x, k);
}

void lrc_visit_roofline(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                        const lrc_tensor *x)
{
    const lrc_work *w = plan->work;
    if (w->kind == LRC_LOOK && !lrc_row_sweep(plan, x) && !(w->squares && lrc_matrices(x)))
        return;
    engine->roofline(x, k, constants_of(plan, c), w->kind);
}

/* -------------------------------------------------- over units, rows, and tiles of matrices */

static void unit_task(void *context, size_t i)
{
    lrc_plan *plan = context;
    lrc_work *w = plan->work;
    const lrc_units u = w->units[i];
    const lrc_tensor *x = &plan->tensors[u.tensor];
    const lrc_group *g = &plan->groups[x->group];
    if (!x->g || g->agc == 0)
        return;
    const lrc_constants *c = &w->constants[w->slot[u.tensor]];
    w->engines[lrc_arithmetic(x)]->units(x, u.first, u.n, c->scale, g->agc, g->agc_eps,
                                         w->factors[u.tensor]);
}

void lrc_sweep_units(lrc_plan *plan) { run(plan, plan->work->n_units, unit_task, plan); }

int lrc_row_sweep(const lrc_plan *plan, const lrc_tensor *x)
{
    int known = plan->groups[x->group].select == LRC_CAUTIOUS;
    return x->g && plan->work->of_rows && (known || LRC_BLOCK % lrc_row(x) != 0);
}

int lrc_any_row_sweep(const lrc_plan *plan)
{
    int any = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++)
        any |= lrc_row_sweep(plan, &plan->tensors[i]);
    return any;
}

static void row_task(void *context, size_t i)
{
    lrc_plan *plan = context;
    lrc_work *w = plan->work;
    const lrc_units u = w->row_tasks[i];
    const lrc_tensor *x = &plan->tensors[u.tensor];
    if (lrc_row_sweep(plan, x))
        w->engines[lrc_arithmetic(x)]->rows(plan->rule, x, u.first, u.n,
                                            &w->constants[w->slot[u.tensor]],
                                            w->row_factors[u.tensor]);
}

void lrc_sweep_rows(lrc_plan *plan) { run(plan, plan->work->n_row_tasks, row_task, plan); }

static void tile_task(void *context, size_t i)
{
    lrc_plan *plan = context;
    lrc_work *w = plan->work;
    const lrc_units u = w->square_tasks[i];
    const lrc_tensor *x = &plan->tensors[u.tensor];
    if (x->g)
        w->engines[lrc_arithmetic(x)]->tiles(x, u.first, u.n, &w->constants[w->slot[u.tensor]],
                                             &w->squares[u.tensor]);
}

static void factor_task(void *context, size_t i)
{
    lrc_plan *plan = context;
    lrc_work *w = plan->work;
    const lrc_tensor *x = &plan->tensors[i];
    if (x->g && lrc_matrices(x))
        w->engines[lrc_arithmetic(x)]->factor(plan->rule, x, &w->constants[w->slot[i]],
                                              &w->squares[i]);
}

void lrc_sweep_tiles(lrc_plan *plan)
{
    run(plan, plan->work->n_square_tasks, tile_task, plan);
    run(plan, plan->n_tensors, factor_task, plan);
}
