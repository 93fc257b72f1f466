/* The stages of a block around the rule, in their order. */
#include "block.h"
#include "stages.h"

#include <string.h>

void NAME(treat)(const passage *a, workbench *w, block *b)
{
    const lrc_constants *c = a->c;
    if (c->scale != 1)
        b->g = NAME(scale)(b->n, b->g, (real)c->scale, w->g);
    if (c->unit_factors)
        b->g = NAME(scale_units)(a->x, b->at, b->n, b->g, c->unit_factors, w->g);
    if (c->clip_value != 0)
        b->g = NAME(clip)(b->n, b->g, (real)c->clip_value, w->g);
    if (c->coupled != 0)
        b->g = NAME(couple)(b->n, b->g, b->p, (real)c->coupled, w->g);
}

static lrc_array state(const passage *a, int j)
{
    const lrc_tensor *x = a->x;
    return (lrc_array){x->state[j], x->scale[j], x->state_dtype, a->c->positive >> j & 1};
}

void NAME(open_states)(const passage *a, workbench *w, block *b)
{
    for (int j = 0; j < a->states; j++)
        if (a->decoded >> j & 1) {
            const lrc_array s = state(a, j);
            b->state[j] = NAME(fetch)(a->x, &s, b->at, b->n, w->state[j]);
        }
}

void NAME(detach)(const passage *a, workbench *w, block *b)
{
    size_t size = b->n * sizeof(real);
    if (b->p != w->p)
        b->p = memcpy(w->p, b->p, size);
    for (int j = 0; j < a->states; j++)
        if (b->state[j] && b->state[j] != w->state[j])
            b->state[j] = memcpy(w->state[j], b->state[j], size);
}

/* ------------------------------------------------------------- what follows the rule */

void NAME(choose)(const lrc_constants *c, workbench *w, block *b)
{
    if (c->select == LRC_GRAMS) {
        NAME(grams)(b->n, b->p, w->old, b->g, (real)c->keep);
        return;
    }
    if (b->g != w->g)
        b->g = memcpy(w->g, b->g, b->n * sizeof(real));
    NAME(cautious)(b->n, b->p, w->old, w->g, (real)c->keep, (real)c->chosen);
}

void NAME(take_averages)(const passage *a, block *b)
{
    for (int j = 0; j < LRC_AVERAGES; j++) {
        if (a->c->average[j] == 0)
            continue;
        real *mean = (real *)a->x->average[j] + b->at;
        NAME(average)(b->n, mean, b->p, (real)a->c->average[j]);
        if (j == LRC_SLOW)
            memcpy(b->p, mean, b->n * sizeof(real));
    }
}

/* The words whose halves round this array, or NULL; they are made where they are needed. */
static const uint32_t *bits(const passage *a, int64_t tensor, int draw, int wanted, const block *b,
                            lrc_draws *d)
{
    if (!wanted)
        return NULL;
    if (d->made != draw / 2)
        NAME(draw)(a->c->seed, a->x->t, tensor, draw / 2, b->at, b->n, d->word);
    d->made = draw / 2;
    return d->word;
}

/* What is never negative is rounded stochastically in any case: second moments move by far less than
 * a narrow format's last place, and would stall. */
void NAME(store_states)(const passage *a, int64_t tensor, const block *b, lrc_draws *d)
{
    const lrc_tensor *x = a->x;
    int stochastic = a->c->rounding == LRC_STOCHASTIC;
    for (int j = 0; j < a->states; j++) {
        if (!(a->decoded >> j & 1))
            continue;
        const lrc_array s = state(a, j);
        int wanted = NAME(width)[s.dtype] < 4 && (stochastic || s.positive);
        NAME(keep)(x, &s, b->at, b->n, b->state[j], bits(a, tensor, j, wanted, b, d), j % 2);
    }
}

void NAME(store)(const passage *a, int64_t tensor, const block *b)
{
    const lrc_tensor *x = a->x;
    _Alignas(64) lrc_draws d;
    d.made = -1;
    NAME(store_states)(a, tensor, b, &d);
    if (a->p)
        return;
    if (x->master_kind == LRC_SPLIT) {
        NAME(keep_split)(x, b->at, b->n, b->p);
        return;
    }
    if (x->master_kind == LRC_MASTER && x->rows)
        NAME(scatter)(x, b->at, b->n, sizeof(real), b->p, x->master);
    const lrc_array p = {x->p, NULL, x->dtype, 0};
    int wanted = NAME(width)[x->dtype] < 4 && a->c->rounding == LRC_STOCHASTIC;
    const uint32_t *random = bits(a, tensor, LRC_DRAW_P, wanted, b, &d);
    NAME(keep)(x, &p, b->at, b->n, b->p, random, LRC_DRAW_P % 2);
}
