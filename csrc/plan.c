/* Tensors -> chunks -> tasks: where everything is cut, once, before the first step. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS = LRC_BLOCK / 2,
    SHARES = 256,             /* tasks of a large plan, */
    LARGEST = 16 * LRC_CHUNK, /* and elements of the largest */
};

/* How many elements a thread takes at a time, at least. Between tasks it waits until all it has written
 * has reached the cache; larger ones leave the last thread longer alone. */
static int64_t task_size(int64_t elements)
{
    int64_t size = elements / SHARES;
    return size < LRC_CHUNK ? LRC_CHUNK : size < LARGEST ? size : LARGEST;
}

/* The place of a name in a row's list "a, b, c"; -1: it is not there. */
static int place(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; *list; i++) {
        size_t n = strcspn(list, ",");
        if (n == length && strncmp(list, name, n) == 0)
            return i;
        list += n + strspn(list + n, ", ");
    }
    return -1;
}

static int length(const char *list)
{
    int n = *list != 0;
    for (; *list; list++)
        n += *list == ',';
    return n;
}

/* The states whose notes are "name" and this sign. */
static unsigned noted(const lrc_rule_info *rule, char sign)
{
    unsigned found = 0;
    for (const char *note = rule->notes; *note;) {
        size_t n = strcspn(note, " ");
        char name[64];
        if (n > 1 && n < sizeof name && note[n - 1] == sign) {
            memcpy(name, note, n - 1);
            name[n - 1] = 0;
            found |= 1u << place(rule->states, name);
        }
        note += n + strspn(note + n, " ");
    }
    return found;
}

/* The one state whose note is "name" and this sign; -1: there is none. */
static int noted_alone(const lrc_rule_info *rule, char sign)
{
    unsigned found = noted(rule, sign);
    int j = -1;
    for (; found; found >>= 1)
        j++;
    return j;
}

/* How many rows a task takes: those that make up a chunk. */
static int64_t rows_at_once(const lrc_tensor *x)
{
    int64_t size = lrc_row(x);
    return size < LRC_CHUNK ? LRC_CHUNK / size : 1;
}

static void cut_rows(lrc_work *w, int64_t tensor, const lrc_tensor *x, int64_t n)
{
    int64_t rows = n / lrc_row(x), step = rows_at_once(x);
    for (int64_t r = 0; r < rows; r += step)
        w->row_tasks[w->n_row_tasks++] = (lrc_units){tensor, r, rows - r < step ? rows - r : step};
}

void lrc_cut(lrc_plan *plan, int whole)
{
    lrc_work *w = plan->work;
    int64_t c = 0, task = 0, open = 0, size;
    w->named = !whole;
    w->n_elements = w->n_row_tasks = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++)
        w->n_elements += whole ? plan->tensors[i].n : lrc_extent(&plan->tensors[i]);
    size = task_size(w->n_elements);
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        int64_t n = whole ? x->n : lrc_extent(x);
        w->first[i] = c;
        for (int64_t at = 0; at < n; at += LRC_CHUNK, c++) {
            int64_t left = n - at;
            w->chunks[c] = (lrc_chunk){i, at, left < LRC_CHUNK ? left : LRC_CHUNK};
            if (open == 0)
                w->tasks[task++] = c;
            open += w->chunks[c].n;
            open = open < size ? open : 0;
        }
        if (w->row_tasks)
            cut_rows(w, i, x, n);
    }
    w->n_tasks = task;
    w->tasks[task] = c;
    w->n_chunks = w->first[plan->n_tensors] = c;
}

/* Room for what a rule finds out about each row. */
static int plan_rows(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    int64_t rows = 0, tasks = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        int64_t n = x->n / lrc_row(x), step = rows_at_once(x);
        rows += n;
        tasks += (n + step - 1) / step;
    }
    w->row_tasks = malloc(((size_t)tasks + 1) * sizeof *w->row_tasks);
    w->row_factors = malloc(((size_t)plan->n_tensors + 1) * sizeof *w->row_factors);
    w->all_row_factors = malloc(((size_t)rows + 1) * sizeof *w->all_row_factors);
    if (!w->row_tasks || !w->row_factors || !w->all_row_factors)
        return 0;
    double *next = w->all_row_factors; /* room for doubles; floats use half of it */
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        w->row_factors[i] = next;
        next += plan->tensors[i].n / lrc_row(&plan->tensors[i]);
    }
    return 1;
}

/* Room for the sums of squares, and tasks of as many parts of bands as make up a chunk. */
static int plan_squares(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    size_t room = 1, tasks = 1;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        int64_t count = lrc_matrices(x);
        if (count == 0)
            continue;
        room += (size_t)(count * (x->height * (lrc_panels(x) + 1) + x->width * (lrc_bands(x) + 1)));
        tasks += (size_t)(count * lrc_parts(x) * lrc_bands(x));
    }
    w->square_tasks = malloc(tasks * sizeof *w->square_tasks);
    w->squares = calloc((size_t)plan->n_tensors + 1, sizeof *w->squares);
    w->all_squares = malloc(room * sizeof *w->all_squares);
    if (!w->square_tasks || !w->squares || !w->all_squares)
        return 0;
    double *next = w->all_squares; /* room for doubles; floats use half of it */
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        int64_t count = lrc_matrices(x), parts, size, step;
        if (count == 0)
            continue;
        w->squares[i].rows = next;
        next += count * x->height * lrc_panels(x);
        w->squares[i].columns = next;
        next += count * x->width * lrc_bands(x);
        w->squares[i].row_shares = next;
        next += count * x->height;
        w->squares[i].column_shares = next;
        next += count * x->width;
        parts = count * lrc_parts(x) * lrc_bands(x);
        size = x->n / parts;
        step = size < LRC_CHUNK ? LRC_CHUNK / size : 1;
        for (int64_t k = 0; k < parts; k += step)
            w->square_tasks[w->n_square_tasks++] =
                (lrc_units){i, k, parts - k < step ? parts - k : step};
    }
    return 1;
}

lrc_plan *lrc_plan_new(int rule, int64_t n_tensors, lrc_tensor *tensors, int64_t n_groups,
                       lrc_group *groups)
{
    const lrc_rule_info *row = &lrc_rules[rule];
    int64_t n_chunks = 0;
    for (int64_t i = 0; i < n_tensors; i++)
        n_chunks += lrc_chunks_of(tensors[i].n);
    lrc_plan *plan = calloc(1, sizeof *plan);
    lrc_work *w = calloc(1, sizeof *w);
    size_t c = (size_t)n_chunks + 1, n = (size_t)n_tensors + 1, k = (size_t)n_groups + 1;
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
                       .trace_every = 1,
                       .work = w};
    w->decay = place(row->hypers, "weight_decay");
    w->either = row->decay == LRC_EITHER ? place(row->hypers, "decoupled_weight_decay") : -1;
    w->adamw_lr = place(row->hypers, "adamw_lr");
    w->adamw_decay = place(row->hypers, "adamw_weight_decay");
    w->states = length(row->states);
    w->positive = noted(row, '+');
    w->of_rows = noted(row, '/');
    w->per_row = noted_alone(row, '-');
    w->per_column = noted_alone(row, '|');
    w->product = noted_alone(row, '*');
    w->chunks = malloc(c * sizeof *w->chunks);
    w->first = malloc(n * sizeof *w->first);
    w->tasks = malloc(c * sizeof *w->tasks);
    w->sums = malloc(c * LRC_MAX_SUMS * sizeof *w->sums);
    w->seen = malloc(c * LRC_OBSERVED * sizeof *w->seen);
    w->bad = malloc(c);
    w->constants = malloc(n * sizeof *w->constants);
    w->slot = malloc(n * sizeof *w->slot);
    w->latest = malloc(k * 4 * sizeof *w->latest);
    w->clip = malloc(k * sizeof *w->clip);
    w->groups = malloc(k * sizeof *w->groups);
    int room = w->chunks && w->first && w->tasks && w->sums && w->seen && w->bad && w->constants &&
               w->slot && w->latest && w->clip && w->groups;
    for (int64_t i = 0; room && i < n_groups; i++)
        if (groups[i].agc != 0)
            room = lrc_plan_agc(plan);
    if (room && row->scope == LRC_ROW)
        room = plan_rows(plan);
    if (room && row->scope == LRC_FACTORED)
        room = plan_squares(plan);
    if (!room) {
        lrc_plan_free(plan);
        return NULL;
    }
    lrc_cut(plan, 1);
    return plan;
}

static void drop_units(lrc_work *w)
{
    free(w->units);
    free(w->factors);
    free(w->all_factors);
    w->units = NULL;
    w->factors = NULL;
    w->all_factors = NULL;
}

void lrc_plan_free(lrc_plan *plan)
{
    if (!plan)
        return;
    lrc_work *w = plan->work;
    free(w->chunks);
    free(w->first);
    free(w->tasks);
    free(w->sums);
    free(w->seen);
    free(w->bad);
    free(w->constants);
    free(w->slot);
    free(w->latest);
    free(w->clip);
    free(w->groups);
    free(w->row_tasks);
    free(w->row_factors);
    free(w->all_row_factors);
    free(w->square_tasks);
    free(w->squares);
    free(w->all_squares);
    drop_units(w);
    free(w);
    free(plan);
}

/* -------------------------------------------------------------------- agc: output units */

static int64_t units_of(const lrc_tensor *x) { return x->units > 1 ? x->units : 1; }

/* How many units a task takes: columns side by side, or rows that make up a chunk. */
static int64_t units_at_once(const lrc_tensor *x)
{
    int64_t size = x->n / units_of(x), rows = size > 0 ? LRC_CHUNK / size : LRC_CHUNK;
    return x->unit_columns ? COLUMNS : rows > 1 ? rows : 1;
}

int lrc_plan_agc(lrc_plan *plan)
{
    lrc_work *w = plan->work;
    if (w->units)
        return 1;
    int64_t units = 0, tasks = 0;
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        int64_t n = units_of(x), step = units_at_once(x);
        units += n;
        tasks += (n + step - 1) / step;
    }
    w->units = malloc(((size_t)tasks + 1) * sizeof *w->units);
    w->factors = malloc(((size_t)plan->n_tensors + 1) * sizeof *w->factors);
    w->all_factors = malloc(((size_t)units + 1) * sizeof *w->all_factors);
    if (!w->units || !w->factors || !w->all_factors) {
        drop_units(w);
        return 0;
    }
    double *next = w->all_factors; /* room for doubles; floats use half of it */
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        int64_t n = units_of(x), step = units_at_once(x);
        w->factors[i] = next;
        next += n;
        for (int64_t u = 0; u < n; u += step)
            w->units[w->n_units++] = (lrc_units){i, u, n - u < step ? n - u : step};
    }
    return 1;
}
