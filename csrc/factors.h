/* A state that is kept as two factors: sums of squares over the rows and columns of a matrix, and the
 * product of what they have become. */
#ifndef LRC_FACTORS_H
#define LRC_FACTORS_H

#include "kernel.h"

/* Adds the squares of `count` rows of `width` elements, at most a block, to `columns`, and leaves those
 * of each row in `rows`: element i goes to lane i mod LRC_LANES, the lanes are added as a tree. Lanes
 * and columns are sums in real, of at most LRC_STRIP / LRC_LANES = LRC_BAND squares each. */
void NAME(tile)(size_t count, size_t width, const real *g, double *rows, real *columns);

/* The means over `length` numbers, at most a block of them, from sums that are in parts. */
void NAME(row_means)(size_t n, int64_t parts, int64_t stride, const double *sums, int64_t length,
                     real *mean);
void NAME(column_means)(size_t n, int64_t parts, int64_t stride, const real *sums, int64_t length,
                        real *mean);

/* The mean of `n` numbers, added up in their order. */
real NAME(mean)(size_t n, const real *x);

/* `n` elements, at most a block, of the product from `at` on. */
real *NAME(product)(const lrc_tensor *x, int64_t at, size_t n, const real *rows,
                    const real *columns, real *out);

#endif
