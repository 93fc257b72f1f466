/* What surrounds a rule: plain loops over a block, each in the form and order that docs/design.md
 * gives. None of them knows a rule. */
#ifndef LRC_STAGES_H
#define LRC_STAGES_H

#include "storage.h"

const real *NAME(scale)(size_t n, const real *g, real factor, real *out);
const real *NAME(clip)(size_t n, const real *g, real most, real *out);
const real *NAME(couple)(size_t n, const real *g, const real *p, real decay, real *out);

/* agc: each element times the factor of its unit. */
const real *NAME(scale_units)(const lrc_tensor *x, int64_t at, size_t n, const real *g,
                              const real *factors, real *out);

/* What a rule made of `old` is kept where it goes downhill (and `chosen` times as long), or goes the
 * gradient's way with the rule's length. `g` is zero afterwards where nothing is kept. */
size_t NAME(agreeing)(size_t n, const real *p, const real *old, const real *g, real keep);
void NAME(cautious)(size_t n, real *p, const real *old, real *g, real keep, real chosen);
void NAME(grams)(size_t n, real *p, const real *old, const real *g, real keep);

/* The step of a matrix along a direction. */
void NAME(descend)(size_t n, real *p, const real *direction, real rate, real keep);

void NAME(average)(size_t n, real *average, const real *p, real weight);

/* How many steps are 0 though the gradient is not. */
size_t NAME(lost)(size_t n, const real *step, const real *g);

#endif
