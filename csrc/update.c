/* The order of a step: look at the gradients, work out the constants, measure, update. All or
 * nothing: until the gradients have been looked at, nothing is written. */
#include "constants.h"
#include "sweeps.h"

#include <math.h>
#include <string.h>

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
    double together = 0, unit = lrc_divisor(plan);
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
        lrc_sweep(plan, lrc_visit_norm);
    for (int64_t c = 0; plan->nonfinite != LRC_IGNORE && c < w->n_chunks; c++)
        if (plan->tensors[w->chunks[c].tensor].g && w->bad[c]) {
            plan->bad_tensor = w->chunks[c].tensor;
            return 0;
        }
    set_norms(plan);
    return 1;
}

/* --------------------------------------------------------------------------- a step */

static void report(lrc_plan *plan, int made)
{
    const lrc_work *w = plan->work;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        const lrc_group *g = &plan->groups[x->group];
        double s[LRC_OBSERVED], unit = lrc_divisor(plan);
        lrc_add_up(plan, i, w->seen, LRC_OBSERVED, LRC_OBSERVED, s);
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
        lrc_sweep(plan, lrc_visit_observe);
        report(plan, 0);
    }
    if (plan->zero_grads && plan->nonfinite == LRC_SKIP && plan->micro == 0)
        lrc_sweep(plan, lrc_visit_zero);
}

/* Cautious steps are as many times longer as fewer elements make them, at most a thousand times. */
static void try_out(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    lrc_sweep(plan, lrc_visit_trial);
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        double count;
        lrc_add_up(plan, i, w->sums, LRC_MAX_SUMS, 1, &count);
        if (!x->g || plan->groups[x->group].select != LRC_CAUTIOUS)
            continue;
        int64_t n = lrc_extent(x);
        double mean = n ? count / (double)n : 0;
        w->constants[w->slot[i]].chosen = 1 / (mean > 1e-3 ? mean : 1e-3);
    }
}

/* Parameters stay as they were where the function says no, on entering also the states. */
static int pass_matrices(lrc_plan *plan)
{
    lrc_sweep(plan, lrc_visit_gather);
    if (plan->matrices && !plan->matrices(plan, LRC_ENTER, plan->user))
        return 0;
    lrc_sweep(plan, lrc_visit_prepare);
    return !plan->matrices || plan->matrices(plan, LRC_LEAVE, plan->user);
}

static int make(lrc_plan *plan)
{
    int any_units = 0, any_trial = 0, any_rows = lrc_any_row_sweep(plan);
    for (int64_t k = 0; k < plan->n_groups; k++) {
        any_units |= plan->groups[k].agc != 0;
        any_trial |= plan->groups[k].select == LRC_CAUTIOUS;
    }
    const lrc_rule_info *row = &lrc_rules[plan->rule];
    if (*row->scalars && !row->sums)
        lrc_estimate(plan);
    lrc_set_constants(plan);
    if (any_units)
        lrc_sweep_units(plan);
    if (row->scope == LRC_FACTORED)
        lrc_sweep_tiles(plan);
    if (row->sums) {
        lrc_sweep(plan, lrc_visit_measure);
        lrc_estimate(plan);
        lrc_set_constants(plan);
    }
    if (any_rows)
        lrc_sweep_rows(plan);
    if (row->scope == LRC_MATRIX && !pass_matrices(plan))
        return 0;
    if (any_trial)
        try_out(plan);
    if (plan->stats)
        lrc_sweep(plan, lrc_visit_update);
    else
        lrc_sweep_joined(plan, lrc_visit_update);
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
    lrc_sweep(plan, lrc_visit_accumulate);
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
        lrc_set_constants(plan);
        plan->work->kind = LRC_LOOK;
        if (lrc_rules[plan->rule].scope == LRC_FACTORED || lrc_any_row_sweep(plan))
            lrc_sweep_joined(plan, lrc_visit_roofline);
        plan->work->kind = LRC_MEASURE;
        if (lrc_rules[plan->rule].sums)
            lrc_sweep_joined(plan, lrc_visit_roofline);
        plan->work->kind = LRC_WRITE;
        lrc_sweep_joined(plan, lrc_visit_roofline);
    }
    lrc_fenv_restore(before);
}
