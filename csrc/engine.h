/* Between the floors: what plan.c asks of the kernels of one (real, instruction set), and what the
 * kernels see of a plan. Internal. */
#ifndef LRC_ENGINE_H
#define LRC_ENGINE_H

#include "lrcore.h"

/* Part of the promise of bits: where a tensor is cut, and how many running sums a cut has. */
enum {
    LRC_CHUNK = 8192,
    LRC_LANES = 32,
    LRC_BLOCK = 1024, /* not part of it: a multiple of LANES whose arrays fit the first cache */
    LRC_MAX_SUMS = 4,
    LRC_MAX_CONSTANTS = 16
};

typedef struct {
    int64_t tensor, start, n;
} lrc_chunk;

/* What a chunk needs to know of its group and step: values of the stages, then the rule's. The
 * reals are float or double, as the tensor's dtype says. */
typedef struct {
    double scale;      /* sign and clip coefficient; 1: off */
    double clip_value; /* 0: off */
    double coupled;    /* g += coupled p; 0: off */
    double rule[LRC_MAX_CONSTANTS];
} lrc_constants;

typedef struct lrc_work lrc_work;

typedef struct lrc_engine {
    void (*constants)(int rule, const double *h, int64_t t, const double *sums, lrc_constants *c);
    void (*update)(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c);
    void (*measure)(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c,
                    double *sums);
    /* The sum of squares of the gradient; only whether it is finite where square is 0. Returns 1
     * where every element is finite. */
    int (*norm)(const lrc_tensor *x, lrc_chunk k, int square, double *sum);
    /* The memory traffic of update, or of measure, with additions only. */
    void (*roofline)(const lrc_tensor *x, lrc_chunk k, int write);
} lrc_engine;

/* dispatch.c: the engines of the instruction set in use, by dtype. */
typedef const lrc_engine *lrc_engines[2];
const lrc_engines *lrc_current_engines(void);

/* threads.c */
void lrc_parallel(size_t n, void (*task)(void *context, size_t i), void *context);

/* fenv.c: round to nearest, subnormals kept, nothing trapped; returns what was there before. */
uint64_t lrc_fenv_set(void);
void lrc_fenv_restore(uint64_t before);

#endif
