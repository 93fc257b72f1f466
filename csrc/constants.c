/* The numbers that a step goes by: hyper-parameters, ages and sums -> what each kernel is told. */
#include "constants.h"

#include "sweeps.h"

#include <string.h>

double lrc_divisor(const lrc_plan *plan)
{
    double scale = plan->loss_scale != 0 ? plan->loss_scale : 1;
    return scale * (plan->micro > 1 ? (double)plan->micro : 1);
}

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
    c->scale = (g->maximize ? -clip : clip) / lrc_divisor(plan);
    c->clip_value = g->clip_value;
    c->coupled = kind == LRC_COUPLED && w->decay >= 0 ? h[w->decay] : 0;
    c->rate = h[0];
    c->keep = kind == LRC_DECOUPLED ? 1 - h[0] * h[w->decay] : 1;
    c->unit_factors = g->agc != 0 ? w->factors[i] : NULL;
    c->row_factors = lrc_row_sweep(plan, x) ? w->row_factors[i] : NULL;
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

void lrc_set_constants(lrc_plan *plan)
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

/* -------------------------------------------------------- scalars, from what was measured */

void lrc_add_up(const lrc_plan *plan, int64_t i, const double *rows, int width, int count,
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

/* A group is as old as the oldest of its tensors that have a gradient; one without any stays as it is. */
void lrc_estimate(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    const lrc_rule_info *row = &lrc_rules[plan->rule];
    double h[LRC_MAX_HYPERS];
    memset(w->groups, 0, (size_t)plan->n_groups * sizeof *w->groups);
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        lrc_tensor *x = &plan->tensors[i];
        lrc_seen own = {.t = x->t + 1, .n = x->n, .loss = loss_of(plan, &plan->groups[x->group])};
        lrc_seen *group = &w->groups[x->group];
        lrc_add_up(plan, i, w->sums, LRC_MAX_SUMS, row->sums, own.sum);
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
