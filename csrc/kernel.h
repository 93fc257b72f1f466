/* What a kernel may use. Every file that includes this is compiled once for each real type and
 * instruction set, with REAL_BITS, ISA and (for a rule) THIS_RULE given by the build; this is the
 * only place that asks which. Nothing but + - * / sqrt, comparison and select may touch a number,
 * products of three are parenthesised, constants are cast to real: then every build rounds alike. */
#ifndef LRC_KERNEL_H
#define LRC_KERNEL_H

#include "engine.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float expressions must be rounded to float");

#define PASTE_(a, b, c) lrc_##a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)
#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

#if REAL_BITS == 32
typedef float real;
#define REAL_DTYPE LRC_F32
#define SQRT sqrtf
#define ABS fabsf
#define NAME(x) PASTE(x, f32, ISA)
#else
typedef double real;
#define REAL_DTYPE LRC_F64
#define SQRT sqrt
#define ABS fabs
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

/* The cube root of x >= 0, within 3 ulp, as x r^2 with two steps of Householder's method towards
 * r = x^(-1/3). The first r is a number whose bits are a constant minus a third of those of x (of
 * double the upper half; divided by 3 so that it can be done in vectors): then |1 - x r^3| < 0.103,
 * and after the first step < 5e-5. */
static inline real cube_root(real x)
{
#if REAL_BITS == 32
    const real tiny = 0x1p-126f, up = 0x1p24f, down = 0x1p-8f;
    uint32_t bits;
#else
    const real tiny = 0x1p-1022, up = 0x1p54, down = 0x1p-18;
    uint64_t bits;
#endif
    real y = x < tiny ? x * up : x, r;
    memcpy(&bits, &y, sizeof bits);
#if REAL_BITS == 32
    bits = 0x54a1f600u - bits / 3;
#else
    bits = (0x553ee960u - ((bits >> 32) * 0xaaaaaaabu >> 33)) << 32;
#endif
    memcpy(&r, &bits, sizeof r);
    real e = 1 - (y * r) * (r * r);
    r = r + r * (e * (real)(1.0 / 3) + (e * e) * ((real)(2.0 / 9) + e * (real)(14.0 / 81)));
    e = 1 - (y * r) * (r * r);
#if REAL_BITS == 32
    r = r + r * (e * (real)(1.0 / 3));
#else
    r = r + r * (e * (real)(1.0 / 3) + (e * e) * ((real)(2.0 / 9) + e * (real)(14.0 / 81)));
#endif
    real root = (y * r) * r;
    return x < tiny ? root * down : root;
}

/* struct <rule>_state, <rule>_hyper and <rule>_scalars from the table; in a rule's file state_t,
 * hyper_t, scalars_t. */
typedef real *array;
#define STATE(...)         \
    {                      \
        array __VA_ARGS__; \
    }
#define NUMBERS(...)        \
    {                       \
        double __VA_ARGS__; \
    }
#define NO_STATE STATE(none)
#define HYPER NUMBERS
#define ELEMENT NUMBERS(none)
#define TENSOR(sums, ...) NUMBERS(__VA_ARGS__)
#define GROUP(sums, ...) NUMBERS(__VA_ARGS__)
#define FACTORED(sums, ...) NUMBERS(__VA_ARGS__)
#define ROW NUMBERS(none)
#define MATRIX(...) NUMBERS(none)
#define RULE(name, NAME, STATES, HYPERS, notes, decay, SCALARS)                           \
    struct name##_state STATES;                                                           \
    struct name##_hyper HYPERS;                                                           \
    struct name##_scalars SCALARS;                                                        \
    enum { name##_decoupled = LRC_##decay == LRC_DECOUPLED };                             \
    _Static_assert(sizeof(struct name##_state) <= LRC_MAX_STATES * sizeof(array) &&       \
                       sizeof(struct name##_hyper) <= LRC_MAX_HYPERS * sizeof(double) &&  \
                       sizeof(struct name##_scalars) <= LRC_MAX_SCALARS * sizeof(double), \
                   "the row of " #name " is longer than lrcore.h allows");
#include "rules.def"
#undef RULE
#undef FACTORED
#undef ROW
#undef MATRIX
#undef GROUP
#undef TENSOR
#undef ELEMENT

/* <rule>_sums, and whether there are scalars. */
#define ELEMENT 0, LRC_ELEMENT
#define TENSOR(sums, ...) sums, LRC_TENSOR
#define GROUP(sums, ...) sums, LRC_GROUP
#define FACTORED(sums, ...) sums, LRC_FACTORED
#define ROW 0, LRC_ROW
#define MATRIX(...) 0, LRC_MATRIX
#define SUMS_OF(name, ...) SUMS_OF_(name, __VA_ARGS__)
#define SUMS_OF_(name, sums, scope)                    \
    enum { name##_sums = sums, name##_scope = scope }; \
    _Static_assert(sums <= LRC_MAX_SUMS, "the row of " #name " has too many sums");
#define RULE(name, NAME, STATES, HYPERS, notes, decay, SCOPE) SUMS_OF(name, SCOPE)
#include "rules.def"
#undef RULE
#undef FACTORED
#undef ROW
#undef MATRIX
#undef GROUP
#undef TENSOR
#undef ELEMENT
#undef HYPER
#undef NO_STATE
#undef STATE

/* What decoupled decay leaves of a parameter: a rule whose row says DECOUPLED multiplies by it in its
 * own loop, since a pass of its own over p costs 8 % in the cache. 1 for other rules. */
#define KEEP(h) (CONCAT(THIS_RULE, _decoupled) ? 1 - (h)->lr * (h)->weight_decay : 1.0)
/* The same for a rule whose row says EITHER. */
#define KEEP_IF_DECOUPLED(h) \
    ((h)->decoupled_weight_decay != 0 ? 1 - (h)->lr * (h)->weight_decay : 1.0)

/* What a rule whose scope is ROW has left for each row, spread over the elements of an update. */
#define OF_ROW(state) (((const array *)(state))[LRC_MAX_STATES])
/* Whether a state that a rule of scope FACTORED keeps as two factors is replaced by the product of what
 * share() made of them. Then it has moved already, and is not update's to write. */
#define IS_PRODUCT(state) (OF_ROW(state) != NULL)

/* A rule is two functions, and up to two more where its row has a scope.
 *
 * constants  once a step: hyper-parameters, step number t = 1, 2, ... and the rule's scalars -> its
 *            struct constants, made of at most LRC_MAX_CONSTANTS reals. Computed in double, cast once.
 * update     a loop over n elements of p, g and the state arrays.
 * estimate   sets the scalars once a step, before the constants that update() is given; those that
 *            measure() is given still follow from the scalars of the step before.
 * measure    what the rule's sums are made of: sum k is over a[i] b[i] of factors[k], where a and b are
 *            any of its arrays, or the row room[k] filled here; b NULL: over a[i]; both NULL: 0. The
 *            pipeline multiplies and adds them up in double.
 * rows       where the scope is ROW, before update: a loop over n rows that sets the states of one
 *            number a row ("s/") from `mean`, that of the squares of each row's gradient. What it
 *            leaves there is what update() finds at OF_ROW(state).
 * follow     where the scope is FACTORED, before measure: a loop over n numbers of a factor, which moves
 *            them as update moves the state of an element, with `mean`, the mean of the squares of the
 *            gradient's row or column, in the place of its square.
 * share      then, of each matrix: a loop over n numbers of a factor, which leaves in `share` what it has
 *            of the product. `mean` is that of the factor of rows; NULL: it is the one of columns.
 * prepare    of a rule with matrices, whose update is for what is none: makes of the n elements of a
 *            gradient in d a direction. The pipeline's step is lr times what the products leave of it.
 */
typedef struct {
    const real *a, *b;
} factors_t;

typedef struct {
    void (*estimate)(const void *hyper, const lrc_seen *seen, void *scalars);
    void (*constants)(const void *hyper, int64_t t, const void *scalars, void *constants);
    void (*update)(size_t n, real *restrict p, const real *restrict g, const void *state,
                   const void *constants);
    void (*measure)(size_t n, const real *restrict p, const real *restrict g, const void *state,
                    const void *constants, factors_t *factors, real (*room)[LRC_BLOCK]);
    void (*rows)(size_t n, real *restrict mean, const void *state, const void *constants);
    void (*follow)(size_t n, real *restrict factor, const real *restrict mean,
                   const void *constants);
    void (*share)(size_t n, real *restrict share, const real *restrict factor, const real *mean,
                  const void *constants);
    void (*prepare)(size_t n, real *restrict d, const void *state, const void *constants);
} kernel;

#ifdef THIS_RULE
typedef struct CONCAT(THIS_RULE, _hyper) hyper_t;
typedef struct CONCAT(THIS_RULE, _state) state_t;
typedef struct CONCAT(THIS_RULE, _scalars) scalars_t;
/* A rule's file ends with one of these, as its row says: KERNEL(constants, update), with a scope
 * KERNEL_WITH_SCALARS(estimate, constants, update), with sums, too,
 * KERNEL_WITH_SUMS(estimate, constants, update, measure), with the scope ROW
 * KERNEL_WITH_ROWS(constants, update, rows), with the scope FACTORED
 * KERNEL_WITH_FACTORS(estimate, constants, update, measure, follow, share), with matrices
 * KERNEL_WITH_MATRICES(constants, update, prepare). */
#define EXPORT(...)                                                              \
    _Static_assert(sizeof(struct constants) <= LRC_MAX_CONSTANTS * sizeof(real), \
                   "a rule may have LRC_MAX_CONSTANTS constants");               \
    extern const kernel NAME(THIS_RULE);                                         \
    const kernel NAME(THIS_RULE) = {__VA_ARGS__}
#define MATCH(scopes, has_sums)                                         \
    _Static_assert((1u << CONCAT(THIS_RULE, _scope) & (scopes)) != 0 && \
                       (CONCAT(THIS_RULE, _sums) > 0) == (has_sums),    \
                   "the row's scope and sums must match the macro that ends the file")
#define IS(scope) (1u << LRC_##scope)
#define KERNEL(k, u)       \
    MATCH(IS(ELEMENT), 0); \
    EXPORT(.constants = k, .update = u)
#define KERNEL_WITH_SCALARS(e, k, u)  \
    MATCH(IS(TENSOR) | IS(GROUP), 0); \
    EXPORT(.estimate = e, .constants = k, .update = u)
#define KERNEL_WITH_SUMS(e, k, u, m)  \
    MATCH(IS(TENSOR) | IS(GROUP), 1); \
    EXPORT(.estimate = e, .constants = k, .update = u, .measure = m)
#define KERNEL_WITH_ROWS(k, u, r) \
    MATCH(IS(ROW), 0);            \
    EXPORT(.constants = k, .update = u, .rows = r)
#define KERNEL_WITH_FACTORS(e, k, u, m, f, s) \
    MATCH(IS(FACTORED), 1);                   \
    EXPORT(.estimate = e, .constants = k, .update = u, .measure = m, .follow = f, .share = s)
#define KERNEL_WITH_MATRICES(k, u, p) \
    MATCH(IS(MATRIX), 0);             \
    EXPORT(.constants = k, .update = u, .prepare = p)
#endif

#endif
