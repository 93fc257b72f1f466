/* Where the elements of a step come from and go to: the gradient in any layout, arrays in any format,
 * of all rows or of those that the gradient names. */
#ifndef LRC_ACCESS_H
#define LRC_ACCESS_H

#include "storage.h"

static inline int is_real(int dtype) { return dtype == LRC_REAL || dtype == REAL_DTYPE; }

/* The gradient where it is real and in order already, and can be used where it stands; or NULL. */
const real *NAME(in_place)(const lrc_tensor *x);

/* Elements at .. at + n - 1 of the gradient as reals, at most a block: in place, or in buf. Summands of
 * one row are added up in their order. */
const real *NAME(load)(const lrc_tensor *x, int64_t at, size_t n, real *buf);

/* Set to zero. */
void NAME(zero_gradient)(const lrc_tensor *x, int64_t at, size_t n);

/* Elements at .. at + n - 1 of the named rows: from an array of p's order and back, `width` bytes each. */
void NAME(collect)(const lrc_tensor *x, int64_t at, size_t n, int64_t width, const void *from,
                   void *to);
void NAME(scatter)(const lrc_tensor *x, int64_t at, size_t n, int64_t width, const void *from,
                   void *to);

/* One number a row of `size` -> one an element, for elements at .. at + n - 1. In place, or in buf. */
real *NAME(spread)(int64_t size, int64_t at, size_t n, const real *rows, real *buf);

/* A block of an array as reals: in place, or in buf; of named rows always in buf. And back, rounded as
 * encode() does. */
real *NAME(fetch)(const lrc_tensor *x, const lrc_array *a, int64_t at, size_t n, real *buf);
void NAME(keep)(const lrc_tensor *x, const lrc_array *a, int64_t at, size_t n, const real *from,
                const uint32_t *random, int odd);

/* The parameter's value, of which a master knows more than p. And back, where the master is its lower
 * halves. */
real *NAME(fetch_p)(const lrc_tensor *x, int64_t at, size_t n, real *buf);
void NAME(keep_split)(const lrc_tensor *x, int64_t at, size_t n, const real *from);

#endif
