/* Sums in a fixed order: inside a chunk element i goes to lane i mod LANES, the lanes are added as
 * a tree, and whoever adds chunks does it in their order. Neither threads, blocks nor the width of
 * a vector register show in the result. */
#ifndef LRC_REDUCE_H
#define LRC_REDUCE_H

#include "kernel.h"

typedef struct {
    double lane[LRC_LANES];
} lrc_lanes;

/* Adds the terms a[i] b[i], in double; b NULL: a[i]. */
void NAME(sum)(size_t n, const real *a, const real *b, lrc_lanes *s);
/* A cheaper sum, for statistics: over a strip of LRC_STRIP elements in real, over strips in double. */
void NAME(strip)(size_t n, const real *a, const real *b, lrc_lanes *s);
/* Three at once, those of aa, ab and cc: the same bits in less time, since their lanes need not wait
 * for each other. */
void NAME(strips)(size_t n, const real *a, const real *b, const real *c, lrc_lanes *aa,
                  lrc_lanes *ab, lrc_lanes *cc);

/* The sum of the squares of a whole row at once; few() of fewer than LANES elements. */
double NAME(squares)(size_t n, const real *a);
double NAME(few)(size_t n, const real *a);

double NAME(total)(const lrc_lanes *s);
int NAME(finite)(size_t n, const real *x);

#endif
