/* What a kernel may use. Every file that includes this is compiled once for each real type and
 * instruction set, with REAL_BITS, ISA and (for a rule) THIS_RULE given by the build; this is the
 * only place that asks which. Nothing but + - * / sqrt, comparison and select may touch a number,
 * products of three are parenthesised, constants are cast to real: then every build rounds alike. */
#ifndef LRC_KERNEL_H
#define LRC_KERNEL_H

#include "engine.h"

#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float expressions must be rounded to float");

#define PASTE_(a, b, c) lrc_##a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)
#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

#if REAL_BITS == 32
typedef float real;
#define REAL_DTYPE LRC_F32
#define SQRT sqrtf
#define NAME(x) PASTE(x, f32, ISA)
#else
typedef double real;
#define REAL_DTYPE LRC_F64
#define SQRT sqrt
#define NAME(x) PASTE(x, f64, ISA)
#endif

/* EACH (i, n) { ... }: the iterations are independent of each other. */
#if defined(__clang__)
#define EACH(i, n) _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; i < (n); i++)
#elif defined(_MSC_VER)
#define EACH(i, n) __pragma(loop(ivdep)) for (size_t i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC ivdep") for (size_t i = 0; i < (n); i++)
#endif

/* The sign of x: zero of its own sign for a zero, NaN for NaN. */
#define SIGN(x) ((x) > 0 ? (real)1 : (x) < 0 ? (real)-1 : (x))

/* struct <rule>_state and struct <rule>_hyper from the table; in a rule's file state_t, hyper_t. */
typedef real *array;
#define STATE(...)         \
    {                      \
        array __VA_ARGS__; \
    }
#define HYPER(...)          \
    {                       \
        double __VA_ARGS__; \
    }
#define RULE(name, NAME, STATES, HYPERS, notes, decay, sums)                             \
    struct name##_state STATES;                                                          \
    struct name##_hyper HYPERS;                                                          \
    enum { name##_sums = sums, name##_decoupled = LRC_##decay == LRC_DECOUPLED };        \
    _Static_assert(sizeof(struct name##_state) <= LRC_MAX_STATES * sizeof(array) &&      \
                       sizeof(struct name##_hyper) <= LRC_MAX_HYPERS * sizeof(double) && \
                       sums <= LRC_MAX_SUMS,                                             \
                   "the row of " #name " is longer than lrcore.h and engine.h allow");
#include "rules.def"
#undef RULE
#undef HYPER
#undef STATE

/* What decoupled decay leaves of a parameter: a rule whose row says DECOUPLED multiplies by it in its
 * own loop, since a pass of its own over p costs 8 % in the cache. 1 for other rules. */
#define KEEP(h) (CONCAT(THIS_RULE, _decoupled) ? 1 - (h)->lr * (h)->weight_decay : 1.0)

/* A rule is at most three functions.
 *
 * constants  once a step: hyper-parameters, step number t = 1, 2, ... and the sums of a rule that
 *            measures (NULL before they are known) -> the rule's struct constants, made of at most
 *            LRC_MAX_CONSTANTS reals. Computed in double, cast once.
 * update     a loop over n elements of p, g and the state arrays.
 * measure    what the rule's sums are made of: sum k is over a[i] b[i] of factors[k], where a and b are
 *            any of its arrays, or the row room[k] filled here. The pipeline multiplies and adds them
 *            up in double. */
typedef struct {
    const real *a, *b;
} factors_t;

typedef struct {
    void (*constants)(const void *hyper, int64_t t, const double *sums, void *constants);
    void (*update)(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *constants);
    void (*measure)(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *constants, factors_t *factors, real (*room)[LRC_BLOCK]);
} kernel;

#ifdef THIS_RULE
typedef struct CONCAT(THIS_RULE, _hyper) hyper_t;
typedef struct CONCAT(THIS_RULE, _state) state_t;
/* A rule's file ends with one of these: KERNEL(constants, update) or, where its row takes sums,
 * KERNEL_WITH_SUMS(constants, update, measure). */
#define EXPORT(...)                                                              \
    _Static_assert(sizeof(struct constants) <= LRC_MAX_CONSTANTS * sizeof(real), \
                   "a rule may have LRC_MAX_CONSTANTS constants");               \
    extern const kernel NAME(THIS_RULE);                                         \
    const kernel NAME(THIS_RULE) = {__VA_ARGS__}
#define KERNEL(constants, update)                                                     \
    _Static_assert(CONCAT(THIS_RULE, _sums) == 0,                                     \
                   "the row takes sums, so the file must end with KERNEL_WITH_SUMS"); \
    EXPORT(constants, update, NULL)
#define KERNEL_WITH_SUMS(constants, update, measure)                       \
    _Static_assert(CONCAT(THIS_RULE, _sums) > 0, "the row takes no sums"); \
    EXPORT(constants, update, measure)
#endif

#endif
