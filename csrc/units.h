/* agc: norms of output units, and what they are scaled by.
 *
 * Brock et al. 2021, "High-Performance Large-Scale Image Recognition Without Normalization", eq. 3. */
#ifndef LRC_UNITS_H
#define LRC_UNITS_H

#include "access.h"

void NAME(units)(const lrc_tensor *x, int64_t first, int64_t n, double scale, double clip,
                 double least_norm, void *factors);

#endif
