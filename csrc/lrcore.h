/* lrcore: the step from gradient to new parameters.
 *
 * The public C interface. Plain C11, no Python. The caller owns every array; the library keeps
 * nothing but what lrc_plan_new() allocates. Nothing here prints, and nothing but lrc_plan_new()
 * allocates or can fail; the first step that is large enough starts the threads. What is passed in is taken at its word: lengths, dtypes and
 * hyper-parameters must be what this header says they are.
 *
 * A program:
 *
 *     lrc_schedule lr = {.kind = LRC_COSINE, .arg = {1e-3, 10000, 0}, .warmup = 500};
 *     lrc_tensor w = {.p = weights, .n = n, .dtype = LRC_F32, .state = {m, v}};
 *     lrc_group g = {.h = {1e-3, 0.9, 0.999, 1e-8, 0.01, 0}, .schedule = {&lr}};
 *     lrc_plan *plan = lrc_plan_new(LRC_ADAMW, 1, &w, 1, &g);
 *     for (;;) { w.g = gradient(); lrc_step(plan); }
 *     lrc_plan_free(plan);
 */
#ifndef LRCORE_H
#define LRCORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ schedules */

enum {
#define SCHEDULE(name, NAME, ...) LRC_##NAME,
#include "schedules.def"
#undef SCHEDULE
    LRC_SCHEDULES
};

enum { LRC_SCHEDULE_ARGS = 8 };

/* A row of schedules.def as text: names separated by ", ". */
typedef struct {
    const char *name, *args, *lists;
} lrc_schedule_info;

extern const lrc_schedule_info lrc_schedules[LRC_SCHEDULES];

/* A value as a pure function of the update index t = 0, 1, 2, ... 2^53.
 * `arg` holds the numbers in the order of the row in schedules.def. `list` holds `count` positions
 * in increasing order (milestones, boundaries, positions), then the values of a piecewise schedule:
 * one more than boundaries, as many as positions. `part` are the `parts` schedules that one is made
 * of: one (scale, clip, shift, every, repeat, plateau), two (sum, product, minimum, maximum) or
 * count + 1 (join). The first `warmup` updates rise from `warmup_start`, in a shape that is one of
 * linear (0), cosine, 1-sqrt, 1-square and logarithmic; the schedule proper begins at t = warmup. */
typedef struct lrc_schedule {
    int kind;
    int count;
    int parts;
    int warmup_shape;
    double warmup, warmup_start;
    double arg[LRC_SCHEDULE_ARGS];
    const double *list;
    const struct lrc_schedule *const *part;
    double (*call)(int64_t t, void *user); /* kind LRC_LAMBDA */
    void *user;
} lrc_schedule;

double lrc_schedule_at(const lrc_schedule *s, int64_t t);
void lrc_schedule_values(const lrc_schedule *s, size_t n, const int64_t *t, double *out);

/* The functions that schedules and bias corrections are made of: within 1 ulp, and the same bits
 * on every platform. */
double lrc_exp(double x);
double lrc_log(double x);
double lrc_pow(double x, double y);
double lrc_cospi(double x);

/* ---------------------------------------------------------------------- rules */

enum {
#define RULE(name, NAME, ...) LRC_##NAME,
#include "rules.def"
#undef RULE
    LRC_RULES
};

enum { LRC_MAX_STATES = 6, LRC_MAX_HYPERS = 16, LRC_MAX_SCALARS = 6, LRC_MAX_DIMS = 64 };

typedef enum { LRC_COUPLED, LRC_DECOUPLED, LRC_EITHER, LRC_INSIDE } lrc_decay;
typedef enum { LRC_ELEMENT, LRC_TENSOR, LRC_GROUP, LRC_ROW, LRC_MATRIX, LRC_FACTORED } lrc_scope;

/* A row of rules.def as text: names separated by ", ". `notes` says of a state that it
 * exists only where a hyper-parameter is not zero ("vmax:amsgrad"), what it or a scalar starts at
 * ("s=initial_accumulator_value", "x0=p" at the parameter; otherwise zero), that it is never negative
 * ("v+"), that it must not be kept in 8 bits ("vmax!"), that it is one real for each row of the
 * parameter ("s/"), or that only tensors that are matrices to a rule of scope LRC_MATRIX have it
 * ("buf#") or only the others ("v~"), or that tensors with a height have it, one real for each row of
 * each matrix ("row_var-") or each column ("col_var|"), or that only the others do ("variance*"); and of the rule
 * that a gradient may be of some rows alone
 * ("rows"). A hyper-parameter that may be left out is NaN where it is. */
typedef struct {
    const char *name, *states, *hypers, *notes;
    int decay; /* lrc_decay: what the pipeline does with weight_decay */
    int scope; /* lrc_scope: what keeps the scalars; a row states; or that there are matrices */
    int sums;  /* taken by a sweep of their own before the update; 0: one sweep */
    const char *scalars;  /* numbers that the rule keeps from step to step */
    const char *matrices; /* square ones that it keeps of each matrix: left of it, right of it */
} lrc_rule_info;

extern const lrc_rule_info lrc_rules[LRC_RULES];

/* How numbers are stored. LRC_REAL is the format of the arithmetic: float64 where the parameter is
 * float64, otherwise float32. LRC_Q8 is 8 bits an element and one byte of scale for each
 * LRC_Q8_BLOCK of them; only state may have it. */
typedef enum { LRC_REAL, LRC_F32, LRC_F64, LRC_F16, LRC_BF16, LRC_Q8 } lrc_dtype;
typedef enum { LRC_RAISE, LRC_SKIP, LRC_IGNORE } lrc_nonfinite;
typedef enum { LRC_NEAREST, LRC_STOCHASTIC } lrc_rounding;
typedef enum { LRC_ALL, LRC_CAUTIOUS, LRC_GRAMS } lrc_select;
typedef enum { LRC_NO_MASTER, LRC_MASTER, LRC_SPLIT } lrc_master;
enum { LRC_SLOW, LRC_EMA, LRC_SWA, LRC_AVERAGES };
enum { LRC_Q8_BLOCK = 128 };
typedef enum { LRC_ENTER, LRC_LEAVE } lrc_phase;

/* One parameter array and what belongs to it. All arrays are contiguous and in p's order; those
 * called real are float64 where dtype is LRC_F64, otherwise float32. What is NULL or 0 is off.
 * The gradient g is n elements of g_dtype (not LRC_Q8), contiguous in p's order where g_ndim is 0,
 * and of any shape and byte strides otherwise. g == NULL leaves the tensor as it is. */
typedef struct {
    void *p;
    const void *g; /* written to where the plan has zero_grads */
    int64_t n;
    int64_t t; /* updates this tensor has had */
    int dtype; /* of p: LRC_F32, LRC_F64, LRC_F16 or LRC_BF16 */
    int group;
    int g_dtype, g_ndim;
    int state_dtype; /* of all its states: LRC_REAL, LRC_F32, LRC_BF16 or LRC_Q8 */
    int master_kind; /* lrc_master */
    int no_decay;    /* 1: as if weight_decay were 0 */
    double lr_scale; /* times lr; 0: 1 */
    void *state[LRC_MAX_STATES];
    uint8_t *scale[LRC_MAX_STATES]; /* beside states of LRC_Q8: a byte for each LRC_Q8_BLOCK */
    const int64_t *g_shape, *g_stride;
    void *master;                /* float32 copy of a narrow p; or uint16, its lower halves */
    void *average[LRC_AVERAGES]; /* real: Lookahead's slow parameters, EMA, running mean */
    void *sum;                   /* real: what lrc_accumulate() has added up */
    int64_t summed;              /* gradients in sum */
    void *trace;                 /* real: the previous step, as far as it is kept; see lrc_stats */
    int64_t units;               /* agc: output units; 0: 1 */
    int unit_columns; /* agc: 1: element i belongs to unit i % units; 0: to i / (n / units) */
    int64_t row;      /* elements of a row: n over the length of the first axis; 0: 1 */
    int64_t height;   /* with LRC_FACTORED: the lengths of the last two axes, */
    int64_t width;    /* 0: there are no two */
    int64_t n_rows;   /* these three and rows: see lrc_name_rows() */
    const int64_t *rows, *first, *place;
    double scalar[LRC_MAX_SCALARS]; /* of a rule whose scope is LRC_TENSOR or LRC_FACTORED */
    void *work; /* real: a matrix to a rule whose scope is LRC_MATRIX; NULL: it is none */
} lrc_tensor;

/* Tensors that share hyper-parameters: h in the order of the rule's row. Where schedule[i] is not
 * NULL it supplies h[i] at every step. */
typedef struct {
    double h[LRC_MAX_HYPERS];
    const lrc_schedule *schedule[LRC_MAX_HYPERS];
    double clip_value; /* 0: off */
    const lrc_schedule *clip_value_schedule;
    double clip_norm; /* of this group alone; 0: it belongs to the plan's */
    const lrc_schedule *clip_norm_schedule;
    double agc, agc_eps; /* clipping by output unit (agc 0: off); see lrc_plan_agc() */
    int maximize;
    int select;                     /* lrc_select: which elements of a step are made */
    int rounding;                   /* lrc_rounding, of narrow parameters and state */
    double grad_norm;               /* of the last step, where clip_norm was on */
    double scalar[LRC_MAX_SCALARS]; /* of a rule whose scope is LRC_GROUP */
} lrc_group;

/* What a step did, a row a tensor: sums in the fixed order, over strips of 1024 elements in real and
 * over strips in double. Those marked with * are over every trace_every-th chunk of 8192 elements
 * only, whose step is kept in x->trace until the next one. The cosine of gradient and previous step is
 * dot / sqrt(dot_grad2 trace2), with the sign of divisor; the gradient's norm is
 * sqrt(grad2) / |divisor|, and the change of the loss that it predicts of this step slope / divisor.
 * A tensor without a gradient has a row of zeros. */
typedef struct {
    double grad2;     /* of the squares of the gradient as given */
    double param2;    /* of the parameter after the step */
    double step2;     /* * of the step */
    double dot;       /* * of gradient times previous step, */
    double dot_grad2; /* * with the squares of both */
    double trace2;    /* * */
    double slope;     /* * of gradient times step */
    double nonfinite; /* elements of the gradient */
    double lost;      /* * elements that stayed as they were though their gradient was not 0 */
    double clip;      /* factor of clip_norm */
    double divisor;   /* loss scale and micro-batches; negative where the group maximizes */
} lrc_stats;

/* The same of all tensors together that had a gradient, as 2-norms and shares; NaN where there was
 * none. The gradient is as the loss has it: unscaled and, with maximize, with its sign turned. */
typedef struct {
    double grad_norm;
    double step_norm;
    double param_norm;
    double cos;   /* of gradient and previous step; NaN without one */
    double slope; /* gradient times step: the change of the loss that it predicts */
    double lost;  /* share of the elements */
} lrc_totals;

/* What a step works on. Between steps the caller may change hyper-parameters, schedules, options,
 * t and the gradients (g, g_dtype, g_ndim, g_shape, g_stride); not how many tensors and groups there
 * are, nor a tensor's arrays, n, dtypes and group. */
typedef struct lrc_plan {
    int rule;
    int64_t n_tensors;
    lrc_tensor *tensors;
    int64_t n_groups;
    lrc_group *groups;
    double clip_norm; /* over all groups that have none of their own; 0: off */
    const lrc_schedule *clip_norm_schedule;
    int nonfinite;
    int zero_grads;    /* 1: a step that is made or skipped leaves gradients of zero */
    double loss_scale; /* gradients are divided by it; 0: 1 */
    double loss;       /* at the parameters, for rules that use it */
    /* The products of a rule whose scope is LRC_MATRIX: called twice a step, on the caller's thread,
     * with the work of each tensor that has one and a gradient: LRC_ENTER with the gradient, after
     * which the rule makes a direction of it; LRC_LEAVE with that, of which the step is lr times what
     * is left there. Where it returns 0 no step is made; on leaving, the states of matrices have
     * moved by then. NULL: nothing is done. */
    int (*matrices)(struct lrc_plan *plan, int phase, void *user);
    void *user;
    uint64_t seed;     /* of stochastic rounding */
    int64_t lookahead; /* every so many updates; 0: off */
    double lookahead_alpha, ema_decay;
    int ema_warmup;               /* 1: decay at most (1 + k) / (10 + k) at the k-th update */
    int64_t swa_start, swa_every; /* from this update on, every so many; every 0: off */
    lrc_stats *stats;             /* n_tensors rows; NULL: off */
    int64_t trace_every;
    int64_t micro;      /* calls of lrc_accumulate() that wait for a step */
    int64_t t;          /* updates made */
    double grad_norm;   /* of the last step, where clip_norm was on */
    int64_t bad_tensor; /* after a refused step: the first tensor with a non-finite gradient */
    struct lrc_work *work;
} lrc_plan;

/* NULL when there is no memory. The arrays stay the caller's and must outlive the plan. */
lrc_plan *lrc_plan_new(int rule, int64_t n_tensors, lrc_tensor *tensors, int64_t n_groups,
                       lrc_group *groups);
void lrc_plan_free(lrc_plan *plan);

/* lrc_step = lrc_refresh + lrc_update. refresh puts the schedules' values for update plan->t into
 * h; update makes the step and returns 1, or returns 0 with nothing changed where a gradient is not
 * finite and plan->nonfinite is not LRC_IGNORE, or -1 where plan->matrices returned 0. */
void lrc_refresh(lrc_plan *plan);
int lrc_update(lrc_plan *plan);
int lrc_step(lrc_plan *plan);

/* What plan->stats says of the last step that was measured. It may be set to NULL and back between
 * steps, to measure some of them; dot and trace2 are then of the step that was measured before. */
void lrc_total(const lrc_plan *plan, lrc_totals *out);

/* The hyper-parameters that a tensor is updated with, LRC_MAX_HYPERS of them: its group's, lr times
 * lr_scale, without decay where it has none, and for a tensor that is no matrix to a rule of scope
 * LRC_MATRIX adamw_lr (unless NaN) and adamw_weight_decay, where there are such, in place of lr and
 * weight_decay. */
void lrc_hypers(const lrc_plan *plan, const lrc_tensor *x, double *h);

/* Adds the gradients of a micro-batch to the tensors' sums. The next update uses their mean over the
 * calls in place of g, and starts anew; lrc_drop() starts anew without one. */
void lrc_accumulate(lrc_plan *plan);
void lrc_drop(lrc_plan *plan);

/* Lets the gradient be of some rows alone: g is then n rows, in order, and row i of it belongs to the
 * row indices[i] of the tensor; those of one index are added up in the order of i, in real. The update
 * is the one that a tensor of the named rows alone would get: all others stay as they are, with their
 * state, and cost nothing. Needs a rule whose notes say "rows", and room for 4 n numbers, which, with
 * indices, must stay until the update is made. A plan with such gradients has no averages, stats,
 * zero_grads, lrc_accumulate(), agc or states of LRC_Q8. `height` is the length of the tensor's first
 * axis. Returns -1, or the first i whose index is not in [0, height), and then names none.
 * x->rows = NULL makes g a gradient of all rows again. */
int64_t lrc_name_rows(lrc_tensor *x, int64_t height, int64_t n, const int64_t *indices,
                      int64_t *room);

/* Room for agc. lrc_plan_new() makes it where a group has agc already; call this where it is switched
 * on later. 0 when there is no memory. */
int lrc_plan_agc(lrc_plan *plan);

/* The same arrays, sweeps, chunks and threads with additions in place of the rule: the memory limit
 * that a rule is measured against. Values stay as they are, but for signs
 * of zeros, where gradients are finite. */
void lrc_roofline(lrc_plan *plan);

/* ------------------------------------------------- instruction sets and threads */

int lrc_isa_count(void);         /* those this machine runs, best first */
const char *lrc_isa_name(int i); /* NULL past the end */
const char *lrc_get_isa(void);
int lrc_set_isa(const char *name); /* 0 where this machine does not run it */

int lrc_get_num_threads(void);
void lrc_set_num_threads(int n); /* n >= 1 */

/* Steps over fewer elements run on the caller's thread: waking another, or waiting for one that the
 * host's own threads keep from a core, would cost more than it saves. 98304 unless set. */
int64_t lrc_get_parallel_from(void);
void lrc_set_parallel_from(int64_t elements);

/* Runs task(context, i) for i in 0 .. n-1, in any order, and returns when all are done. A host
 * with a pool of its own supplies it here; NULL restores the library's. */
typedef void lrc_parallel_for(size_t n, void (*task)(void *context, size_t i), void *context);
void lrc_set_parallel_for(lrc_parallel_for *host);

#ifdef __cplusplus
}
#endif
#endif
