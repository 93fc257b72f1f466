/* One function a row of schedules.def: the value of the schedule proper at update t >= s->warmup.
 * Positions (steps, milestones, boundaries) count all updates; durations count from the end of the
 * warm-up, as since() does. The reference, operation for operation, is
 * lrcore/reference/schedules.py. */
#include "engine.h"

#define ARGS(...) #__VA_ARGS__
#define SCHEDULE(name, NAME, ...) {#name, __VA_ARGS__},
const lrc_schedule_info lrc_schedules[LRC_SCHEDULES] = {
#include "schedules.def"
};
#undef SCHEDULE
#undef ARGS

static double value(const lrc_schedule *s, int64_t t);

/* Updates since the end of the warm-up. */
static double since(const lrc_schedule *s, int64_t t) { return (double)t - s->warmup; }

/* What is left of the schedule proper: 1 at the end of the warm-up, 0 from `steps` on. */
static double left(const lrc_schedule *s, int64_t t, double steps)
{
    double x = steps - (double)t;
    return x > 0.0 ? x / (steps - s->warmup) : 0.0;
}

/* From b at w = 0 to a at w = 1, both exactly. */
static double mix(double a, double b, double w) { return a * w + b * (1.0 - w); }

static double whole(double x) { return x < 0x1p52 ? (double)(int64_t)x : x; }

/* How many positions of the list are <= t. */
static int passed(const lrc_schedule *s, int64_t t)
{
    int low = 0, high = s->count;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (s->list[mid] <= (double)t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static double constant(const lrc_schedule *s, int64_t t)
{
    (void)t;
    return s->arg[0];
}

/* lr gamma^floor(n / step_size) */
static double step(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], step_size = s->arg[1], gamma = s->arg[2];
    return lr * lrc_pow(gamma, whole(since(s, t) / step_size));
}

/* lr gamma^(number of milestones <= t) */
static double multistep(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], gamma = s->arg[1];
    return lr * lrc_pow(gamma, passed(s, t));
}

/* lr gamma^n */
static double exponential(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], gamma = s->arg[1];
    return lr * lrc_pow(gamma, since(s, t));
}

/* lr e^(-decay n) */
static double natural_exponential(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], decay = s->arg[1];
    return lr * lrc_exp(-(decay * since(s, t)));
}

/* lr / (1 + rate n / step_size) */
static double inverse_time(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], rate = s->arg[1], step_size = s->arg[2];
    return lr / (1.0 + (rate * since(s, t)) / step_size);
}

/* end + (lr - end) left */
static double linear(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], end = s->arg[2];
    return mix(lr, end, left(s, t, steps));
}

/* end + (lr - end) left^power */
static double polynomial(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], power = s->arg[2], end = s->arg[3];
    return mix(lr, end, lrc_pow(left(s, t, steps), power));
}

/* end + (lr - end) (1 + cos(pi x)) / 2 with x = 1 - left; (1 + cos(pi x)) / 2 = cos^2(pi x / 2),
 * which does not cancel near the end. */
static double cosine(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], end = s->arg[2];
    double c = lrc_cospi(0.5 - 0.5 * left(s, t, steps));
    return mix(lr, end, c * c);
}

/* values[number of boundaries <= t] */
static double piecewise_constant(const lrc_schedule *s, int64_t t)
{
    return s->list[s->count + passed(s, t)];
}

static double scale(const lrc_schedule *s, int64_t t) { return value(s->part[0], t) * s->arg[0]; }

/* The part that t falls into, with t counted from its boundary. */
static double join(const lrc_schedule *s, int64_t t)
{
    int i = passed(s, t);
    return value(s->part[i], i > 0 ? t - (int64_t)s->list[i - 1] : t);
}

static double lambda(const lrc_schedule *s, int64_t t) { return s->call(t, s->user); }

typedef double schedule_function(const lrc_schedule *s, int64_t t);

static schedule_function *const functions[LRC_SCHEDULES] = {
#define SCHEDULE(name, NAME, ...) name,
#include "schedules.def"
#undef SCHEDULE
};

static double value(const lrc_schedule *s, int64_t t)
{
    schedule_function *proper = functions[s->kind];
    if ((double)t >= s->warmup)
        return proper(s, t);
    double start = proper(s, (int64_t)s->warmup);
    return mix(start, s->warmup_start, (double)t / s->warmup);
}

double lrc_schedule_at(const lrc_schedule *s, int64_t t)
{
    uint64_t before = lrc_fenv_set();
    double x = value(s, t);
    lrc_fenv_restore(before);
    return x;
}

/* A callback may be called by the caller's thread only. */
static int calls_back(const lrc_schedule *s)
{
    int parts = s->kind == LRC_SCALE ? 1 : s->kind == LRC_JOIN ? s->count + 1 : 0;
    for (int i = 0; i < parts; i++)
        if (calls_back(s->part[i]))
            return 1;
    return s->kind == LRC_LAMBDA;
}

enum { PIECE = 8192 };

typedef struct {
    const lrc_schedule *s;
    size_t n;
    const int64_t *t;
    double *out;
} values;

static void piece(void *context, size_t i)
{
    const values *v = context;
    size_t end = (i + 1) * PIECE < v->n ? (i + 1) * PIECE : v->n;
    for (size_t k = i * PIECE; k < end; k++)
        v->out[k] = value(v->s, v->t[k]);
}

void lrc_schedule_values(const lrc_schedule *s, size_t n, const int64_t *t, double *out)
{
    values v = {s, n, t, out};
    size_t pieces = (n + PIECE - 1) / PIECE;
    uint64_t before = lrc_fenv_set();
    if (calls_back(s))
        for (size_t i = 0; i < pieces; i++)
            piece(&v, i);
    else
        lrc_parallel(pieces, piece, &v);
    lrc_fenv_restore(before);
}
