/* Rules in all surroundings: gradients of other formats and layouts, clipped, of some rows. */
#include "digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 4 };

/* Around vector registers, the lanes of a sum (32), blocks (1024) and chunks (8192). */
static const int64_t sizes[] = {1,    7,    0,    15,   33, 64,    1000, 1023,
                                1025, 8191, 8192, 8193, 3,  16389, 31,   100};

enum { TENSORS = sizeof sizes / sizeof *sizes };

_Static_assert(sizeof sizes / sizeof *sizes <= MOST_TENSORS, "new_gradient() has room for so many");

static const surroundings around[] = {
    {"plain", 0, 0, 0, 0, 0, SAME, 0, 0},
    {"wild", 0, 0, 0, 0, 1, SAME, 0, 0},
    {"clip_norm", 3.0, 0, 0, 0, 0, SAME, 0, 0},
    {"maximize, clip_value", 0, 0.75, 1, 0, 1, SAME, 0, 0},
    {"clip_norm, clip_value, maximize, a schedule", 700.0, 0.75, 1, 1, 0, OTHER, 0, 0},
    {"half", 0, 0, 0, 1, 1, HALF, 0, 0},
    {"strides", 5.0, 0, 0, 0, 0, SAME, 1, 0},
};

enum { AROUND = sizeof around / sizeof *around };

static const surroundings some_rows = {"some rows", 30.0, 0.75, 1, 0, 0, HALF, 0, 1};

static void name_some_rows(lrc_tensor *x, int64_t *numbers, uint64_t *seed)
{
    int64_t height = x->n ? x->n / x->row : 0;
    for (int64_t i = 0; i < height; i++)
        numbers[i] = (int64_t)(draw(seed) % (uint64_t)height);
    lrc_name_rows(x, height, height, numbers, numbers + height);
}

static uint64_t run_rule(const job *run)
{
    const surroundings *s = run->around;
    const double *h = run->h;
    uint64_t seed = 1, digest = 0;
    int rule = run->rule, dtype = run->dtype, g_dtype = s->gradient == HALF ? LRC_F16 : dtype;
    const beginnings b = beginnings_of(rule, h);
    void *memory[TENSORS];
    int64_t *numbers[TENSORS];
    lrc_tensor x[TENSORS] = {0};
    lrc_group g[GROUPS] = {0};
    lrc_schedule lr = {
        .kind = LRC_COSINE, .arg = {0.1, 6, 0.01}, .warmup = 2, .warmup_start = 0.01};

    if (s->gradient == OTHER)
        g_dtype = dtype == LRC_F32 ? LRC_F64 : LRC_F32;
    for (int i = 0; i < TENSORS; i++) {
        int64_t n = sizes[i];
        x[i] = (lrc_tensor){.p = allocate((size_t)n * size_of(dtype)),
                            .n = n,
                            .dtype = dtype,
                            .group = i % GROUPS,
                            .row = row_of(n),
                            .g_dtype = g_dtype};
        for (int64_t e = 0; e < n; e++)
            put(x[i].p, dtype, e, s->wild && i % 4 == 3, &seed);
        shape(&x[i], &b);
        for (int j = 0; j < LRC_MAX_STATES; j++) {
            x[i].state[j] = has_state(&x[i], &b, j) ? new_array(dtype, n, b.state[j]) : NULL;
            if (b.there[j] && b.follows[j])
                memcpy(x[i].state[j], x[i].p, (size_t)n * size_of(dtype));
        }
        memcpy(x[i].scalar, b.scalar, sizeof b.scalar);
        x[i].work = work_of(rule, i, n);
        memory[i] = allocate((size_t)n * 3 * sizeof(double));
        numbers[i] = allocate((size_t)n * 5 * sizeof(int64_t));
    }
    for (int k = 0; k < GROUPS; k++) {
        memcpy(g[k].h, h, sizeof g[k].h);
        memcpy(g[k].scalar, b.scalar, sizeof b.scalar);
        g[k].clip_value = s->clip_value;
        g[k].maximize = s->maximize;
    }
    g[1].h[0] *= 0.25; /* the rate */
    if (s->scheduled)
        g[0].schedule[0] = &lr;

    lrc_plan *plan = lrc_plan_new(rule, TENSORS, x, GROUPS, g);
    if (!plan)
        fail("there is no memory", "lrc_plan_new");
    plan->clip_norm = s->clip_norm;
    plan->nonfinite = s->wild ? LRC_IGNORE : LRC_RAISE;
    for (int t = 0; t < STEPS; t++) {
        for (int i = 0; i < TENSORS; i++) {
            new_gradient(&x[i], s, memory[i], s->wild && i % 2 == 1, &seed);
            if (s->named && (i + t) % 4)
                name_some_rows(&x[i], numbers[i], &seed);
            else
                x[i].rows = NULL;
        }
        if (t == 1)
            x[4].g = x[9].g = NULL; /* left alone at this step, and younger from then on */
        plan->loss = 1.5 - t;
        digest = digest_word(digest, (uint64_t)lrc_step(plan));
        digest = digest_f64(digest, plan->grad_norm);
        digest = digest_scalars(digest, plan);
    }
    lrc_plan_free(plan);

    for (int i = 0; i < TENSORS; i++) {
        digest = digest_word(digest, (uint64_t)x[i].t);
        digest = digest_array(digest, dtype, x[i].n, x[i].p);
        free(x[i].p);
        for (int j = 0; j < LRC_MAX_STATES; j++)
            if (x[i].state[j]) {
                digest = digest_array(digest, dtype, x[i].n, x[i].state[j]);
                free(x[i].state[j]);
            }
        free(x[i].work);
        free(memory[i]);
        free(numbers[i]);
    }
    return digest;
}

/* Every choice of the optional hyper-parameters; none and all of them in all surroundings. */
static uint64_t rule_digest(int rule, int dtype)
{
    double h[LRC_MAX_HYPERS] = {0};
    int optional[LRC_MAX_HYPERS], count = fill_hypers(rule, h, optional);
    uint64_t digest = 0;
    for (int chosen = 0; chosen < 1 << count; chosen++) {
        for (int k = 0; k < count; k++)
            choose_hyper(rule, h, optional[k], chosen >> k & 1);
        int ends = chosen == 0 || chosen == (1 << count) - 1;
        for (int i = 0; i < (ends ? AROUND : 1); i++) {
            const job j = {
                .rule = rule, .dtype = dtype, .h = h, .name = around[i].name, .around = &around[i]};
            digest = digest_word(digest, run_everywhere(run_rule, &j));
        }
    }
    return digest;
}

static int takes_rows(int rule)
{
    const char *note = lrc_rules[rule].notes;
    for (; *note; note += strspn(note, " ")) {
        size_t length = strcspn(note, " ");
        if (length == 4 && strncmp(note, "rows", 4) == 0)
            return 1;
        note += length;
    }
    return 0;
}

/* The same for gradients of some rows. */
static uint64_t rows_digest(int rule, int dtype)
{
    double h[LRC_MAX_HYPERS] = {0};
    int optional[LRC_MAX_HYPERS], count = fill_hypers(rule, h, optional);
    for (int k = 0; k < count; k++)
        choose_hyper(rule, h, optional[k], 1);
    const job j = {
        .rule = rule, .dtype = dtype, .h = h, .name = some_rows.name, .around = &some_rows};
    return run_everywhere(run_rule, &j);
}

void print_rules(void)
{
    for (int rule = 0; rule < LRC_RULES; rule++)
        for (int dtype = LRC_F32; dtype <= LRC_F64; dtype++)
            printf("rule %s float%d %016llx\n", lrc_rules[rule].name, dtype == LRC_F32 ? 32 : 64,
                   (unsigned long long)rule_digest(rule, dtype));
    for (int rule = 0; rule < LRC_RULES; rule++)
        for (int dtype = LRC_F32; dtype <= LRC_F64 && takes_rows(rule); dtype++)
            printf("rows %s float%d %016llx\n", lrc_rules[rule].name, dtype == LRC_F32 ? 32 : 64,
                   (unsigned long long)rows_digest(rule, dtype));
}
