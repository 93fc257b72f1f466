/* Float32 of any size and bits through each format: as parameters beside a master that keeps them,
 * and as the state of a rule whose first step puts the gradient there. */
#include "digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 256, CODED = SIZES * LRC_Q8_BLOCK };

/* Blocks for every exponent, each with smaller numbers in it; each tenth is close to a half. */
static void any_floats(float *x)
{
    uint64_t seed = 5;
    for (int i = 0; i < CODED; i++) {
        uint64_t choice = draw(&seed);
        int size = i / LRC_Q8_BLOCK - (int)(choice % 8 * (choice >> 3 & 3));
        uint32_t bits = (uint32_t)(choice >> 32) & 0x807fffffu;
        if (i % 10 == 3)
            bits = (bits & 0xffff8000u) + 0x8000u - (uint32_t)(choice >> 8) % 3 + 1;
        if (i % 10 == 6)
            bits = (bits & 0xfffff000u) + 0x1000u - (uint32_t)(choice >> 8) % 3 + 1;
        if (size == SIZES - 1 && i % 3 == 0) /* a NaN that rounding must not carry over */
            bits |= 0x7fffffu;
        bits = (bits & 0x807fffffu) | (uint32_t)(size > 0 ? size : 0) << 23;
        memcpy(&x[i], &bits, sizeof bits);
    }
}

static void set_master(lrc_tensor *t, const float *x)
{
    t->master = allocate((size_t)t->n * sizeof *x);
    if (t->master_kind == LRC_MASTER)
        memcpy(t->master, x, (size_t)t->n * sizeof *x);
    for (int64_t i = 0; t->master_kind == LRC_SPLIT && i < t->n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        ((uint16_t *)t->p)[i] = (uint16_t)(bits >> 16);
        ((uint16_t *)t->master)[i] = (uint16_t)(bits & 0xffffu);
    }
}

static uint64_t run_codec(const job *j)
{
    static float x[CODED], zero[CODED];
    uint64_t digest = 0;
    int as_state = j->storage->master_kind == LRC_NO_MASTER;
    lrc_tensor t = {.p = allocate(CODED * size_of(j->dtype)),
                    .g = as_state ? x : zero,
                    .g_dtype = LRC_F32,
                    .n = CODED,
                    .dtype = j->dtype,
                    .master_kind = j->storage->master_kind,
                    .state_dtype = j->state_dtype};
    lrc_group g = {.rounding = j->rounding};
    any_floats(x);
    if (as_state) {
        t.state[0] = allocate(CODED * size_of(j->state_dtype));
        t.scale[0] = j->state_dtype == LRC_Q8 ? allocate(SIZES) : NULL;
    } else
        set_master(&t, x);
    memcpy(g.h, j->h, sizeof g.h);
    lrc_plan *plan = lrc_plan_new(j->rule, 1, &t, 1, &g);
    if (!plan)
        fail("there is no memory", "lrc_plan_new");
    plan->nonfinite = LRC_IGNORE;
    for (int i = 0; i < 2; i++) {
        lrc_step(plan);
        digest = digest_array(digest, j->dtype, CODED, t.p);
        if (t.state[0])
            digest = digest_array(digest, j->state_dtype, CODED, t.state[0]);
        if (t.scale[0])
            digest = digest_array(digest, LRC_Q8, SIZES, t.scale[0]);
        if (t.master_kind == LRC_SPLIT)
            digest = digest_array(digest, LRC_REAL, CODED, t.master);
        t.g = zero;
    }
    lrc_plan_free(plan);
    free(t.p);
    free(t.state[0]);
    free(t.scale[0]);
    free(t.master);
    return digest;
}

static const struct {
    const char *name;
    int rule, state_dtype;
    storage storage[2];
} codecs[] = {
    {"float16", LRC_SGD, LRC_REAL, {{"float16", LRC_F16, LRC_MASTER}}},
    {"bfloat16", LRC_SGD, LRC_REAL, {{"bfloat16", LRC_BF16, LRC_MASTER}}},
    {"split", LRC_SGD, LRC_REAL, {{"bfloat16", LRC_BF16, LRC_SPLIT}}},
    {"bfloat16-state", LRC_SGD, LRC_BF16, {{"float32", LRC_F32, 0}, {"float64", LRC_F64, 0}}},
    {"int8-signed", LRC_SGD, LRC_Q8, {{"float32", LRC_F32, 0}, {"float64", LRC_F64, 0}}},
    {"int8-unsigned", LRC_ADAGRAD, LRC_Q8, {{"float32", LRC_F32, 0}, {"float64", LRC_F64, 0}}}};

static uint64_t codec_digest(size_t i)
{
    uint64_t digest = 0;
    double h[LRC_MAX_HYPERS] = {0};
    const char *hypers_of_rule = lrc_rules[codecs[i].rule].hypers;
    h[position(hypers_of_rule, "lr", 2)] = 1;
    if (codecs[i].state_dtype != LRC_REAL && codecs[i].rule == LRC_SGD)
        h[position(hypers_of_rule, "momentum", 8)] = 1;
    for (int k = 0; k < 2 && codecs[i].storage[k].name; k++)
        for (int rounding = LRC_NEAREST; rounding <= LRC_STOCHASTIC; rounding++) {
            const job j = {.rule = codecs[i].rule,
                           .dtype = codecs[i].storage[k].dtype,
                           .h = h,
                           .name = codecs[i].name,
                           .storage = &codecs[i].storage[k],
                           .state_dtype = codecs[i].state_dtype,
                           .rounding = rounding};
            digest = digest_word(digest, run_everywhere(run_codec, &j));
        }
    return digest;
}

void print_codecs(void)
{
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        printf("codec %s %016llx\n", codecs[i].name, (unsigned long long)codec_digest(i));
}
