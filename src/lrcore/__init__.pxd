# The C interface, for `cimport lrcore`. See include/lrcore.h for what each name means.
from libc.stdint cimport int64_t

cdef extern from "lrcore.h" nogil:
    enum:
        LRC_SCHEDULES
        LRC_SCHEDULE_ARGS
        LRC_RULES
        LRC_MAX_STATES
        LRC_MAX_HYPERS
        LRC_MAX_DIMS

    ctypedef struct lrc_schedule_info:
        const char *name
        const char *args
        const char *lists

    const lrc_schedule_info *lrc_schedules

    ctypedef struct lrc_schedule:
        int kind
        int count
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
        int sums

    const lrc_rule_info *lrc_rules

    enum:
        LRC_F32
        LRC_F64
        LRC_F16
    enum:
        LRC_RAISE
        LRC_SKIP
        LRC_IGNORE
    enum:
        LRC_COUPLED
        LRC_DECOUPLED
        LRC_INSIDE

    ctypedef struct lrc_tensor:
        void *p
        void **state
        int64_t n
        int64_t t
        int dtype
        int group
        const void *g
        int g_dtype
        int g_ndim
        const int64_t *g_shape
        const int64_t *g_stride

    ctypedef struct lrc_group:
        double *h
        const lrc_schedule **schedule
        double clip_value
        const lrc_schedule *clip_value_schedule
        int maximize

    ctypedef struct lrc_plan:
        int rule
        int64_t n_tensors
        lrc_tensor *tensors
        int64_t n_groups
        lrc_group *groups
        double clip_norm
        const lrc_schedule *clip_norm_schedule
        int nonfinite
        int64_t t
        double grad_norm
        int64_t bad_tensor

    lrc_plan *lrc_plan_new(int rule, int64_t n_tensors, lrc_tensor *tensors, int64_t n_groups,
                           lrc_group *groups)
    void lrc_plan_free(lrc_plan *plan)
    void lrc_refresh(lrc_plan *plan)
    int lrc_update(lrc_plan *plan)
    int lrc_step(lrc_plan *plan)
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
