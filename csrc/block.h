/* A block on its way through a step. A chunk is walked in blocks that fit the first cache; each stage
 * is a plain loop over the block, and one that is off costs nothing. The order of the stages is part of
 * the promise of bits. Knows no rule. */
#ifndef LRC_BLOCK_H
#define LRC_BLOCK_H

#include "access.h"
#include "factors.h"

/* Where a block is worked on that cannot be worked on in place. Rows that start a multiple of 4096 bytes
 * apart are taken for each other by the load unit (a tenth of a step with narrow state): each is one
 * cache line longer. */
enum { ROW = LRC_BLOCK + 64 / sizeof(real) };

typedef struct {
    _Alignas(64) real g[ROW];
    real p[ROW], old[ROW], state[LRC_MAX_STATES][ROW], mean[ROW], row[ROW];
} workbench;

/* A block as reals: in place, or on the workbench. */
typedef struct {
    int64_t at;
    size_t n;
    const real *g;
    real *p, *state[LRC_MAX_STATES + 1]; /* the last: OF_ROW, IS_PRODUCT */
} block;

/* What is the same for all blocks of a chunk: which arrays are reals, and can be worked on where they
 * are; and which must be decoded. */
typedef struct {
    const lrc_tensor *x;
    const lrc_constants *c;
    const real *g;    /* NULL: it must be loaded */
    const real *rows; /* what OF_ROW is spread from; NULL: not known yet, or the rule has none */
    const real *row_shares, *column_shares; /* what a state is the product of; NULL: none is */
    real *p;                                /* NULL: it must be decoded, and stored */
    real *state[LRC_MAX_STATES];            /* one a row, or a factor: NULL */
    int states;                             /* of the rule's row */
    int decoded;                            /* those that must be */
    int treated; /* whether the rule sees another gradient than was given */
    int averages, stored;
} passage;

/* How much of a chunk that ends at `end` is the block that starts at `at`. */
static inline size_t block_size(int64_t at, int64_t end)
{
    return end - at < LRC_BLOCK ? (size_t)(end - at) : LRC_BLOCK;
}

/* The kernels of the rules, in the order of their table. */
extern const kernel *const NAME(kernels)[LRC_RULES];

/* -------------------------------------------------------------------- up to the rule */

/* With the first `states` of the rule's. */
static inline void enter(const lrc_tensor *x, const lrc_constants *c, int states, passage *a)
{
    int here = is_real(x->state_dtype) && !x->rows;
    a->x = x;
    a->c = c;
    a->g = NAME(in_place)(x);
    a->rows = c->row_factors;
    a->row_shares = c->row_shares;
    a->column_shares = c->column_shares;
    a->p = x->dtype == REAL_DTYPE && !x->rows ? x->p : NULL;
    a->states = states;
    a->decoded = 0;
    for (int j = 0; j < a->states; j++) {
        int apart = (c->of_rows >> j & 1) | (j == c->per_row) | (j == c->per_column);
        a->state[j] = here && !apart ? x->state[j] : NULL;
        a->decoded |= (x->state[j] && !here && !apart) << j;
    }
    a->averages = c->average[LRC_SLOW] != 0 || c->average[LRC_EMA] != 0 || c->average[LRC_SWA] != 0;
    a->stored = a->decoded || !a->p;
    a->treated = c->scale != 1 || c->unit_factors || c->clip_value != 0 || c->coupled != 0;
}

void NAME(open_states)(const passage *a, workbench *w, block *b);

/* Stage 1. */
static inline void open_block(const passage *a, int64_t at, int64_t end, workbench *w, block *b)
{
    size_t n = block_size(at, end);
    b->at = at;
    b->n = n;
    b->g = a->g ? a->g + at : NAME(load)(a->x, at, n, w->g);
    b->p = a->p ? a->p + at : NAME(fetch_p)(a->x, at, n, w->p);
    for (int j = 0; j < a->states; j++)
        b->state[j] = a->state[j] ? a->state[j] + at : NULL;
    if (a->decoded)
        NAME(open_states)(a, w, b);
    if (a->rows)
        b->state[LRC_MAX_STATES] = NAME(spread)(lrc_row(a->x), at, n, a->rows, w->row);
    else
        b->state[LRC_MAX_STATES] = NULL;
    if (a->row_shares)
        b->state[LRC_MAX_STATES] = b->state[a->c->product] =
            NAME(product)(a->x, at, n, a->row_shares, a->column_shares, w->state[a->c->product]);
}

/* Stages 2 and 3: the gradient as the rule sees it. */
void NAME(treat)(const passage *a, workbench *w, block *b);

/* The rule on a copy: nothing that is stored changes. */
void NAME(detach)(const passage *a, workbench *w, block *b);

/* ------------------------------------------------------------------ what follows the rule */

/* Which elements of the rule's step are made. */
void NAME(choose)(const lrc_constants *c, workbench *w, block *b);

/* Stages 5 and 6. States alone, with the random bits of `d`. */
void NAME(take_averages)(const passage *a, block *b);
void NAME(store_states)(const passage *a, int64_t tensor, const block *b, lrc_draws *d);
void NAME(store)(const passage *a, int64_t tensor, const block *b);

#endif
