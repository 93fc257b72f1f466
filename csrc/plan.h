/* What a plan keeps to itself: made by plan.c, used by constants.c, sweeps.c and update.c. */
#ifndef LRC_PLAN_H
#define LRC_PLAN_H

#include "engine.h"

/* Output units of a tensor that one task of agc looks at. */
typedef struct {
    int64_t tensor, first, n;
} lrc_units;

struct lrc_work {
    int64_t n_chunks, n_tasks, n_elements; /* of the step */
    lrc_chunk *chunks;
    int64_t *first;           /* of a tensor's chunks; one more: the end */
    int64_t *tasks;           /* n_tasks + 1 first chunks */
    double *sums;             /* LRC_MAX_SUMS a chunk */
    double *seen;             /* LRC_OBSERVED a chunk, where there are statistics */
    unsigned char *bad;       /* a chunk with a non-finite gradient */
    lrc_constants *constants; /* one a tensor at most; tensors alike share */
    int64_t *slot;            /* tensor -> constants */
    int64_t *latest;          /* group x arithmetic x decay -> tensor they were made for last */
    double *clip;             /* of a group: the factor of clip_norm */
    lrc_seen *groups;         /* what the scalars of each group are estimated from */
    lrc_engines engines;      /* by lrc_arithmetic() */
    int64_t n_units;          /* agc: tasks, and for every tensor the factors of its units */
    lrc_units *units;
    void **factors;
    double *all_factors;
    int64_t n_row_tasks; /* LRC_ROW: the same for rows of the step */
    lrc_units *row_tasks;
    void **row_factors;
    double *all_row_factors;
    int64_t n_square_tasks; /* LRC_FACTORED: tasks of tiles, and the sums of every tensor */
    lrc_units *square_tasks;
    lrc_squares *squares;
    double *all_squares;
    int decay, either;         /* places in h of weight_decay and what decides on it; -1: none */
    int adamw_lr, adamw_decay; /* places of what is for tensors that are no matrices; -1: none */
    int states;                /* of the rule's row */
    unsigned positive;         /* bit j: state j is never negative */
    unsigned of_rows;          /* bit j: state j is one number a row */
    int per_row, per_column, product; /* the factors, and the state of what has none; -1: none */
    int named;                        /* the cut is for a step with gradients of named rows */
    int square, kind;                 /* what the norm or roofline sweep is asked for */
};

/* 0: float32, 1: float64. */
static inline int lrc_arithmetic(const lrc_tensor *x) { return x->dtype == LRC_F64; }

static inline int64_t lrc_chunks_of(int64_t n) { return n / LRC_CHUNK + (n % LRC_CHUNK != 0); }

/* Cuts the tensors, of each what the step's gradient is of, or with `whole` all of it. */
void lrc_cut(lrc_plan *plan, int whole);

#endif
