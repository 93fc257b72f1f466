/* The step and the schedules as XLA calls them, without Python: handlers of its foreign-function
 * interface. Compiled into the Python extension only. */
#ifndef LRC_XLA_H
#define LRC_XLA_H

#include "lrcore.h"

/* What a buffer is to a tensor. */
typedef enum {
    LRC_XLA_P,
    LRC_XLA_STATE,
    LRC_XLA_SCALE,
    LRC_XLA_MASTER,
    LRC_XLA_AVERAGE
} lrc_xla_kind;

/* A buffer that a step writes to: its tensor, what it is (of several: which), and its elements. */
typedef struct {
    int64_t tensor;
    int kind, number;
    int64_t n;
} lrc_xla_place;

/* A number of the group that is to be looked at before each step: `at` is its place in h, -1 is
 * clip_value and -2 clip_norm of all groups. With `given`, it is the next of the numbers that the
 * call hands over. */
typedef struct {
    int at, given;
    double low, high;
    int closed_low, closed_high;
    const char *must; /* "lr must be in [0, inf)" */
} lrc_xla_number;

/* What one kind of call does: a step, whose plan is a copy of `plan` each time; one that is made
 * elsewhere; or a schedule. */
typedef struct lrc_xla_program {
    int64_t key; /* how a call names it */
    const lrc_plan *plan;
    const lrc_schedule *schedule;
    int64_t n_places, n_numbers;
    const lrc_xla_place *places;
    const lrc_xla_number *numbers;
    const char *who;
    const char *const *labels; /* of the tensors */
    int n_scalars;             /* of a tensor, or of the group where the rule says so */
    int needs_loss;
    /* Where a schedule may call Python: puts what that raised into `text`; 0 where it was nothing. */
    int (*error)(void *user, char *text, size_t size);
    /* In place of a plan: makes the step out of the operands' memory, into that of the results, of
     * which there must be so many; 0 and a text where it cannot. */
    int (*host)(void *user, void **in, void **out, char *text, size_t size);
    int64_t n_in, n_out;
    void *user;
    struct lrc_xla_program *next;
} lrc_xla_program;

/* Makes a program known. It must stay for good, with all that it points to. */
void lrc_xla_add(lrc_xla_program *program);

/* The handlers: functions of XLA's frame. Before they are registered they are told the minor version
 * of XLA's interface, whose major version must be 0. */
void lrc_xla_set_minor(int minor);
void *lrc_xla_step(void *frame);
void *lrc_xla_schedule(void *frame);

/* From now on no call begins: XLA's threads may have some left when the interpreter ends, and what
 * programs point to ends with it. How many calls there still are. */
int64_t lrc_xla_end(void);

#endif
