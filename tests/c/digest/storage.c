/* All stages at once, under every way of storing parameters and some of storing state. */
#include "digest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const storage storages[] = {
    {"float32", LRC_F32, LRC_NO_MASTER},    {"float64", LRC_F64, LRC_NO_MASTER},
    {"float16", LRC_F16, LRC_NO_MASTER},    {"float16-master", LRC_F16, LRC_MASTER},
    {"bfloat16", LRC_BF16, LRC_NO_MASTER},  {"bfloat16-master", LRC_BF16, LRC_MASTER},
    {"bfloat16-split", LRC_BF16, LRC_SPLIT}};

enum { STORAGES = sizeof storages / sizeof *storages };

static const struct {
    int state_dtype, rounding;
} kept[] = {{LRC_F32, LRC_STOCHASTIC},
            {LRC_BF16, LRC_NEAREST},
            {LRC_BF16, LRC_STOCHASTIC},
            {LRC_Q8, LRC_NEAREST},
            {LRC_Q8, LRC_STOCHASTIC}};

enum { KEPT = sizeof kept / sizeof *kept };

/* Elements, and the units that agc sees in them: rows or columns. */
static const struct {
    int64_t n, units;
    int columns;
} sorts[] = {{1, 1, 0},     {129, 3, 0}, {0, 1, 0},      {7, 1, 0},       {1000, 10, 1},
             {1025, 25, 0}, {33, 11, 1}, {16390, 10, 0}, {8193, 2731, 1}, {2049, 683, 0}};

enum { PARTS = sizeof sorts / sizeof *sorts, STORED_STEPS = 5, REFUSED = 3 };

static int real_of(int dtype) { return dtype == LRC_F64 ? LRC_F64 : LRC_F32; }

static void *filled(int dtype, int64_t n, uint64_t *seed)
{
    void *x = allocate((size_t)n * size_of(dtype));
    for (int64_t i = 0; i < n; i++)
        put(x, dtype, i, 0, seed);
    return x;
}

/* Hyper-parameters that switch on a state which 8 bits must not hold ("mean:centered mean!"). */
static void switch_off(int rule, double *h)
{
    const lrc_rule_info *row = &lrc_rules[rule];
    for (const char *note = row->notes; *note; note += strspn(note, " ")) {
        size_t length = strcspn(note, " ");
        for (const char *other = row->notes; *other; other += strspn(other, " ")) {
            size_t size = strcspn(other, " "), name = strcspn(other, ":");
            if (name < size && name == length - 1 && note[name] == '!' &&
                strncmp(note, other, name) == 0)
                h[position(row->hypers, other + name + 1, size - name - 1)] = 0;
            other += size;
        }
        note += length;
    }
}

static lrc_tensor new_tensor(const job *j, int i, const beginnings *b, uint64_t *seed)
{
    int dtype = j->dtype, real = real_of(dtype);
    int64_t n = sorts[i].n;
    lrc_tensor x = {.p = filled(dtype, n, seed),
                    .n = n,
                    .dtype = dtype,
                    .group = i % GROUPS,
                    .state_dtype = b->factored ? LRC_REAL : j->state_dtype,
                    .master_kind = j->storage->master_kind,
                    .no_decay = i % 3 == 1,
                    .lr_scale = i % 4 == 2 ? 0.5 : 0,
                    .row = row_of(n),
                    .units = sorts[i].units,
                    .unit_columns = sorts[i].columns};
    shape(&x, b);
    for (int k = 0; k < LRC_MAX_STATES; k++) {
        if (!has_state(&x, b, k))
            continue;
        if (b->of_rows[k] || b->factored) {
            x.state[k] = new_array(real, n, b->state[k]);
            continue;
        }
        if (j->state_dtype == LRC_F32)
            x.state[k] = new_array(LRC_F32, n, b->state[k]);
        else
            x.state[k] = allocate((size_t)n * size_of(j->state_dtype));
        if (j->state_dtype == LRC_Q8)
            x.scale[k] = allocate((size_t)n / LRC_Q8_BLOCK + 1);
        if (b->there[k] && b->follows[k] && j->state_dtype == dtype)
            memcpy(x.state[k], x.p, (size_t)n * size_of(dtype));
    }
    memcpy(x.scalar, b->scalar, sizeof b->scalar);
    if (x.master_kind != LRC_NO_MASTER)
        x.master = filled(x.master_kind == LRC_MASTER ? LRC_F32 : LRC_BF16, n, seed);
    for (int k = 0; k < LRC_AVERAGES; k++)
        x.average[k] = filled(real, n, seed);
    x.sum = allocate((size_t)n * size_of(real));
    x.trace = allocate((size_t)n * size_of(real));
    x.work = work_of(j->rule, i, n);
    return x;
}

static uint64_t finish_tensor(uint64_t digest, lrc_tensor *x, const beginnings *b)
{
    int real = real_of(x->dtype);
    digest = digest_word(digest, (uint64_t)x->t);
    digest = digest_array(digest, x->dtype, x->n, x->p);
    digest = digest_array(digest, real, x->n, x->trace);
    for (int k = 0; k < LRC_MAX_STATES; k++) {
        if (x->state[k] && (b->of_rows[k] || b->factored))
            digest = digest_array(digest, real, x->n, x->state[k]);
        else if (x->state[k])
            digest = digest_array(digest, x->state_dtype, x->n, x->state[k]);
        if (x->scale[k])
            digest = digest_array(digest, LRC_Q8, (x->n + 127) / 128, x->scale[k]);
        free(x->state[k]);
        free(x->scale[k]);
    }
    if (x->master)
        digest = digest_array(digest, x->master_kind == LRC_MASTER ? LRC_F32 : LRC_REAL, x->n,
                              x->master);
    for (int k = 0; k < LRC_AVERAGES; k++) {
        digest = digest_array(digest, real, x->n, x->average[k]);
        free(x->average[k]);
    }
    free(x->p);
    free(x->master);
    free(x->sum);
    free(x->trace);
    free(x->work);
    return digest;
}

static void make_infinite(const lrc_tensor *x)
{
    static const double f64 = INFINITY;
    static const float f32 = INFINITY;
    static const uint16_t f16 = 0x7c00, bf16 = 0xff80;
    const void *inf = x->g_dtype == LRC_F64   ? (const void *)&f64
                      : x->g_dtype == LRC_F32 ? (const void *)&f32
                      : x->g_dtype == LRC_F16 ? (const void *)&f16
                                              : (const void *)&bf16;
    memcpy((char *)(uintptr_t)x->g, inf, size_of(x->g_dtype));
}

static uint64_t digest_stats(uint64_t digest, const lrc_stats *s)
{
    const double row[] = {s->grad2, s->param2,    s->step2, s->dot,  s->dot_grad2, s->trace2,
                          s->slope, s->nonfinite, s->lost,  s->clip, s->divisor};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        digest = digest_f64(digest, row[i]);
    return digest;
}

static void new_gradients(lrc_tensor *x, void *const *memory, int step, uint64_t *seed)
{
    static const int dtypes[] = {LRC_F32, LRC_F64, LRC_F16, LRC_BF16};
    for (int i = 0; i < PARTS; i++) {
        const surroundings lies = {.backwards = i % 3 == 0};
        x[i].g_dtype = dtypes[(i + step) % 4];
        new_gradient(&x[i], &lies, memory[i], 0, seed);
    }
}

static uint64_t run_stored(const job *j)
{
    uint64_t seed = 4, digest = 0;
    const beginnings b = beginnings_of(j->rule, j->h);
    void *memory[PARTS];
    lrc_tensor x[PARTS];
    lrc_group g[GROUPS] = {{.clip_value = 0.75, .clip_norm = 20, .agc = 0.05, .agc_eps = 1e-3},
                           {.agc = 0.1, .agc_eps = 0.5, .maximize = 1}};
    lrc_stats stats[PARTS];

    for (int i = 0; i < PARTS; i++) {
        x[i] = new_tensor(j, i, &b, &seed);
        memory[i] = allocate((size_t)sorts[i].n * 3 * sizeof(double));
    }
    for (int k = 0; k < GROUPS; k++) {
        memcpy(g[k].h, j->h, sizeof g[k].h);
        memcpy(g[k].scalar, b.scalar, sizeof b.scalar);
        g[k].rounding = j->rounding;
        g[k].select = k == 0 ? LRC_CAUTIOUS : LRC_GRAMS;
    }
    lrc_plan *plan = lrc_plan_new(j->rule, PARTS, x, GROUPS, g);
    if (!plan)
        fail("there is no memory", "lrc_plan_new");
    plan->clip_norm = 30;
    plan->nonfinite = LRC_SKIP;
    plan->zero_grads = 1;
    plan->loss_scale = 3;
    plan->seed = 0xfedcba9876543210u;
    plan->lookahead = 2;
    plan->lookahead_alpha = 0.5;
    plan->ema_decay = 0.9;
    plan->ema_warmup = 1;
    plan->swa_start = 2;
    plan->swa_every = 1;
    plan->stats = stats;
    plan->trace_every = j->rounding == LRC_STOCHASTIC ? 2 : 1;
    for (int t = 0; t < STORED_STEPS; t++) {
        for (int micro = 0; t == 1 && micro < 2; micro++) {
            new_gradients(x, memory, micro, &seed);
            if (micro)
                x[5].g = NULL;
            lrc_accumulate(plan);
        }
        new_gradients(x, memory, t, &seed); /* not looked at where sums wait */
        if (t == 2)
            x[4].g = x[7].g = NULL;
        if (t == REFUSED)
            make_infinite(&x[6]);
        plan->loss = 1.5 - t;
        digest = digest_word(digest, (uint64_t)lrc_step(plan));
        digest = digest_scalars(digest, plan);
        digest = digest_f64(digest, plan->grad_norm);
        digest = digest_f64(digest, g[0].grad_norm);
        if (t == REFUSED)
            digest = digest_word(digest, (uint64_t)plan->bad_tensor);
        for (int i = 0; i < PARTS; i++)
            digest = digest_stats(digest, &stats[i]);
    }
    lrc_plan_free(plan);

    for (int i = 0; i < PARTS; i++) {
        digest = finish_tensor(digest, &x[i], &b);
        digest = digest_array(digest, LRC_F64, sorts[i].n * 3, memory[i]);
        free(memory[i]);
    }
    return digest;
}

static uint64_t storage_digest(int rule, const storage *s)
{
    double h[LRC_MAX_HYPERS] = {0};
    int optional[LRC_MAX_HYPERS], count = fill_hypers(rule, h, optional);
    uint64_t digest = 0;
    for (int i = 0; i < KEPT; i++) {
        for (int k = 0; k < count; k++)
            choose_hyper(rule, h, optional[k], 1);
        if (kept[i].state_dtype == LRC_Q8)
            switch_off(rule, h);
        const job j = {.rule = rule,
                       .dtype = s->dtype,
                       .h = h,
                       .name = s->name,
                       .storage = s,
                       .state_dtype = kept[i].state_dtype,
                       .rounding = kept[i].rounding};
        digest = digest_word(digest, run_everywhere(run_stored, &j));
    }
    return digest;
}

void print_storage(void)
{
    for (int rule = 0; rule < LRC_RULES; rule++)
        for (int i = 0; i < STORAGES; i++)
            printf("storage %s %s %016llx\n", lrc_rules[rule].name, storages[i].name,
                   (unsigned long long)storage_digest(rule, &storages[i]));
}
