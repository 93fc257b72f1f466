/* Schedules and warm-ups, at positions near and far. */
#include "digest.h"

#include <stdio.h>

/* An argument of a schedule that is not here is 0.5. */
static const named arguments[] = {{"lr", 0.1, 0},
                                  {"steps", 6000, 0},
                                  {"end", 0.003, 0},
                                  {"step_size", 70, 0},
                                  {"gamma", 0.97, 0},
                                  {"decay", 0.001, 0},
                                  {"rate", 0.3, 0},
                                  {"power", 1.7, 0},
                                  {"factor", 0.3, 0},
                                  {"timescale", 300, 0},
                                  {"d_model", 512, 0},
                                  {"warmup_steps", 400, 0},
                                  {"scale", 4.6, 0},
                                  {"per_update", 32, 0},
                                  {"exponent", 1.3, 0},
                                  {"k_decay", 1.1, 0},
                                  {"cycle", 1, 0},
                                  {"lb", -7, 0},
                                  {"ub", 3, 0},
                                  {"upper_bound", 9000, 0},
                                  {"infimum", 1e-5, 0},
                                  {"decay_steps", 1500, 0},
                                  {"shape", 2, 0},
                                  {"knee", 4000, 0},
                                  {"pct_start", 0.3, 0},
                                  {"div_factor", 25, 0},
                                  {"final_div_factor", 1e4, 0},
                                  {"phases", 3, 0},
                                  {"max_lr", 0.7, 0},
                                  {"up", 90, 0},
                                  {"down", 300, 0},
                                  {"mode", 2, 0},
                                  {"period", 110, 0},
                                  {"mult", 1.5, 0},
                                  {"order", 0, 0},
                                  {"low", 0.01, 0},
                                  {"high", 0.09, 0},
                                  {"by", 333, 0},
                                  {"updates", 7, 0},
                                  {"start", 0.2, 0},
                                  {"length", 2500.5, 0},
                                  {"begin", 12.25, 0},
                                  {"min_lr", 0.002, 0},
                                  {NULL, 0.5, 0}};

enum { TIMES = 20000, PLACES = 4 };

/* Positions, then one value more: what a schedule made of lists may ask for. */
static const double list[] = {40, 1000, 1001, 5500, 0.1, 0.25, 0.05, 0.3, 1e-4};

static double call(int64_t t, void *user)
{
    (void)user;
    return 1.0 / (double)(t + 1);
}

static uint64_t schedule_digest(int kind)
{
    static const lrc_schedule parts[PLACES + 1] = {
        {.kind = LRC_COSINE, .arg = {0.1, 900, 0.01}, .warmup = 20},
        {.kind = LRC_EXPONENTIAL, .arg = {0.1, 0.999}},
        {.kind = LRC_CONSTANT, .arg = {0.2}},
        {.kind = LRC_LINEAR, .arg = {0.3, 2000, 0}, .warmup = 500, .warmup_start = 0.1},
        {.kind = LRC_INVERSE_TIME, .arg = {0.1, 0.5, 100}}};
    static const lrc_schedule *const part[] = {&parts[0], &parts[1], &parts[2], &parts[3],
                                               &parts[4]};
    static const double warmups[] = {0, 1, 37};
    static int64_t t[TIMES];
    static double values[TIMES];
    const char *name;
    size_t length;
    uint64_t seed = 2, digest = 0;
    lrc_schedule s = {.kind = kind,
                      .count = PLACES,
                      .parts = PLACES + 1,
                      .warmup_start = 0.01,
                      .list = list,
                      .part = part,
                      .call = call};
    for (int i = 0; (name = name_at(lrc_schedules[kind].args, i, &length)); i++)
        s.arg[i] = look_up(arguments, name, length)->value;
    for (int i = 0; i < TIMES; i++)
        t[i] = i < TIMES / 2 ? i : (int64_t)(draw(&seed) >> 11 >> i % 40);
    for (size_t w = 0; w < sizeof warmups / sizeof *warmups; w++) {
        s.warmup = warmups[w];
        for (int k = 0; k < THREADS; k++) {
            lrc_set_num_threads(threads[k]);
            lrc_schedule_values(&s, TIMES, t, values);
            for (int i = 0; i < TIMES; i++)
                if (digest_f64(0, values[i]) != digest_f64(0, lrc_schedule_at(&s, t[i])))
                    fail("lrc_schedule_values differs from lrc_schedule_at",
                         lrc_schedules[kind].name);
        }
        digest = digest_array(digest, LRC_F64, TIMES, values);
    }
    return digest;
}

/* A warm-up in each shape. */
static uint64_t warmup_digest(int shape)
{
    lrc_schedule s = {.kind = LRC_CONSTANT,
                      .arg = {0.3},
                      .warmup = TIMES,
                      .warmup_start = 0.01,
                      .warmup_shape = shape};
    static double values[TIMES];
    for (int i = 0; i < TIMES; i++)
        values[i] = lrc_schedule_at(&s, i);
    return digest_array(0, LRC_F64, TIMES, values);
}

void print_schedules(void)
{
    for (int kind = 0; kind < LRC_SCHEDULES; kind++)
        printf("schedule %s %016llx\n", lrc_schedules[kind].name,
               (unsigned long long)schedule_digest(kind));
    for (int shape = 0; shape < 5; shape++)
        printf("warmup %d %016llx\n", shape, (unsigned long long)warmup_digest(shape));
}
