/* Tensors -> chunks -> tasks, and the order of a step: look at the gradients, work out the constants,
 * measure, update. All or nothing: until the gradients have been looked at, nothing is written. */
#include "engine.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A task is what a thread takes at a time: consecutive chunks of at least this many elements. */
enum { TASK = LRC_CHUNK };

static _Atomic int64_t parallel_from = 98304;

int64_t lrc_get_parallel_from(void) { return atomic_load(&parallel_from); }

void lrc_set_parallel_from(int64_t elements) { atomic_store(&parallel_from, elements); }

struct lrc_work {
    int64_t n_chunks, n_tasks, n_elements;
    lrc_chunk *chunks;
    int64_t *tasks;           /* n_tasks + 1 first chunks */
    double *sums;             /* LRC_MAX_SUMS a chunk */
    unsigned char *bad;       /* a chunk with a non-finite gradient */
    lrc_constants *constants; /* one a tensor at most; tensors alike share */
    int64_t *slot;            /* tensor -> constants */
    int64_t *latest;          /* group x dtype -> constants made last */
    lrc_engines engines;
    int coupled;       /* the place of a coupled weight_decay in h; -1: there is none */
    int square, write; /* what the norm or roofline sweep is asked for */
};

static int place(int rule, const char *hyper)
{
    const char *at = lrc_rules[rule].hypers;
    size_t length = strlen(hyper);
    for (int i = 0; *at; i++) {
        size_t n = strcspn(at, ",");
        if (n == length && strncmp(at, hyper, n) == 0)
            return i;
        at += n + strspn(at + n, ", ");
    }
    return -1;
}

static int64_t chunks_of(int64_t n) { return n / LRC_CHUNK + (n % LRC_CHUNK != 0); }

static void cut(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    int64_t c = 0, task = 0, open = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        for (int64_t at = 0; at < plan->tensors[i].n; at += LRC_CHUNK, c++) {
            int64_t left = plan->tensors[i].n - at;
            w->chunks[c] = (lrc_chunk){i, at, left < LRC_CHUNK ? left : LRC_CHUNK};
            if (open == 0)
                w->tasks[task++] = c;
            open += w->chunks[c].n;
            open = open < TASK ? open : 0;
        }
        w->n_elements += plan->tensors[i].n;
    }
    w->n_tasks = task;
    w->tasks[task] = c;
}

lrc_plan *lrc_plan_new(int rule, int64_t n_tensors, lrc_tensor *tensors, int64_t n_groups,
                       lrc_group *groups)
{
    int64_t n_chunks = 0;
    for (int64_t i = 0; i < n_tensors; i++)
        n_chunks += chunks_of(tensors[i].n);
    lrc_plan *plan = calloc(1, sizeof *plan);
    lrc_work *w = calloc(1, sizeof *w);
    size_t c = (size_t)n_chunks + 1, n = (size_t)n_tensors + 1;
    if (!plan || !w) {
        free(plan);
        free(w);
        return NULL;
    }
    *plan = (lrc_plan){.rule = rule,
                       .n_tensors = n_tensors,
                       .tensors = tensors,
                       .n_groups = n_groups,
                       .groups = groups,
                       .work = w};
    w->n_chunks = n_chunks;
    w->coupled = lrc_rules[rule].decay == LRC_COUPLED ? place(rule, "weight_decay") : -1;
    w->chunks = malloc(c * sizeof *w->chunks);
    w->tasks = malloc(c * sizeof *w->tasks);
    w->sums = malloc(c * LRC_MAX_SUMS * sizeof *w->sums);
    w->bad = malloc(c);
    w->constants = malloc(n * sizeof *w->constants);
    w->slot = malloc(n * sizeof *w->slot);
    w->latest = malloc(((size_t)n_groups + 1) * 2 * sizeof *w->latest);
    if (!w->chunks || !w->tasks || !w->sums || !w->bad || !w->constants || !w->slot || !w->latest) {
        lrc_plan_free(plan);
        return NULL;
    }
    cut(plan);
    return plan;
}

void lrc_plan_free(lrc_plan *plan)
{
    if (!plan)
        return;
    lrc_work *w = plan->work;
    free(w->chunks);
    free(w->tasks);
    free(w->sums);
    free(w->bad);
    free(w->constants);
    free(w->slot);
    free(w->latest);
    free(w);
    free(plan);
}

/* -------------------------------------------------------------------- a sweep's task */

typedef void visit(lrc_plan *plan, const lrc_engine *engine, int64_t chunk, const lrc_tensor *x);

typedef struct {
    lrc_plan *plan;
    visit *visit;
} sweep_context;

static void sweep_task(void *context, size_t i)
{
    sweep_context *s = context;
    const lrc_work *w = s->plan->work;
    for (int64_t c = w->tasks[i]; c < w->tasks[i + 1]; c++) {
        const lrc_tensor *x = &s->plan->tensors[w->chunks[c].tensor];
        s->visit(s->plan, w->engines[x->dtype], c, x);
    }
}

static void sweep(lrc_plan *plan, visit *what)
{
    sweep_context context = {plan, what};
    size_t n = (size_t)plan->work->n_tasks;
    if (plan->work->n_elements >= lrc_get_parallel_from())
        lrc_parallel(n, sweep_task, &context);
    else
        for (size_t i = 0; i < n; i++)
            sweep_task(&context, i);
}

static void visit_norm(lrc_plan *plan, const lrc_engine *engine, int64_t c, const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    double *sum = &w->sums[c * LRC_MAX_SUMS];
    *sum = 0;
    w->bad[c] = x->g && !engine->norm(x, w->chunks[c], w->square, sum);
}

static void visit_measure(lrc_plan *plan, const lrc_engine *engine, int64_t c, const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    if (x->g)
        engine->measure(plan->rule, x, w->chunks[c], &w->constants[w->slot[w->chunks[c].tensor]],
                        &w->sums[c * LRC_MAX_SUMS]);
}

static void visit_update(lrc_plan *plan, const lrc_engine *engine, int64_t c, const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    if (x->g)
        engine->update(plan->rule, x, w->chunks[c], &w->constants[w->slot[w->chunks[c].tensor]]);
}

static void visit_roofline(lrc_plan *plan, const lrc_engine *engine, int64_t c, const lrc_tensor *x)
{
    if (x->g)
        engine->roofline(x, plan->work->chunks[c], plan->work->write);
}

/* --------------------------------------------------------------------------- a step */

void lrc_refresh(lrc_plan *plan)
{
    for (int64_t k = 0; k < plan->n_groups; k++) {
        lrc_group *g = &plan->groups[k];
        for (int i = 0; i < LRC_MAX_HYPERS; i++)
            if (g->schedule[i])
                g->h[i] = lrc_schedule_at(g->schedule[i], plan->t);
        if (g->clip_value_schedule)
            g->clip_value = lrc_schedule_at(g->clip_value_schedule, plan->t);
    }
    if (plan->clip_norm_schedule)
        plan->clip_norm = lrc_schedule_at(plan->clip_norm_schedule, plan->t);
}

/* Looks at every gradient; 0 where one is not finite and must be. */
static int inspect(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    w->square = plan->clip_norm != 0;
    if (!w->square && plan->nonfinite == LRC_IGNORE)
        return 1;
    sweep(plan, visit_norm);
    double sum = 0;
    for (int64_t c = 0; c < w->n_chunks; c++) {
        if (w->bad[c] && plan->nonfinite != LRC_IGNORE) {
            plan->bad_tensor = w->chunks[c].tensor;
            return 0;
        }
        sum += w->sums[c * LRC_MAX_SUMS];
    }
    plan->grad_norm = w->square ? sqrt(sum) : 0;
    return 1;
}

/* The clip coefficient is torch's: clip / (norm + 1e-6), at most 1. */
static void set_constants(lrc_plan *plan, const lrc_tensor *x, const double *sums, lrc_constants *c)
{
    const lrc_work *w = plan->work;
    const lrc_group *g = &plan->groups[x->group];
    double clip = plan->clip_norm != 0 ? plan->clip_norm / (plan->grad_norm + 1e-6) : 1;
    double decay = w->coupled >= 0 ? g->h[w->coupled] : 0;
    clip = clip >= 1 ? 1 : clip;
    c->scale = g->maximize ? -clip : clip;
    c->clip_value = g->clip_value;
    c->coupled = decay;
    w->engines[x->dtype]->constants(plan->rule, g->h, x->t + 1, sums, c);
}

/* Tensors of one group, dtype and age share their constants. */
static void share_constants(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    int64_t made = 0, alone = lrc_rules[plan->rule].sums;
    for (int64_t k = 0; k < plan->n_groups * 2; k++)
        w->latest[k] = -1;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        int64_t *latest = &w->latest[x->group * 2 + x->dtype];
        if (!x->g)
            continue;
        if (alone || *latest < 0 || plan->tensors[*latest].t != x->t) {
            set_constants(plan, x, NULL, &w->constants[made]);
            w->slot[i] = made++;
            *latest = i;
        } else
            w->slot[i] = w->slot[*latest];
    }
}

static void measure(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    int count = lrc_rules[plan->rule].sums;
    sweep(plan, visit_measure);
    int64_t c = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        double total[LRC_MAX_SUMS] = {0};
        for (int64_t end = c + chunks_of(x->n); c < end; c++)
            for (int j = 0; x->g && j < count; j++)
                total[j] += w->sums[c * LRC_MAX_SUMS + j];
        if (x->g)
            set_constants(plan, x, total, &w->constants[w->slot[i]]);
    }
}

int lrc_update(lrc_plan *plan)
{
    uint64_t before = lrc_fenv_set();
    memcpy(plan->work->engines, *lrc_current_engines(), sizeof(lrc_engines));
    int made = inspect(plan);
    if (made) {
        share_constants(plan);
        if (lrc_rules[plan->rule].sums)
            measure(plan);
        sweep(plan, visit_update);
        for (int64_t i = 0; i < plan->n_tensors; i++)
            plan->tensors[i].t += plan->tensors[i].g != NULL;
        plan->t++;
    }
    lrc_fenv_restore(before);
    return made;
}

int lrc_step(lrc_plan *plan)
{
    uint64_t before = lrc_fenv_set();
    lrc_refresh(plan);
    lrc_fenv_restore(before);
    return lrc_update(plan);
}

void lrc_roofline(lrc_plan *plan)
{
    uint64_t before = lrc_fenv_set();
    memcpy(plan->work->engines, *lrc_current_engines(), sizeof(lrc_engines));
    inspect(plan);
    plan->work->write = 0;
    if (lrc_rules[plan->rule].sums)
        sweep(plan, visit_roofline);
    plan->work->write = 1;
    sweep(plan, visit_roofline);
    lrc_fenv_restore(before);
}
