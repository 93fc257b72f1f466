/* Handlers for XLA's foreign-function interface, version 0. The structs below are the part of its C
 * interface (xla/ffi/api/c_api.h) that they need; fields may be added behind these, and each struct
 * says how large it is. */
#include "xla.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { EXECUTE = 3, METADATA = 1, INVALID_ARGUMENT = 3, MAJOR = 0 };
enum { S32 = 4, S64 = 5, F32 = 11, F64 = 12 };
enum { TEXT = 512 };

typedef struct extension {
    size_t size;
    int type;
    struct extension *next;
} extension;

typedef struct {
    size_t size;
    extension *extensions;
    int major, minor;
} version;

typedef struct {
    size_t size;
    version version;
    uint32_t traits;
} metadata;

typedef struct {
    extension base;
    metadata *metadata;
} metadata_extension;

typedef struct {
    size_t size;
    extension *extensions;
    const char *message;
    int code;
} error_args;

typedef struct {
    size_t size;
    extension *extensions;
    version version;
    const void *internal;
    void *(*create_error)(error_args *args);
} api;

typedef struct {
    size_t size;
    extension *extensions;
    int dtype;
    void *data;
    int64_t rank;
    int64_t *dims;
} buffer;

typedef struct {
    size_t size;
    extension *extensions;
    int64_t n;
    int *types;
    buffer **buffers;
} buffers;

typedef struct {
    int dtype;
    void *value;
} scalar;

typedef struct {
    size_t size;
    extension *extensions;
    int64_t n;
    int *types;
    void **names;
    scalar **values;
} attributes;

typedef struct {
    size_t size;
    extension *extensions;
    const api *api;
    void *context;
    int stage;
    buffers in, out;
    attributes attributes;
} frame;

/* ----------------------------------------------------------------------- programs */

static _Atomic(lrc_xla_program *) programs;

void lrc_xla_add(lrc_xla_program *program)
{
    program->next = atomic_load(&programs);
    while (!atomic_compare_exchange_weak(&programs, &program->next, program)) {
    }
}

static const lrc_xla_program *find(const frame *f)
{
    if (f->attributes.n != 1 || f->attributes.values[0]->dtype != S64)
        return NULL;
    int64_t key = *(const int64_t *)f->attributes.values[0]->value;
    const lrc_xla_program *program = atomic_load(&programs);
    while (program && program->key != key)
        program = program->next;
    return program;
}

static int64_t elements(const buffer *b)
{
    int64_t n = 1;
    for (int64_t d = 0; d < b->rank; d++)
        n *= b->dims[d];
    return n;
}

static double number(const buffer *b)
{
    return b->dtype == F64 ? *(const double *)b->data : (double)*(const float *)b->data;
}

static void *refuse(const frame *f, const char *text)
{
    error_args args = {sizeof args, NULL, text, INVALID_ARGUMENT};
    return f->api->create_error(&args);
}

static _Atomic int minor_version;

void lrc_xla_set_minor(int minor) { atomic_store(&minor_version, minor); }

/* What comes before a call: whether XLA only asks for the version. It is told the one that it has
 * itself, since some take no other: a minor version adds fields behind those that are here. */
static int describe(const frame *f)
{
    for (extension *x = f->extensions; x; x = x->next)
        if (x->type == METADATA) {
            metadata *m = ((metadata_extension *)x)->metadata;
            m->version.major = MAJOR;
            m->version.minor = atomic_load(&minor_version);
            m->traits = 0;
            return 1;
        }
    return f->stage != EXECUTE;
}

static const char UNKNOWN[] =
    "lrcore: the step or schedule of this call must have been made in this "
    "process, got a program of another or with other operands";

static const char NO_MEMORY[] = "lrcore: a step must have memory for its plan, got none";

static const char ENDED[] = "lrcore: a call must begin before the interpreter ends";

static _Atomic int ended;
static _Atomic int64_t running;

/* A call that is let in may use Python and all that programs point to; each leaves again. */
static int enter(void)
{
    atomic_fetch_add(&running, 1);
    if (!atomic_load(&ended))
        return 1;
    atomic_fetch_sub(&running, 1);
    return 0;
}

static void leave(void) { atomic_fetch_sub(&running, 1); }

int64_t lrc_xla_end(void)
{
    atomic_store(&ended, 1);
    return atomic_load(&running);
}

/* ---------------------------------------------------------------------- schedules */

static void *evaluate(const frame *f)
{
    const lrc_xla_program *program = find(f);
    if (!program || !program->schedule || f->in.n != 1 || f->out.n != 1 ||
        f->in.buffers[0]->dtype != S32)
        return refuse(f, UNKNOWN);
    const buffer *out = f->out.buffers[0];
    const int32_t *t = f->in.buffers[0]->data;
    int64_t n = elements(out), bad = -1;
    char text[TEXT] = "";
    uint64_t before = lrc_fenv_set();
    for (int64_t i = 0; i < n && bad < 0; i++) {
        double value = t[i] < 0 ? NAN : lrc_schedule_at(program->schedule, t[i]);
        if (out->dtype == F64)
            ((double *)out->data)[i] = value;
        else
            ((float *)out->data)[i] = (float)value;
        if (t[i] < 0)
            snprintf(text, sizeof text, "%s: t must be an integer in [0, 2**31), got %d",
                     program->who, t[i]);
        if (t[i] < 0 ||
            (value != value && program->error && program->error(program->user, text, sizeof text)))
            bad = i;
    }
    lrc_fenv_restore(before);
    return bad < 0 ? NULL : refuse(f, text);
}

void *lrc_xla_schedule(void *call)
{
    if (describe(call))
        return NULL;
    if (!enter())
        return refuse(call, ENDED);
    void *error = evaluate(call);
    leave();
    return error;
}

/* --------------------------------------------------------------------------- steps */

/* A plan of its own for one call, so that calls may overlap. */
typedef struct {
    lrc_tensor *tensors;
    lrc_group group;
    lrc_plan *plan;
} copy;

static int copy_plan(const lrc_plan *model, copy *c)
{
    size_t bytes = (size_t)model->n_tensors * sizeof *c->tensors;
    c->tensors = malloc(bytes);
    c->group = model->groups[0];
    if (!c->tensors)
        return 0;
    memcpy(c->tensors, model->tensors, bytes);
    c->plan = lrc_plan_new(model->rule, model->n_tensors, c->tensors, 1, &c->group);
    if (!c->plan) {
        free(c->tensors);
        return 0;
    }
    struct lrc_work *work = c->plan->work;
    *c->plan = *model;
    c->plan->work = work;
    c->plan->tensors = c->tensors;
    c->plan->groups = &c->group;
    return 1;
}

static void put(lrc_tensor *x, const lrc_xla_place *place, void *data)
{
    switch (place->kind) {
    case LRC_XLA_P:
        x->p = data;
        break;
    case LRC_XLA_STATE:
        x->state[place->number] = data;
        break;
    case LRC_XLA_SCALE:
        x->scale[place->number] = data;
        break;
    case LRC_XLA_MASTER:
        x->master = data;
        break;
    case LRC_XLA_AVERAGE:
        x->average[place->number] = data;
        break;
    }
}

static double *group_number(lrc_plan *plan, int at)
{
    lrc_group *g = &plan->groups[0];
    return at >= 0 ? &g->h[at] : at == -1 ? &g->clip_value : &plan->clip_norm;
}

static int inside(const lrc_xla_number *x, double value)
{
    int above = x->closed_low ? value >= x->low : value > x->low;
    return above && (x->closed_high ? value <= x->high : value < x->high);
}

/* Puts the hyper-parameters of this update in place; 0 and a text where one is not what it must be. */
static int set_numbers(const lrc_xla_program *program, lrc_plan *plan, buffer **given, char *text)
{
    lrc_refresh(plan);
    for (int64_t i = 0; i < program->n_numbers; i++) {
        const lrc_xla_number *x = &program->numbers[i];
        double *value = group_number(plan, x->at);
        if (x->given)
            *value = number(*given++);
        if (inside(x, *value))
            continue;
        if (!program->error || !program->error(program->user, text, TEXT))
            snprintf(text, TEXT, "%s at update %lld: %s, got %.9g", program->who,
                     (long long)plan->t, x->must, *value);
        return 0;
    }
    return 1;
}

/* The rule's scalars, float64 as pairs of 32 bits, from or to a buffer. */
static void move_scalars(const lrc_xla_program *program, lrc_plan *plan, char *data, int out)
{
    int grouped = lrc_rules[plan->rule].scope == LRC_GROUP;
    size_t bytes = (size_t)program->n_scalars * sizeof(double);
    for (int64_t i = 0; i < (grouped ? 1 : plan->n_tensors); i++, data += bytes) {
        double *own = grouped ? plan->groups[0].scalar : plan->tensors[i].scalar;
        memcpy(out ? (void *)data : own, out ? (void *)own : data, bytes);
    }
}

/* The operands: count and skipped; the loss where the rule needs one; the numbers that are given;
 * the scalars where there are some; the gradients; what is written to. The results: count, skipped,
 * scalars, and what is written to, each in the memory of its operand. */
static int fits(const lrc_xla_program *program, const frame *f)
{
    int64_t given = 0, scalars = program->n_scalars != 0;
    for (int64_t i = 0; i < program->n_numbers; i++)
        given += program->numbers[i].given;
    int64_t head = 2 + program->needs_loss + given + scalars;
    if (f->in.n != head + program->plan->n_tensors + program->n_places ||
        f->out.n != 2 + scalars + program->n_places)
        return 0;
    for (int64_t i = 0; i < program->n_places; i++)
        if (elements(f->out.buffers[2 + scalars + i]) != program->places[i].n)
            return 0;
    return 1;
}

static int step(const lrc_xla_program *program, lrc_plan *plan, const frame *f, char *text)
{
    static const double empty;
    buffer **in = f->in.buffers, **out = f->out.buffers;
    int32_t count = *(const int32_t *)in[0]->data, skipped = *(const int32_t *)in[1]->data;
    in += 2;
    plan->t = count;
    for (int64_t i = 0; i < plan->n_tensors; i++)
        plan->tensors[i].t = count;
    plan->loss = program->needs_loss ? number(*in++) : NAN;
    if (!set_numbers(program, plan, in, text))
        return 0;
    for (int64_t i = 0; i < program->n_numbers; i++)
        in += program->numbers[i].given;
    if (program->n_scalars)
        move_scalars(program, plan, (*in++)->data, 0);
    for (int64_t i = 0; i < plan->n_tensors; i++) {
        const void *g = (*in++)->data;
        plan->tensors[i].g =
            g ? g : &empty; /* where there are no elements; NULL would be no gradient */
    }
    buffer **written = out + 2 + (program->n_scalars != 0);
    for (int64_t i = 0; i < program->n_places; i++)
        put(&plan->tensors[program->places[i].tensor], &program->places[i], written[i]->data);
    int made = lrc_update(plan);
    if (!made && plan->nonfinite == LRC_RAISE) {
        snprintf(text, TEXT, "%s: grads%s must be finite, got inf or NaN at update %lld",
                 program->who, program->labels[plan->bad_tensor], (long long)count);
        return 0;
    }
    *(int32_t *)out[0]->data = count + (made && count < INT32_MAX);
    *(int32_t *)out[1]->data = skipped + (!made && skipped < INT32_MAX);
    if (program->n_scalars)
        move_scalars(program, plan, out[2]->data, 1);
    return 1;
}

/* A step that the host makes. */
static void *leave_to_host(const lrc_xla_program *program, const frame *f)
{
    char text[TEXT] = "";
    int made = 0;
    if (f->in.n != program->n_in || f->out.n != program->n_out)
        return refuse(f, UNKNOWN);
    void **data = malloc((size_t)(program->n_in + program->n_out + 1) * sizeof *data);
    if (!data)
        return refuse(f, NO_MEMORY);
    for (int64_t i = 0; i < program->n_in; i++)
        data[i] = f->in.buffers[i]->data;
    for (int64_t i = 0; i < program->n_out; i++)
        data[program->n_in + i] = f->out.buffers[i]->data;
    made = program->host(program->user, data, data + program->n_in, text, sizeof text);
    free(data);
    return made ? NULL : refuse(f, text);
}

static void *make(const frame *f)
{
    const lrc_xla_program *program = find(f);
    if (program && program->host)
        return leave_to_host(program, f);
    if (!program || !program->plan || !fits(program, f))
        return refuse(f, UNKNOWN);
    char text[TEXT] = "";
    copy c;
    if (!copy_plan(program->plan, &c))
        return refuse(f, NO_MEMORY);
    uint64_t before = lrc_fenv_set();
    int made = step(program, c.plan, f, text);
    lrc_fenv_restore(before);
    lrc_plan_free(c.plan);
    free(c.tensors);
    return made ? NULL : refuse(f, text);
}

void *lrc_xla_step(void *call)
{
    if (describe(call))
        return NULL;
    if (!enter())
        return refuse(call, ENDED);
    void *error = make(call);
    leave();
    return error;
}
