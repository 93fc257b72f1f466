/* The order of a step: look at the gradients, work out the constants, measure, update. All or
 * nothing: until the gradients have been looked at, nothing is written. */
#include "plan.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic int64_t parallel_from = 98304;

int64_t lrc_get_parallel_from(void) { return atomic_load(&parallel_from); }

void lrc_set_parallel_from(int64_t elements) { atomic_store(&parallel_from, elements); }

/* -------------------------------------------------------------------- a sweep's task */

/* Of chunk number c, the elements `k`; where chunks are joined, those of a tensor in this task. */
typedef void visit(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                   const lrc_tensor *x);

typedef struct {
    lrc_plan *plan;
    visit *visit;
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

/* Whether a tensor's rows must be looked at before the update: where they end inside a block, or
 * something else is to be known of the step before. */
static int row_sweep(const lrc_plan *plan, const lrc_tensor *x)
{
    int known = plan->groups[x->group].select == LRC_CAUTIOUS;
    return x->g && plan->work->of_rows && (known || LRC_BLOCK % lrc_row(x) != 0);
}

static int has_row_sweep(const lrc_plan *plan)
{
    int any = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++)
        any |= row_sweep(plan, &plan->tensors[i]);
    return any;
}

static void row_task(void *context, size_t i)
{
    lrc_plan *plan = context;
    lrc_work *w = plan->work;
    const lrc_units u = w->row_tasks[i];
    const lrc_tensor *x = &plan->tensors[u.tensor];
    if (row_sweep(plan, x))
        w->engines[lrc_arithmetic(x)]->rows(plan->rule, x, u.first, u.n,
                                            &w->constants[w->slot[u.tensor]],
                                            w->row_factors[u.tensor]);
}

static void square_task(void *context, size_t i)
{
    lrc_plan *plan = context;
    lrc_work *w = plan->work;
    const lrc_units u = w->square_tasks[i];
    const lrc_tensor *x = &plan->tensors[u.tensor];
    if (x->g)
        w->engines[lrc_arithmetic(x)]->squares(x, u.first, u.n, &w->constants[w->slot[u.tensor]],
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

/* Small steps run on the caller's thread. */
static void run(lrc_plan *plan, int64_t n, void (*task)(void *context, size_t i), void *context)
{
    if (plan->work->n_elements >= lrc_get_parallel_from())
        lrc_parallel((size_t)n, task, context);
    else
        for (size_t i = 0; i < (size_t)n; i++)
            task(context, i);
}

static void sweep(lrc_plan *plan, visit *what)
{
    sweep_context context = {plan, what, 0};
    run(plan, plan->work->n_tasks, sweep_task, &context);
}

/* For a visit that leaves nothing behind of each chunk. */
static void sweep_joined(lrc_plan *plan, visit *what)
{
    sweep_context context = {plan, what, 1};
    run(plan, plan->work->n_tasks, sweep_task, &context);
}

static const lrc_constants *constants_of(const lrc_plan *plan, int64_t chunk)
{
    const lrc_work *w = plan->work;
    return &w->constants[w->slot[w->chunks[chunk].tensor]];
}

static void visit_norm(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                       const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    w->bad[c] =
        !(w->square ? engine->norm(x, k, &w->sums[c * LRC_MAX_SUMS]) : engine->finite(x, k));
}

static void visit_measure(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                          const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    engine->measure(plan->rule, x, k, constants_of(plan, c), &w->sums[c * LRC_MAX_SUMS]);
}

static void visit_trial(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                        const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    if (plan->groups[x->group].select == LRC_CAUTIOUS)
        w->sums[c * LRC_MAX_SUMS] = engine->trial(plan->rule, x, k, constants_of(plan, c));
}

static void visit_update(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                         const lrc_tensor *x)
{
    lrc_work *w = plan->work;
    engine->update(plan->rule, x, k, constants_of(plan, c),
                   plan->stats ? &w->seen[c * LRC_OBSERVED] : NULL);
}

static void visit_gather(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                         const lrc_tensor *x)
{
    if (x->work)
        engine->gather(x, k, constants_of(plan, c));
}

static void visit_prepare(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                          const lrc_tensor *x)
{
    if (x->work)
        engine->prepare(plan->rule, x, k, constants_of(plan, c));
}

static void visit_observe(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                          const lrc_tensor *x)
{
    engine->observe(x, k, &plan->work->seen[c * LRC_OBSERVED]);
}

static void visit_zero(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                       const lrc_tensor *x)
{
    (void)plan;
    (void)c;
    engine->zero(x, k);
}

static void visit_accumulate(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                             const lrc_tensor *x)
{
    (void)c;
    engine->accumulate(x, k);
    if (plan->zero_grads)
        engine->zero(x, k);
}

static void visit_roofline(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                           const lrc_tensor *x)
{
    const lrc_work *w = plan->work;
    if (w->kind == LRC_LOOK && !row_sweep(plan, x) && !(w->squares && lrc_matrices(x)))
        return;
    engine->roofline(x, k, constants_of(plan, c), plan->work->kind);
}

/* ------------------------------------------------------------------- look at the gradients */

void lrc_refresh(lrc_plan *plan)
{
    for (int64_t k = 0; k < plan->n_groups; k++) {
        lrc_group *g = &plan->groups[k];
        for (int i = 0; i < LRC_MAX_HYPERS; i++)
            if (g->schedule[i])
                g->h[i] = lrc_schedule_at(g->schedule[i], plan->t);
        if (g->clip_value_schedule)
            g->clip_value = lrc_schedule_at(g->clip_value_schedule, plan->t);
        if (g->clip_norm_schedule)
            g->clip_norm = lrc_schedule_at(g->clip_norm_schedule, plan->t);
    }
    if (plan->clip_norm_schedule)
        plan->clip_norm = lrc_schedule_at(plan->clip_norm_schedule, plan->t);
}

/* What the gradients are multiples of: the loss scale times the number of micro-batches. */
static double divisor(const lrc_plan *plan)
{
    double scale = plan->loss_scale != 0 ? plan->loss_scale : 1;
    return scale * (plan->micro > 1 ? (double)plan->micro : 1);
}

/* torch's: clip / (norm + 1e-6), at most 1. An infinite clip only measures. */
static double clip_factor(double clip, double norm)
{
    double factor = clip != 0 && clip < INFINITY ? clip / (norm + 1e-6) : 1;
    return factor >= 1 ? 1 : factor;
}

/* The norms of the groups that are clipped alone, and of all others together. */
static void set_norms(lrc_plan *plan)
{
    const lrc_work *w = plan->work;
    double together = 0, unit = divisor(plan);
    plan->grad_norm = 0;
    for (int64_t k = 0; k < plan->n_groups; k++) {
        plan->groups[k].grad_norm = 0; /* first the sum of squares */
        w->clip[k] = 1;
    }
    if (!w->square)
        return;
    for (int64_t c = 0; c < w->n_chunks; c++) {
        const lrc_tensor *x = &plan->tensors[w->chunks[c].tensor];
        lrc_group *g = &plan->groups[x->group];
        double sum = x->g ? w->sums[c * LRC_MAX_SUMS] : 0;
        *(g->clip_norm != 0 ? &g->grad_norm : &together) += sum;
    }
    plan->grad_norm = plan->clip_norm != 0 ? sqrt(together) / unit : 0;
    for (int64_t k = 0; k < plan->n_groups; k++) {
        lrc_group *g = &plan->groups[k];
        g->grad_norm = sqrt(g->grad_norm) / unit;
        w->clip[k] = g->clip_norm != 0 ? clip_factor(g->clip_norm, g->grad_norm)
                                       : clip_factor(plan->clip_norm, plan->grad_norm);
    }
}

/* Looks at every gradient; 0 where one is not finite and must be. */
static int inspect(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    w->square = plan->clip_norm != 0;
    for (int64_t k = 0; k < plan->n_groups; k++)
        w->square |= plan->groups[k].clip_norm != 0;
    if (w->square || plan->nonfinite != LRC_IGNORE)
        sweep(plan, visit_norm);
    for (int64_t c = 0; plan->nonfinite != LRC_IGNORE && c < w->n_chunks; c++)
        if (plan->tensors[w->chunks[c].tensor].g && w->bad[c]) {
            plan->bad_tensor = w->chunks[c].tensor;
            return 0;
        }
    set_norms(plan);
    return 1;
}

/* ---------------------------------------------------------------------------- constants */

/* The weights that the averages give to the parameters, at their k-th update. */
static void set_averages(const lrc_plan *plan, const lrc_tensor *x, double *weight)
{
    int64_t k = x->t + 1, first = plan->swa_start > 1 ? plan->swa_start : 1, past = k - first;
    weight[LRC_SLOW] = weight[LRC_EMA] = weight[LRC_SWA] = 0;
    if (x->average[LRC_SLOW] && plan->lookahead && k % plan->lookahead == 0)
        weight[LRC_SLOW] = plan->lookahead_alpha;
    if (x->average[LRC_EMA]) {
        double ramp = (1.0 + (double)k) / (10.0 + (double)k), decay = plan->ema_decay;
        weight[LRC_EMA] = 1 - (plan->ema_warmup && !(decay < ramp) ? ramp : decay);
    }
    if (x->average[LRC_SWA] && plan->swa_every && past >= 0 && past % plan->swa_every == 0)
        weight[LRC_SWA] = 1 / (double)(past / plan->swa_every + 1);
}

/* The rate is the first. */
void lrc_hypers(const lrc_plan *plan, const lrc_tensor *x, double *h)
{
    const lrc_work *w = plan->work;
    memcpy(h, plan->groups[x->group].h, LRC_MAX_HYPERS * sizeof *h);
    if (!x->work && w->adamw_lr >= 0 && h[w->adamw_lr] == h[w->adamw_lr])
        h[0] = h[w->adamw_lr];
    if (!x->work && w->adamw_decay >= 0)
        h[w->decay] = h[w->adamw_decay];
    if (x->lr_scale != 0)
        h[0] *= x->lr_scale;
    if (x->no_decay && w->decay >= 0)
        h[w->decay] = 0;
}

/* The scalars that a tensor's update goes by: its own, or those of its group. */
static double *scalars_of(lrc_plan *plan, lrc_tensor *x)
{
    return lrc_rules[plan->rule].scope == LRC_GROUP ? plan->groups[x->group].scalar : x->scalar;
}

static void set_constants(lrc_plan *plan, int64_t i, lrc_constants *c)
{
    const lrc_work *w = plan->work;
    lrc_tensor *x = &plan->tensors[i];
    const lrc_group *g = &plan->groups[x->group];
    double h[LRC_MAX_HYPERS], clip = w->clip[x->group];
    int kind = lrc_rules[plan->rule].decay;
    lrc_hypers(plan, x, h);
    if (kind == LRC_EITHER)
        kind = h[w->either] != 0 ? LRC_DECOUPLED : LRC_COUPLED;
    c->scale = (g->maximize ? -clip : clip) / divisor(plan);
    c->clip_value = g->clip_value;
    c->coupled = kind == LRC_COUPLED && w->decay >= 0 ? h[w->decay] : 0;
    c->rate = h[0];
    c->keep = kind == LRC_DECOUPLED ? 1 - h[0] * h[w->decay] : 1;
    c->unit_factors = g->agc != 0 ? w->factors[i] : NULL;
    c->row_factors = row_sweep(plan, x) ? w->row_factors[i] : NULL;
    c->row_shares = w->squares ? w->squares[i].row_shares : NULL;
    c->column_shares = w->squares ? w->squares[i].column_shares : NULL;
    c->select = g->select;
    c->rounding = g->rounding;
    c->zero_grads = plan->zero_grads && plan->micro == 0;
    c->finite = plan->nonfinite != LRC_IGNORE;
    c->seed = plan->seed;
    c->states = w->states;
    c->positive = w->positive;
    c->of_rows = w->of_rows;
    c->per_row = w->per_row;
    c->per_column = w->per_column;
    c->product = w->product;
    c->trace_every = plan->trace_every;
    set_averages(plan, x, c->average);
    w->engines[lrc_arithmetic(x)]->constants(plan->rule, h, x->t + 1, scalars_of(plan, x), c);
}

static int alike(const lrc_tensor *a, const lrc_tensor *b)
{
    return a->t == b->t && a->lr_scale == b->lr_scale && !a->work == !b->work &&
           memcmp(a->scalar, b->scalar, sizeof a->scalar) == 0;
}

/* Tensors of one group, arithmetic, age, rate and scalars share their constants, unless these hold
 * something of the tensor's own. */
static void share_constants(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    int64_t made = 0;
    for (int64_t k = 0; k < plan->n_groups * 4; k++)
        w->latest[k] = -1;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        const lrc_group *g = &plan->groups[x->group];
        int64_t *latest = &w->latest[x->group * 4 + lrc_arithmetic(x) * 2 + (x->no_decay != 0)];
        int alone = g->agc != 0 || g->select == LRC_CAUTIOUS || w->row_factors || w->squares;
        if (!x->g)
            continue;
        if (alone || *latest < 0 || !alike(&plan->tensors[*latest], x)) {
            set_constants(plan, i, &w->constants[made]);
            w->slot[i] = made++;
            *latest = i;
        } else
            w->slot[i] = w->slot[*latest];
    }
}

/* A tensor's sums over the `count` columns of its chunks. */
static void add_up(const lrc_plan *plan, int64_t i, const double *rows, int width, int count,
                   double *total)
{
    const lrc_work *w = plan->work;
    for (int j = 0; j < count; j++)
        total[j] = 0;
    for (int64_t c = w->first[i]; plan->tensors[i].g && c < w->first[i + 1]; c++)
        for (int j = 0; j < count; j++)
            total[j] += rows[c * width + j];
}

/* The loss as what a group makes smaller. */
static double loss_of(const lrc_plan *plan, const lrc_group *g)
{
    return g->maximize ? -plan->loss : plan->loss;
}

static void estimate_groups(lrc_plan *plan)
{
    const lrc_engine *engine = plan->work->engines[0];
    double all[LRC_MAX_SUMS] = {0};
    for (int64_t k = 0; k < plan->n_groups; k++)
        for (int j = 0; j < LRC_MAX_SUMS; j++)
            all[j] += plan->work->groups[k].sum[j];
    for (int64_t k = 0; k < plan->n_groups; k++) {
        lrc_group *g = &plan->groups[k];
        lrc_seen *seen = &plan->work->groups[k];
        seen->loss = loss_of(plan, g);
        memcpy(seen->all, all, sizeof all);
        if (seen->t)
            engine->estimate(plan->rule, g->h, seen, g->scalar);
    }
}

/* Sets the scalars of each tensor or group from the sums over its elements, tensor after tensor. A
 * group is as old as the oldest of its tensors that have a gradient; one without any stays as it is. */
static void estimate(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    const lrc_rule_info *row = &lrc_rules[plan->rule];
    double h[LRC_MAX_HYPERS];
    memset(w->groups, 0, (size_t)plan->n_groups * sizeof *w->groups);
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        lrc_tensor *x = &plan->tensors[i];
        lrc_seen own = {.t = x->t + 1, .n = x->n, .loss = loss_of(plan, &plan->groups[x->group])};
        lrc_seen *group = &w->groups[x->group];
        add_up(plan, i, w->sums, LRC_MAX_SUMS, row->sums, own.sum);
        if (!x->g)
            continue;
        if (row->scope != LRC_GROUP) {
            lrc_hypers(plan, x, h);
            w->engines[0]->estimate(plan->rule, h, &own, x->scalar);
            continue;
        }
        group->t = group->t > own.t ? group->t : own.t;
        group->n += own.n;
        for (int j = 0; j < row->sums; j++)
            group->sum[j] += own.sum[j];
    }
    if (row->scope == LRC_GROUP)
        estimate_groups(plan);
}

/* Cautious steps are as many times longer as fewer elements make them, at most a thousand times. */
static void try_out(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    sweep(plan, visit_trial);
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        double count;
        add_up(plan, i, w->sums, LRC_MAX_SUMS, 1, &count);
        if (!x->g || plan->groups[x->group].select != LRC_CAUTIOUS)
            continue;
        int64_t n = lrc_extent(x);
        double mean = n ? count / (double)n : 0;
        w->constants[w->slot[i]].chosen = 1 / (mean > 1e-3 ? mean : 1e-3);
    }
}

/* --------------------------------------------------------------------------- a step */

static void report(lrc_plan *plan, int made)
{
    const lrc_work *w = plan->work;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        const lrc_group *g = &plan->groups[x->group];
        double s[LRC_OBSERVED], unit = divisor(plan);
        add_up(plan, i, w->seen, LRC_OBSERVED, LRC_OBSERVED, s);
        plan->stats[i] = (lrc_stats){0};
        if (!x->g)
            continue;
        plan->stats[i] = (lrc_stats){.grad2 = s[LRC_GRAD2],
                                     .param2 = s[LRC_PARAM2],
                                     .step2 = s[LRC_STEP2],
                                     .dot = s[LRC_DOT],
                                     .dot_grad2 = s[LRC_DOT_GRAD2],
                                     .trace2 = s[LRC_TRACE2],
                                     .slope = s[LRC_SLOPE],
                                     .nonfinite = s[LRC_NONFINITE],
                                     .lost = s[LRC_LOST],
                                     .clip = made ? w->clip[x->group] : 0,
                                     .divisor = g->maximize ? -unit : unit};
    }
}

static void refuse(lrc_plan *plan)
{
    if (plan->stats) {
        sweep(plan, visit_observe);
        report(plan, 0);
    }
    if (plan->zero_grads && plan->nonfinite == LRC_SKIP && plan->micro == 0)
        sweep(plan, visit_zero);
}

/* Parameters stay as they were where the function says no, on entering also the states. */
static int pass_matrices(lrc_plan *plan)
{
    sweep(plan, visit_gather);
    if (plan->matrices && !plan->matrices(plan, LRC_ENTER, plan->user))
        return 0;
    sweep(plan, visit_prepare);
    return !plan->matrices || plan->matrices(plan, LRC_LEAVE, plan->user);
}

static int make(lrc_plan *plan)
{
    int any_units = 0, any_trial = 0, any_rows = has_row_sweep(plan);
    for (int64_t k = 0; k < plan->n_groups; k++) {
        any_units |= plan->groups[k].agc != 0;
        any_trial |= plan->groups[k].select == LRC_CAUTIOUS;
    }
    const lrc_rule_info *row = &lrc_rules[plan->rule];
    if (*row->scalars && !row->sums)
        estimate(plan);
    share_constants(plan);
    if (any_units)
        run(plan, plan->work->n_units, unit_task, plan);
    if (row->scope == LRC_FACTORED) {
        run(plan, plan->work->n_square_tasks, square_task, plan);
        run(plan, plan->n_tensors, factor_task, plan);
    }
    if (row->sums) {
        sweep(plan, visit_measure);
        estimate(plan);
        share_constants(plan);
    }
    if (any_rows)
        run(plan, plan->work->n_row_tasks, row_task, plan);
    if (row->scope == LRC_MATRIX && !pass_matrices(plan))
        return 0;
    if (any_trial)
        try_out(plan);
    if (plan->stats)
        sweep(plan, visit_update);
    else
        sweep_joined(plan, visit_update);
    if (plan->stats)
        report(plan, 1);
    for (int64_t i = 0; i < plan->n_tensors; i++)
        plan->tensors[i].t += plan->tensors[i].g != NULL;
    plan->t++;
    return 1;
}

/* The gradients of this update are the sums. */
static void use_sums(lrc_plan *plan)
{
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        lrc_tensor *x = &plan->tensors[i];
        x->g = x->summed ? x->sum : NULL;
        x->rows = NULL;
        x->g_dtype = LRC_REAL;
        x->g_ndim = 0;
    }
}

void lrc_drop(lrc_plan *plan)
{
    plan->micro = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++)
        plan->tensors[i].summed = 0;
}

/* Chooses the kernels, and cuts anew where that depends on the gradients, or did so for the last step. */
static void begin(lrc_plan *plan)
{
    int named = 0;
    memcpy(plan->work->engines, *lrc_current_engines(), sizeof(lrc_engines));
    for (int64_t i = 0; i < plan->n_tensors; i++)
        named |= plan->tensors[i].g && plan->tensors[i].rows;
    if (named || plan->work->named)
        lrc_cut(plan, !named);
}

int lrc_update(lrc_plan *plan)
{
    uint64_t before = lrc_fenv_set();
    if (plan->micro)
        use_sums(plan);
    begin(plan);
    int made = inspect(plan);
    if (!made)
        refuse(plan);
    else if (!make(plan))
        made = -1;
    if (plan->micro && made >= 0)
        lrc_drop(plan);
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

void lrc_accumulate(lrc_plan *plan)
{
    uint64_t before = lrc_fenv_set();
    begin(plan);
    sweep(plan, visit_accumulate);
    for (int64_t i = 0; i < plan->n_tensors; i++)
        plan->tensors[i].summed += plan->tensors[i].g != NULL;
    plan->micro++;
    lrc_fenv_restore(before);
}

void lrc_roofline(lrc_plan *plan)
{
    uint64_t before = lrc_fenv_set();
    begin(plan);
    if (inspect(plan)) {
        share_constants(plan);
        plan->work->kind = LRC_LOOK;
        if (lrc_rules[plan->rule].scope == LRC_FACTORED || has_row_sweep(plan))
            sweep_joined(plan, visit_roofline);
        plan->work->kind = LRC_MEASURE;
        if (lrc_rules[plan->rule].sums)
            sweep_joined(plan, visit_roofline);
        plan->work->kind = LRC_WRITE;
        sweep_joined(plan, visit_roofline);
    }
    lrc_fenv_restore(before);
}
