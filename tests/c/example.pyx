# cython: language_level=3, boundscheck=False, wraparound=False
"""The loop of example.c in Cython, with an average and statistics: `cimport lrcore`, then plan,
step and schedule without a Python object between. Built with get_include() and get_library(), as
tests/test_native.py does."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from lrcore cimport (
    LRC_EMA, LRC_F32, lrc_group, lrc_plan, lrc_plan_free, lrc_plan_new, lrc_schedule,
    lrc_schedule_at, lrc_stats, lrc_step, lrc_tensor)

cdef extern from "lrcore.h" nogil:  # the rows of rules.def and schedules.def, in capitals
    enum:
        LRC_ADAMW
        LRC_COSINE


def fit(float[::1] w, const float[::1] target, float[::1] m, float[::1] v, float[::1] average,
        int64_t steps):
    """Move `w` to `target` in `steps` updates; return the last learning rate, and the sum of the
    squares of `w`. `average` follows."""
    cdef float[::1] grad = w.copy()
    cdef Py_ssize_t i, n = w.shape[0]
    cdef lrc_schedule lr
    cdef lrc_tensor tensor
    cdef lrc_group group
    cdef lrc_plan *plan
    cdef lrc_stats stats
    cdef double last
    memset(&lr, 0, sizeof(lr))
    memset(&tensor, 0, sizeof(tensor))
    memset(&group, 0, sizeof(group))

    lr.kind = LRC_COSINE
    lr.arg[0], lr.arg[1], lr.arg[2] = 0.05, <double>steps, 0.0  # lr, steps, end
    lr.warmup = 20
    tensor.p, tensor.g = &w[0], &grad[0]
    tensor.n = n
    tensor.dtype = tensor.g_dtype = LRC_F32
    tensor.state[0], tensor.state[1] = &m[0], &v[0]
    tensor.average[LRC_EMA] = &average[0]
    # lr (from the schedule), beta1, beta2, eps, weight_decay, amsgrad
    group.h[1], group.h[2], group.h[3], group.h[4], group.h[5] = 0.9, 0.999, 1e-8, 1e-4, 0
    group.schedule[0] = &lr

    with nogil:
        plan = lrc_plan_new(LRC_ADAMW, 1, &tensor, 1, &group)
        if plan == NULL:
            with gil:
                raise MemoryError
        plan.clip_norm = 100.0
        plan.ema_decay = 0.99
        plan.stats = &stats
        while plan.t < steps:
            for i in range(n):
                grad[i] = (1 << i % 4) * (w[i] - target[i])
            lrc_step(plan)
        last = lrc_schedule_at(&lr, steps - 1)
        lrc_plan_free(plan)
    return last, stats.param2
