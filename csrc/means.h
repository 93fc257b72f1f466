/* States that follow from means of the squares of the gradient: of one number a row, and those that are
 * kept as two factors. What each asks of a rule is in kernel.h. */
#ifndef LRC_MEANS_H
#define LRC_MEANS_H

#include "block.h"

/* A block of whole rows, before the rule: their states in the pass that updates. */
void NAME(open_rows)(int rule, const passage *a, workbench *w, block *b);

/* The parts of an lrc_engine of these names. */
void NAME(rows)(int rule, const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
                void *factors);
void NAME(tiles)(const lrc_tensor *x, int64_t first, int64_t n, const lrc_constants *c,
                 const lrc_squares *s);
void NAME(factor)(int rule, const lrc_tensor *x, const lrc_constants *c, const lrc_squares *s);

#endif
