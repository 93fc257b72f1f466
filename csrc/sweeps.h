/* The sweeps of a step. Each ends before it returns; small ones run on the caller's thread. */
#ifndef LRC_SWEEPS_H
#define LRC_SWEEPS_H

#include "plan.h"

/* What a sweep does with the elements `k` of a tensor that has a gradient: chunk number c or, joined,
 * all that a task has of the tensor from there on. */
typedef void lrc_visit(lrc_plan *plan, const lrc_engine *engine, int64_t c, lrc_chunk k,
                       const lrc_tensor *x);

void lrc_sweep(lrc_plan *plan, lrc_visit *what);
/* For a visit that leaves nothing behind of each chunk. */
void lrc_sweep_joined(lrc_plan *plan, lrc_visit *what);

/* Of the gradients alone: their norm and whether they are finite; statistics of a step that is
 * refused; to zero; to the sums. */
lrc_visit lrc_visit_norm, lrc_visit_observe, lrc_visit_zero, lrc_visit_accumulate;
/* With the rule: sums for its scalars; how many elements LRC_CAUTIOUS would choose; a matrix's
 * gradient into work, and the direction made of it; all that writes. */
lrc_visit lrc_visit_measure, lrc_visit_trial, lrc_visit_gather, lrc_visit_prepare, lrc_visit_update;
/* Its memory traffic, of the sweep that plan->work->kind names. */
lrc_visit lrc_visit_roofline;

/* agc: the factors of all units. */
void lrc_sweep_units(lrc_plan *plan);
/* LRC_FACTORED: the factors of all matrices, from sums over their tiles. */
void lrc_sweep_tiles(lrc_plan *plan);
/* LRC_ROW: states and factors of the rows that must be looked at before the update: where they end
 * inside a block, or something else is to be known of the step before. */
void lrc_sweep_rows(lrc_plan *plan);
int lrc_row_sweep(const lrc_plan *plan, const lrc_tensor *x);
int lrc_any_row_sweep(const lrc_plan *plan);

#endif
