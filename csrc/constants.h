/* The numbers that a step goes by. */
#ifndef LRC_CONSTANTS_H
#define LRC_CONSTANTS_H

#include "plan.h"

/* What the gradients are multiples of: the loss scale times the number of micro-batches. */
double lrc_divisor(const lrc_plan *plan);

/* Sets the constants of every tensor that has a gradient. Those of one group, arithmetic, age, rate and
 * scalars share them, unless they hold something of the tensor's own. */
void lrc_set_constants(lrc_plan *plan);

/* Sets the scalars of each tensor or group from the sums over its elements, tensor after tensor. */
void lrc_estimate(lrc_plan *plan);

/* The sums of tensor i over the first `count` columns of its chunks, which have rows of `width`. */
void lrc_add_up(const lrc_plan *plan, int64_t i, const double *rows, int width, int count,
                double *total);

#endif
