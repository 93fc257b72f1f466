# The C interface, for `cimport lrcore`. See include/lrcore.h for what each name means.
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "lrcore.h" nogil:
    enum:
        LRC_SCHEDULES
        LRC_SCHEDULE_ARGS
        LRC_RULES
        LRC_MAX_STATES
        LRC_MAX_HYPERS
        LRC_MAX_SCALARS
        LRC_MAX_DIMS

    ctypedef struct lrc_schedule_info:
        const char *name
        const char *args
        const char *lists

    const lrc_schedule_info *lrc_schedules

    ctypedef struct lrc_schedule:
        int kind
        int count
        int parts
        int warmup_shape
        double warmup
        double warmup_start
        double *arg
        const double *list
        const lrc_schedule **part
        double (*call)(int64_t t, void *user) noexcept
        void *user

    double lrc_schedule_at(const lrc_schedule *s, int64_t t)
    void lrc_schedule_values(const lrc_schedule *s, size_t n, const int64_t *t, double *out)
    double lrc_exp(double x)
    double lrc_log(double x)
    double lrc_pow(double x, double y)
    double lrc_cospi(double x)

    ctypedef struct lrc_rule_info:
        const char *name
        const char *states
        const char *hypers
        const char *notes
        int decay
        int scope
        int sums
        const char *scalars
        const char *matrices

    const lrc_rule_info *lrc_rules

    enum:
        LRC_REAL
        LRC_F32
        LRC_F64
        LRC_F16
        LRC_BF16
        LRC_Q8
        LRC_Q8_BLOCK
    enum:
        LRC_RAISE
        LRC_SKIP
        LRC_IGNORE
    enum:
        LRC_NEAREST
        LRC_STOCHASTIC
    enum:
        LRC_ALL
        LRC_CAUTIOUS
        LRC_GRAMS
    enum:
        LRC_NO_MASTER
        LRC_MASTER
        LRC_SPLIT
    enum:
        LRC_SLOW
        LRC_EMA
        LRC_SWA
        LRC_AVERAGES
    enum:
        LRC_COUPLED
        LRC_DECOUPLED
        LRC_EITHER
        LRC_INSIDE
    enum:
        LRC_ELEMENT
        LRC_TENSOR
        LRC_GROUP
        LRC_ROW
        LRC_MATRIX
        LRC_FACTORED
    enum:
        LRC_ENTER
        LRC_LEAVE

    ctypedef struct lrc_tensor:
        void *p
        void **state
        uint8_t **scale
        int64_t n
        int64_t t
        int dtype
        int state_dtype
        int group
        int g_dtype
        int g_ndim
        const void *g
        const int64_t *g_shape
        const int64_t *g_stride
        void *master
        int master_kind
        void **average
        void *sum
        int64_t summed
        void *trace
        double lr_scale
        int no_decay
        int unit_columns
        int64_t units
        int64_t row
        int64_t height
        int64_t width
        int64_t n_rows
        const int64_t *rows
        const int64_t *first
        const int64_t *place
        double *scalar
        void *work

    ctypedef struct lrc_group:
        double *h
        const lrc_schedule **schedule
        double clip_value
        const lrc_schedule *clip_value_schedule
        double clip_norm
        const lrc_schedule *clip_norm_schedule
        double agc
        double agc_eps
        int maximize
        int select
        int rounding
        double grad_norm
        double *scalar

    ctypedef struct lrc_stats:
        double grad2
        double param2
        double step2
        double dot
        double dot_grad2
        double trace2
        double slope
        double nonfinite
        double lost
        double clip
        double divisor

    ctypedef struct lrc_totals:
        double grad_norm
        double step_norm
        double param_norm
        double cos
        double slope
        double lost

    ctypedef struct lrc_plan:
        int rule
        int64_t n_tensors
        lrc_tensor *tensors
        int64_t n_groups
        lrc_group *groups
        double clip_norm
        const lrc_schedule *clip_norm_schedule
        int nonfinite
        int zero_grads
        double loss_scale
        double loss
        int (*matrices)(lrc_plan *plan, int phase, void *user) noexcept
        void *user
        uint64_t seed
        int64_t lookahead
        double lookahead_alpha
        double ema_decay
        int ema_warmup
        int64_t swa_start
        int64_t swa_every
        lrc_stats *stats
        int64_t trace_every
        int64_t micro
        int64_t t
        double grad_norm
        int64_t bad_tensor

    lrc_plan *lrc_plan_new(int rule, int64_t n_tensors, lrc_tensor *tensors, int64_t n_groups,
                           lrc_group *groups)
    void lrc_plan_free(lrc_plan *plan)
    void lrc_refresh(lrc_plan *plan)
    int lrc_update(lrc_plan *plan)
    int lrc_step(lrc_plan *plan)
    void lrc_total(const lrc_plan *plan, lrc_totals *out)
    void lrc_hypers(const lrc_plan *plan, const lrc_tensor *x, double *h)
    void lrc_accumulate(lrc_plan *plan)
    void lrc_drop(lrc_plan *plan)
    int lrc_plan_agc(lrc_plan *plan)
    int64_t lrc_name_rows(lrc_tensor *x, int64_t height, int64_t n, const int64_t *indices,
                          int64_t *room)
    void lrc_roofline(lrc_plan *plan)

    int lrc_isa_count()
    const char *lrc_isa_name(int i)
    const char *lrc_get_isa()
    int lrc_set_isa(const char *name)
    int lrc_get_num_threads()
    void lrc_set_num_threads(int n)
    int64_t lrc_get_parallel_from()
    void lrc_set_parallel_from(int64_t elements)

    ctypedef void (*lrc_task)(void *context, size_t i) noexcept nogil
    ctypedef void lrc_parallel_for(size_t n, lrc_task task, void *context) noexcept nogil
    void lrc_set_parallel_for(lrc_parallel_for *host)
