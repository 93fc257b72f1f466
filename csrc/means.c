/* States that follow from means of the squares of the gradient. */
#include "means.h"
#include "reduce.h"

#include <string.h>

/* The gradient of a block as a rule sees it. */
static const real *seen_gradient(const passage *a, int64_t at, int64_t end, workbench *w)
{
    size_t n = block_size(at, end);
    block b = {.at = at, .n = n, .g = NAME(load)(a->x, at, n, w->g)};
    if (a->c->coupled != 0)
        b.p = NAME(fetch_p)(a->x, at, n, w->p);
    if (a->treated)
        NAME(treat)(a, w, &b);
    return b.g;
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
    NAME(kernels)[rule]->rows(n, mean, state, a->c->rule);
    for (int j = 0; rows && j < a->states; j++)
        for (size_t i = 0; state[j] && i < n; i++)
            ((real *)x->state[j])[rows[i]] = state[j][i];
}

void NAME(open_rows)(int rule, const passage *a, workbench *w, block *b)
{
    int64_t size = lrc_row(a->x);
    size_t n = b->n / (size_t)size;
    mean_squares(size, n, b->g, w->mean);
    set_rows(rule, a, b->at / size, n, w, w->mean);
    b->state[LRC_MAX_STATES] = NAME(spread)(size, 0, b->n, w->mean, w->row);
}

/* As many rows at a time as a block holds; of a longer row, a block at a time. */
void NAME(rows)(int rule, const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
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

void NAME(tiles)(const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
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

void NAME(factor)(int rule, const lrc_tensor *x, const lrc_constants *c, const lrc_squares *s)
{
    real mean[LRC_BLOCK];
    const kernel *k = NAME(kernels)[rule];
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
