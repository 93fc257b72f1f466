/* Between the floors: what plan.c asks of the kernels of one (real, instruction set), and what the
 * kernels see of a plan. Internal. */
#ifndef LRC_ENGINE_H
#define LRC_ENGINE_H

#include "lrcore.h"

/* Part of the promise of bits: where a tensor is cut, and how many running sums a cut has. */
enum {
    LRC_CHUNK = 8192,
    LRC_LANES = 32,
    LRC_STRIP = 1024,
    LRC_BLOCK = LRC_STRIP, /* a multiple of LANES whose arrays fit the first cache */
    LRC_BAND = 32,         /* a matrix is cut into tiles of so many rows, a block wide */
    LRC_MAX_SUMS = 4,
    LRC_MAX_CONSTANTS = 16
};

/* Some elements of a tensor in a step; where rows are named, of these rows one after the other. */
typedef struct {
    int64_t tensor, start, n;
} lrc_chunk;

/* Of a tensor that is matrices: the sums of the squares of each row of each panel of tiles, those of
 * each column of each band of tiles; and the reals that a state is the product of. */
typedef struct {
    double *rows;
    void *columns, *row_shares, *column_shares;
} lrc_squares;

/* What a chunk needs to know of its group and step: values of the stages, then the rule's. The
 * reals are float or double, as the tensor's dtype says. */
typedef struct {
    double scale;                 /* sign, clip coefficient, loss scale; 1: off */
    double clip_value;            /* 0: off */
    double coupled;               /* g += coupled p; 0: off */
    double keep;                  /* what decoupled decay leaves of p */
    double rate;                  /* lr, which a matrix's direction is multiplied by */
    double chosen;                /* LRC_CAUTIOUS: times the elements that are made */
    double average[LRC_AVERAGES]; /* weight of p; 0: off */
    const void *unit_factors;     /* agc: a real for each unit of the tensor; NULL: off */
    const void *row_factors; /* LRC_ROW: a real for each row of the step; NULL: not known yet */
    const void *row_shares, *column_shares; /* LRC_FACTORED: of matrices; NULL: it is none */
    uint64_t seed;
    int64_t trace_every;
    int select, rounding, zero_grads;
    int finite;              /* every gradient is known to be */
    int states;              /* of the rule's row */
    unsigned positive;       /* bit j: state j is never negative */
    unsigned of_rows;        /* bit j: state j is one real a row */
    int per_row, per_column; /* LRC_FACTORED: states that are factors, */
    int product;             /* and the state of tensors that have none */
    double rule[LRC_MAX_CONSTANTS];
} lrc_constants;

typedef struct lrc_work lrc_work;

/* Sums over a chunk, in the order of lrc_stats. */
enum {
    LRC_GRAD2,
    LRC_PARAM2,
    LRC_STEP2,
    LRC_DOT,
    LRC_DOT_GRAD2,
    LRC_TRACE2,
    LRC_SLOPE,
    LRC_NONFINITE,
    LRC_LOST,
    LRC_OBSERVED
};

/* What a rule's scalars are estimated from. */
typedef struct {
    int64_t t, n; /* the number of the update; the elements that the sums are over */
    double loss;  /* what is made smaller: minus the loss where a group maximizes */
    double sum[LRC_MAX_SUMS];
    double all[LRC_MAX_SUMS]; /* with LRC_GROUP: over all groups together */
} lrc_seen;

typedef struct lrc_engine {
    void (*estimate)(int rule, const double *h, const lrc_seen *seen, double *scalars);
    void (*constants)(int rule, const double *h, int64_t t, const double *scalars,
                      lrc_constants *c);
    /* Everything that writes. `seen` takes LRC_OBSERVED sums; NULL: no statistics. */
    void (*update)(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c,
                   double *seen);
    /* How many elements LRC_CAUTIOUS would choose; writes nothing. */
    double (*trial)(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c);
    void (*measure)(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c,
                    double *sums);
    /* Sets the states that are one number a row, for `n` rows of the step from the first on, and their
     * factors, which update reads. Where rows fill blocks, update does that itself. */
    void (*rows)(int rule, const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
                 void *factors);
    /* LRC_FACTORED: the sums of the squares of `n` parts of bands from the first on; and, once all are there, the
     * factors that are states and their product's shares. */
    void (*tiles)(const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
                  const lrc_squares *s);
    void (*factor)(int rule, const lrc_tensor *x, const lrc_constants *c, const lrc_squares *s);
    /* Of a matrix: its gradient into work; and what the rule makes of that. */
    void (*gather)(const lrc_tensor *x, lrc_chunk k, const lrc_constants *c);
    void (*prepare)(int rule, const lrc_tensor *x, lrc_chunk k, const lrc_constants *c);
    /* 1 where every element of the gradient is finite; norm also takes the sum of its squares. */
    int (*finite)(const lrc_tensor *x, lrc_chunk k);
    int (*norm)(const lrc_tensor *x, lrc_chunk k, double *sum);
    /* LRC_GRAD2 and LRC_NONFINITE of a step that is refused. */
    void (*observe)(const lrc_tensor *x, lrc_chunk k, double *seen);
    void (*accumulate)(const lrc_tensor *x, lrc_chunk k);
    void (*zero)(const lrc_tensor *x, lrc_chunk k);
    /* agc's factors for `n` units from the first on. */
    void (*units)(const lrc_tensor *x, int64_t first, int64_t n, double scale, double clip,
                  double least_norm, void *factors);
    /* The memory traffic of a sweep, with additions only. */
    void (*roofline)(const lrc_tensor *x, lrc_chunk k, const lrc_constants *c, int kind);
} lrc_engine;

/* The sweeps of a step: over the gradients alone, over all that is read, and over all. */
enum { LRC_LOOK, LRC_MEASURE, LRC_WRITE };

/* How many tiles there are side by side in a matrix and one below the other, how many parts of a band
 * are looked at as one, and how many matrices there are in a tensor. */
static inline int64_t lrc_panels(const lrc_tensor *x) { return (x->width - 1) / LRC_BLOCK + 1; }

static inline int64_t lrc_parts(const lrc_tensor *x) { return (x->width - 1) / LRC_CHUNK + 1; }

static inline int64_t lrc_bands(const lrc_tensor *x) { return (x->height - 1) / LRC_BAND + 1; }

static inline int64_t lrc_matrices(const lrc_tensor *x)
{
    return x->height && x->width ? x->n / (x->height * x->width) : 0;
}

/* Elements of a row; and of all that a step's gradient is of. */
static inline int64_t lrc_row(const lrc_tensor *x) { return x->row > 1 ? x->row : 1; }

static inline int64_t lrc_extent(const lrc_tensor *x)
{
    return x->g && x->rows && x->n ? x->n_rows * lrc_row(x) : x->g ? x->n : 0;
}

/* dispatch.c: the engines of the instruction set in use, by dtype. */
typedef const lrc_engine *lrc_engines[2];
const lrc_engines *lrc_current_engines(void);

/* threads.c */
void lrc_parallel(size_t n, void (*task)(void *context, size_t i), void *context);

/* fenv.c: round to nearest, subnormals kept, nothing trapped; returns what was there before. */
uint64_t lrc_fenv_set(void);
void lrc_fenv_restore(uint64_t before);

#endif
