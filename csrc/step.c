/* The block pipeline. A chunk is walked in blocks that fit the first cache; each stage is a plain
 * loop over the block, and one that is off costs nothing. The order of the stages is part of the
 * promise of bits. Knows no rule. */
#include "access.h"
#include "factors.h"
#include "reduce.h"
#include "roofline.h"
#include "stages.h"
#include "units.h"

#include <string.h>

#define RULE(name, ...) extern const kernel NAME(name);
#include "rules.def"
#undef RULE

static const kernel *const kernels[LRC_RULES] = {
#define RULE(name, ...) &NAME(name),
#include "rules.def"
#undef RULE
};

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
static size_t block_size(int64_t at, int64_t end)
{
    return end - at < LRC_BLOCK ? (size_t)(end - at) : LRC_BLOCK;
}

/* --------------------------------------------------------- stages 2 to 4: up to the rule */

/* The gradient as the rule sees it. */
static void treat(const passage *a, workbench *w, block *b)
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

static void open_states(const passage *a, workbench *w, block *b)
{
    for (int j = 0; j < a->states; j++)
        if (a->decoded >> j & 1) {
            const lrc_array s = state(a, j);
            b->state[j] = NAME(fetch)(a->x, &s, b->at, b->n, w->state[j]);
        }
}

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
        open_states(a, w, b);
    if (a->rows)
        b->state[LRC_MAX_STATES] = NAME(spread)(lrc_row(a->x), at, n, a->rows, w->row);
    else
        b->state[LRC_MAX_STATES] = NULL;
    if (a->row_shares)
        b->state[LRC_MAX_STATES] = b->state[a->c->product] =
            NAME(product)(a->x, at, n, a->row_shares, a->column_shares, w->state[a->c->product]);
}

/* The rule on a copy: nothing that is stored changes. */
static void detach(const passage *a, workbench *w, block *b)
{
    size_t size = b->n * sizeof(real);
    if (b->p != w->p)
        b->p = memcpy(w->p, b->p, size);
    for (int j = 0; j < a->states; j++)
        if (b->state[j] && b->state[j] != w->state[j])
            b->state[j] = memcpy(w->state[j], b->state[j], size);
}

/* ------------------------------------------------------ stages 5 to 7: what follows the rule */

static void choose(const lrc_constants *c, workbench *w, block *b)
{
    if (c->select == LRC_GRAMS) {
        NAME(grams)(b->n, b->p, w->old, b->g, (real)c->keep);
        return;
    }
    if (b->g != w->g)
        b->g = memcpy(w->g, b->g, b->n * sizeof(real));
    NAME(cautious)(b->n, b->p, w->old, w->g, (real)c->keep, (real)c->chosen);
}

static void average(const passage *a, block *b)
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
static void store_states(const passage *a, int64_t tensor, const block *b, lrc_draws *d)
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

static void store(const passage *a, int64_t tensor, const block *b)
{
    const lrc_tensor *x = a->x;
    _Alignas(64) lrc_draws d;
    d.made = -1;
    store_states(a, tensor, b, &d);
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

/* ------------------------------------------------------------ states of one number a row */

/* Of whole rows that are in one block. */
static void mean_squares(int64_t size, size_t rows, const real *g, real *restrict mean)
{
    if (size == 1)
        EACH (i, rows)
            mean[i] = g[i] * g[i];
    else
        for (size_t i = 0; i < rows; i++)
            mean[i] = (real)(NAME(squares)((size_t)size, g + (int64_t)i * size) / (double)size);
}

/* The rule's part for the rows from `first` on, at most a block of them: their states are where they
 * stand, or brought together and, afterwards, back. */
static void set_rows(int rule, const passage *a, int64_t first, size_t n, workbench *w, real *mean)
{
    const lrc_tensor *x = a->x;
    const int64_t *rows = x->rows ? x->rows + first : NULL;
    real *state[LRC_MAX_STATES + 1] = {0};
    for (int j = 0; j < a->states; j++)
        if (x->state[j] && a->c->of_rows >> j & 1) {
            real *all = x->state[j];
            state[j] = rows ? w->state[j] : all + first;
            for (size_t i = 0; rows && i < n; i++)
                state[j][i] = all[rows[i]];
        }
    kernels[rule]->rows(n, mean, state, a->c->rule);
    for (int j = 0; rows && j < a->states; j++)
        for (size_t i = 0; state[j] && i < n; i++)
            ((real *)x->state[j])[rows[i]] = state[j][i];
}

/* A block of whole rows: all of it in one pass. */
static void open_rows(int rule, const passage *a, workbench *w, block *b)
{
    int64_t size = lrc_row(a->x);
    size_t n = b->n / (size_t)size;
    mean_squares(size, n, b->g, w->mean);
    set_rows(rule, a, b->at / size, n, w, w->mean);
    b->state[LRC_MAX_STATES] = NAME(spread)(size, 0, b->n, w->mean, w->row);
}

/* The gradient of a block as a rule sees it. */
static const real *seen_gradient(const passage *a, int64_t at, int64_t end, workbench *w)
{
    size_t n = block_size(at, end);
    block b = {.at = at, .n = n, .g = NAME(load)(a->x, at, n, w->g)};
    if (a->c->coupled != 0)
        b.p = NAME(fetch_p)(a->x, at, n, w->p);
    if (a->treated)
        treat(a, w, &b);
    return b.g;
}

/* As many rows at a time as a block holds; of a longer row, a block at a time. */
static void rows(int rule, const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
                 void *factors)
{
    workbench w;
    passage a;
    int64_t size = lrc_row(x), at_once = size < LRC_BLOCK ? LRC_BLOCK / size : 1;
    enter(x, c, c->states, &a);
    for (int64_t r = first, end = first + n, m; r < end; r += m) {
        real *mean = (real *)factors + r;
        m = at_once < end - r ? at_once : end - r;
        if (size <= LRC_BLOCK)
            mean_squares(size, (size_t)m, seen_gradient(&a, r * size, (r + m) * size, &w), mean);
        else {
            lrc_lanes lanes = {0};
            for (int64_t at = r * size, stop = at + size; at < stop; at += LRC_BLOCK) {
                const real *g = seen_gradient(&a, at, stop, &w);
                NAME(sum)(block_size(at, stop), g, g, &lanes);
            }
            *mean = (real)(NAME(total)(&lanes) / (double)size);
        }
        set_rows(rule, &a, r, (size_t)m, &w, mean);
    }
}

/* --------------------------------------------------------------- a state kept as factors */

/* A band of tiles, at most a chunk wide; row sums of panels lie `apart`. Rows are read one after the
 * other, as many at a time as a block holds where nothing is between them. */
static void square_band(const passage *a, int64_t first, int64_t rows, int64_t width, int64_t apart,
                        double *row_sums, real *column_sums, workbench *w)
{
    _Alignas(64) real columns[LRC_CHUNK];
    int64_t whole = a->x->width, at_once = whole <= LRC_BLOCK ? LRC_BLOCK / whole : 1;
    memset(columns, 0, (size_t)width * sizeof *columns);
    for (int64_t r = 0, m; r < rows; r += m) {
        m = at_once < rows - r ? at_once : rows - r;
        for (int64_t column = 0; column < width; column += LRC_BLOCK) {
            size_t n = block_size(column, width);
            int64_t at = first + r * whole + column;
            const real *g = seen_gradient(a, at, at + m * (int64_t)n, w);
            double *sums = row_sums + column / LRC_BLOCK * apart + r;
            NAME(tile)((size_t)m, n, g, sums, columns + column);
        }
    }
    memcpy(column_sums, columns, (size_t)width * sizeof *columns);
}

static void squares(const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
                    const lrc_squares *s)
{
    workbench w;
    passage a;
    int64_t parts = lrc_parts(x), bands = lrc_bands(x), apart = lrc_matrices(x) * x->height;
    enter(x, c, 0, &a);
    for (int64_t k = first; k < first + n; k++) {
        int64_t column = k % parts * LRC_CHUNK, band = k / parts % bands;
        int64_t matrix = k / parts / bands, left = x->width - column;
        int64_t rows = x->height - band * LRC_BAND;
        int64_t above = matrix * x->height + band * LRC_BAND;
        square_band(&a, above * x->width + column, rows < LRC_BAND ? rows : LRC_BAND,
                    left < LRC_CHUNK ? left : LRC_CHUNK, apart,
                    s->rows + column / LRC_BLOCK * apart + above,
                    (real *)s->columns + (band * lrc_matrices(x) + matrix) * x->width + column, &w);
    }
}

static void factor(int rule, const lrc_tensor *x, const lrc_constants *c, const lrc_squares *s)
{
    real mean[LRC_BLOCK];
    const kernel *k = kernels[rule];
    int64_t height = x->height, n = lrc_matrices(x) * height, m = lrc_matrices(x) * x->width;
    real *rows = x->state[c->per_row], *columns = x->state[c->per_column];
    real *row_shares = s->row_shares;
    for (int64_t at = 0; at < n; at += LRC_BLOCK) {
        NAME(row_means)(block_size(at, n), lrc_panels(x), n, s->rows + at, x->width, mean);
        k->follow(block_size(at, n), rows + at, mean, c->rule);
    }
    for (int64_t at = 0; at < m; at += LRC_BLOCK) {
        const real *sums = (const real *)s->columns + at;
        NAME(column_means)(block_size(at, m), lrc_bands(x), m, sums, height, mean);
        k->follow(block_size(at, m), columns + at, mean, c->rule);
    }
    for (int64_t at = 0; at < n; at += height) {
        *mean = NAME(mean)((size_t)height, rows + at);
        k->share((size_t)height, row_shares + at, rows + at, mean, c->rule);
    }
    k->share((size_t)m, s->column_shares, columns, NULL, c->rule);
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
        kernels[rule]->update(b->n, b->p, b->g, b->state, c->rule);
}

/* What is done with a block once the rule has made its step. */
static void follow(const passage *a, lrc_chunk k, workbench *w, block *b, observed *o)
{
    if (a->c->select)
        choose(a->c, w, b);
    if (a->averages)
        average(a, b);
    if (a->stored)
        store(a, k.tensor, b);
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
            treat(&a, &w, &b);
        if (c->of_rows && !a.rows)
            open_rows(rule, &a, &w, &b);
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
        treat(&a, &w, &b);
        memcpy(w.old, b.p, b.n * sizeof(real));
        detach(&a, &w, &b);
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
        treat(&a, &w, &b);
        kernels[rule]->measure(b.n, b.p, b.g, b.state, c->rule, factors, room);
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
        treat(&a, &w, &b);
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
        kernels[rule]->prepare(b.n, (real *)x->work + at, b.state, c->rule);
        if (a.decoded)
            store_states(&a, k.tensor, &b, &d);
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
    kernels[rule]->estimate(h, seen, scalars);
}

static void constants(int rule, const double *h, int64_t t, const double *scalars, lrc_constants *c)
{
    kernels[rule]->constants(h, t, scalars, c->rule);
}

extern const lrc_engine NAME(engine);
const lrc_engine NAME(engine) = {.estimate = estimate,
                                 .constants = constants,
                                 .update = update,
                                 .trial = trial,
                                 .measure = measure,
                                 .rows = rows,
                                 .squares = squares,
                                 .factor = factor,
                                 .gather = gather,
                                 .prepare = prepare,
                                 .finite = finite,
                                 .norm = norm,
                                 .observe = observe,
                                 .accumulate = accumulate,
                                 .zero = zero,
                                 .units = NAME(units),
                                 .roofline = NAME(roofline)};
