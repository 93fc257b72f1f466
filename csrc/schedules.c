/* One function a row of schedules.def: the value of the schedule proper at update t >= s->warmup.
 * Positions (steps, milestones, boundaries) count all updates; durations count from the end of the
 * warm-up, as since() does. The reference, operation for operation, is
 * lrcore/reference/schedules.py. */
#include <math.h>

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

static double or_one(double x) { return x != 0.0 ? x : 1.0; }

/* (1 - cos(pi w)) / 2 = sin^2(pi w / 2), which does not cancel where w is small. */
static double half_wave(double w)
{
    double c = lrc_cospi(0.5 - 0.5 * w);
    return c * c;
}

enum { LINE, COSINE, ONE_SQRT, ONE_SQUARE, LOGARITHMIC };

/* A way from 0 at w = 0 to 1 at w = 1. 1 - sqrt(1 - w) and 1 - (1 - w)^2 without cancellation. */
static double bend(double shape, double w)
{
    if (shape == COSINE)
        return half_wave(w);
    if (shape == ONE_SQRT)
        return w / (1.0 + sqrt(1.0 - w));
    return shape == ONE_SQUARE ? w * (2.0 - w) : w;
}

/* k-decay: with `rest` left, n/T = 1 - rest becomes (n/T)^k. */
static double k_decayed(double rest, double k)
{
    return k == 1.0 ? rest : 1.0 - lrc_pow(1.0 - rest, k);
}

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

/* lr gamma^(n / step_size) */
static double exponential(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], gamma = s->arg[1], step_size = or_one(s->arg[2]);
    return lr * lrc_pow(gamma, since(s, t) / step_size);
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

/* lr sqrt(timescale / max(t, timescale)) */
static double inverse_sqrt(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], timescale = s->arg[1], n = (double)t;
    return n > timescale ? lr * sqrt(timescale / n) : lr;
}

/* factor d_model^-0.5 min(i^-0.5, i warmup_steps^-1.5), i = t + 1 */
static double noam(const lrc_schedule *s, int64_t t)
{
    double d_model = s->arg[0], w = s->arg[1], factor = s->arg[2], i = (double)t + 1.0;
    double x = i < w ? i / (w * sqrt(w)) : 1.0 / sqrt(i);
    return factor * (x / sqrt(d_model));
}

/* min(lr, scale (per_update t)^-power) */
static double power(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], scale = s->arg[1], p = s->arg[2], per_update = s->arg[3];
    double x = scale * lrc_pow(per_update * (double)t, -p);
    return x < lr ? x : lr;
}

/* end + (lr - end) left */
static double linear(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], end = s->arg[2];
    return mix(lr, end, left(s, t, steps));
}

/* What is left of a schedule that begins again when T, 2T, 3T, ... are over, each time stretched
 * over all that has been. */
static double left_of_cycle(const lrc_schedule *s, int64_t t, double steps)
{
    double length = steps - s->warmup, n = since(s, t);
    double i = whole(n / length);
    double end = length * (i * length < n || i == 0.0 ? i + 1.0 : i);
    return (end - n) / end;
}

/* end + (lr - end) left^power */
static double polynomial(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], p = s->arg[2], end = s->arg[3];
    double k_decay = or_one(s->arg[4]), cycle = s->arg[5];
    double rest = cycle != 0.0 ? left_of_cycle(s, t, steps) : left(s, t, steps);
    return mix(lr, end, lrc_pow(k_decayed(rest, k_decay), p));
}

/* end + (lr - end) ((1 + cos(pi x)) / 2)^exponent with x = 1 - left */
static double cosine(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], end = s->arg[2];
    double exponent = or_one(s->arg[3]), k_decay = or_one(s->arg[4]);
    double w = half_wave(k_decayed(left(s, t, steps), k_decay));
    return mix(lr, end, exponent == 1.0 ? w : lrc_pow(w, exponent));
}

/* end + (lr - end) (1 - tanh z) / 2, z = lb left + ub (1 - left); (1 - tanh z) / 2 is
 * 1 / (1 + e^(2z)) */
static double tanh_decay(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], end = s->arg[2], lb = s->arg[3], ub = s->arg[4];
    double rest = left(s, t, steps);
    double w = 1.0 / (1.0 + lrc_exp(2.0 * mix(lb, ub, rest)));
    return rest > 0.0 ? mix(lr, end, w) : end;
}

/* end + (lr - end) left / (1/2 + left/2) */
static double rex(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], end = s->arg[2], rest = left(s, t, steps);
    return mix(lr, end, rest / (0.5 + 0.5 * rest));
}

/* How far the hyperbola still is above its end, `rest` updates before it. */
static double hyperbola(double rest, double length, double bound)
{
    return sqrt((rest / bound) * (2.0 - ((length - rest) + length) / bound));
}

/* lr + (lr - infimum) (h(n) - h(0)), h(n) = sqrt((T - n)/U (2 - (T + n)/U)) */
static double hyperbolic(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], length = s->arg[1] - s->warmup, bound = s->arg[2] - s->warmup;
    double infimum = s->arg[3], rest = length - since(s, t);
    double fall =
        hyperbola(length, length, bound) - hyperbola(rest > 0.0 ? rest : 0.0, length, bound);
    return mix(infimum, lr, fall);
}

/* lr, then end + (lr - end) (what is left of the last decay_steps updates, bent) */
static double wsd(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], decay_steps = s->arg[2], end = s->arg[3];
    double shape = s->arg[4], rest = steps - (double)t;
    if (rest >= decay_steps)
        return lr;
    return mix(lr, end, bend(shape, rest > 0.0 ? rest / decay_steps : 0.0));
}

/* lr up to the knee, then a straight line to end at steps */
static double knee(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], at = s->arg[2], end = s->arg[3];
    double rest = steps - (double)t;
    if ((double)t <= at)
        return lr;
    return mix(lr, end, rest > 0.0 ? rest / (steps - at) : 0.0);
}

/* From lr / div_factor to lr in pct_start of the updates; with three phases back in as many; then
 * to lr / div_factor / final_div_factor. */
static double one_cycle(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], pct = s->arg[2], shape = s->arg[6];
    double first = lr / s->arg[3], last = first / s->arg[4];
    int three = s->arg[5] == 3.0;
    double rest = left(s, t, steps), x = since(s, t) / (steps - s->warmup);
    if (rest > 0.0 && x < pct)
        return mix(lr, first, bend(shape, x / pct));
    if (rest > 0.0 && three && x < 2.0 * pct)
        return mix(lr, first, bend(shape, (2.0 * pct - x) / pct));
    double w = rest / (1.0 - (three ? 2.0 * pct : pct));
    return mix(three ? first : lr, last, bend(shape, w < 1.0 ? w : 1.0));
}

enum { TRIANGULAR, TRIANGULAR2, EXP_RANGE };

/* lr + (max_lr - lr) triangle a, with a = 1, 2^-cycle or gamma^n */
static double cyclic(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], max_lr = s->arg[1], up = s->arg[2], down = s->arg[3];
    double mode = s->arg[4], gamma = s->arg[5], n = since(s, t), length = up + down;
    double cycle = whole(n / length);
    double x = n - cycle * length;
    double w = x < up ? x / up : (length - x) / down;
    if (mode == TRIANGULAR2)
        w = w * lrc_pow(0.5, cycle);
    if (mode == EXP_RANGE)
        w = w * lrc_pow(gamma, n);
    return mix(max_lr, lr, w);
}

/* The first update of cycle i: period (1 + mult + ... + mult^(i-1)). */
static double cycle_start(double period, double mult, double i)
{
    return period * ((lrc_pow(mult, i) - 1.0) / (mult - 1.0));
}

/* A half wave from lr gamma^i to end in each cycle i, which takes period mult^i updates */
static double cosine_restarts(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], period = s->arg[1], mult = s->arg[2], gamma = s->arg[3];
    double end = s->arg[4], n = since(s, t), i = whole(n / period), x;
    if (mult < 1.001)
        x = (n - i * period) / period;
    else {
        i = whole(lrc_log(1.0 + (n / period) * (mult - 1.0)) / lrc_log(mult));
        while (i > 0.0 && cycle_start(period, mult, i) > n)
            i = i - 1.0;
        while (cycle_start(period, mult, i + 1.0) <= n)
            i = i + 1.0;
        x = (n - cycle_start(period, mult, i)) / (period * lrc_pow(mult, i));
    }
    return mix(lr * lrc_pow(gamma, i), end, half_wave(1.0 - x));
}

/* Where update n of `length` = 2^k comes in the fractal order: the order of 2m updates is that of
 * m, each i of them followed by 2m - 1 - i. */
static double fractal(double n, double length)
{
    uint64_t bits = (uint64_t)n, at = 0, size = 1;
    for (uint64_t bit = (uint64_t)length >> 1; bit; bit >>= 1) {
        size *= 2;
        at = bits & bit ? size - 1 - at : at;
    }
    return (double)at;
}

/* 1 / node, the nodes those of Chebyshev between 1/lr and 1/end */
static double chebyshev(const lrc_schedule *s, int64_t t)
{
    double lr = s->arg[0], steps = s->arg[1], end = s->arg[2], order = s->arg[3];
    double length = steps - s->warmup, n = since(s, t);
    if (n >= length)
        return end;
    if (order == 0.0)
        n = fractal(n, length);
    double w = half_wave((n + 0.5) / length);
    return 1.0 / mix(1.0 / end, 1.0 / lr, w);
}

/* values[number of boundaries <= t] */
static double piecewise_constant(const lrc_schedule *s, int64_t t)
{
    return s->list[s->count + passed(s, t)];
}

/* From one point of a list to the next, before the first and after the last as they are. */
static double between(const lrc_schedule *s, int64_t t, double shape)
{
    const double *positions = s->list, *values = s->list + s->count;
    int i = passed(s, t);
    if (i == 0 || i == s->count)
        return values[i == 0 ? 0 : i - 1];
    double w = (positions[i] - (double)t) / (positions[i] - positions[i - 1]);
    return mix(values[i - 1], values[i], bend(shape, w));
}

static double piecewise_linear(const lrc_schedule *s, int64_t t) { return between(s, t, LINE); }
static double piecewise_cosine(const lrc_schedule *s, int64_t t) { return between(s, t, COSINE); }

static double scale(const lrc_schedule *s, int64_t t) { return value(s->part[0], t) * s->arg[0]; }

static double sum(const lrc_schedule *s, int64_t t)
{
    double a = value(s->part[0], t);
    return a + value(s->part[1], t);
}

static double product(const lrc_schedule *s, int64_t t)
{
    double a = value(s->part[0], t);
    return a * value(s->part[1], t);
}

/* NaN is passed on. */
static double minimum(const lrc_schedule *s, int64_t t)
{
    double a = value(s->part[0], t), b = value(s->part[1], t);
    return a < b || a != a ? a : b;
}

static double maximum(const lrc_schedule *s, int64_t t)
{
    double a = value(s->part[0], t), b = value(s->part[1], t);
    return a > b || a != a ? a : b;
}

static double clip(const lrc_schedule *s, int64_t t)
{
    double low = s->arg[0], high = s->arg[1], x = value(s->part[0], t);
    return x < low ? low : x > high ? high : x;
}

/* The part, `by` updates ahead; before its update 0 as at 0 */
static double shift(const lrc_schedule *s, int64_t t)
{
    int64_t n = t + (int64_t)s->arg[0];
    return value(s->part[0], n > 0 ? n : 0);
}

static double every(const lrc_schedule *s, int64_t t)
{
    return value(s->part[0], t / (int64_t)s->arg[0]);
}

static double repeat(const lrc_schedule *s, int64_t t)
{
    return value(s->part[0], t % (int64_t)s->arg[0]);
}

/* The part that t falls into, with t counted from its boundary. */
static double join(const lrc_schedule *s, int64_t t)
{
    int i = passed(s, t);
    return value(s->part[i], i > 0 ? t - (int64_t)s->list[i - 1] : t);
}

/* What a metric has made of `scale`, times the part, but not below min_lr. */
static double plateau(const lrc_schedule *s, int64_t t)
{
    double min_lr = s->arg[0], x = value(s->part[0], t) * s->arg[1];
    return x < min_lr ? min_lr : x;
}

static double lambda(const lrc_schedule *s, int64_t t) { return s->call(t, s->user); }

/* How much of an anneal has passed: 0 until the real time begin, 1 from begin + length on. */
static double elapsed(const lrc_schedule *s, int64_t t, double length, double begin)
{
    double x = (since(s, t) - begin) / length;
    return x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0;
}

/* end + (start - end) (1 - x^k)^power */
static double linear_anneal(const lrc_schedule *s, int64_t t)
{
    double start = s->arg[0], end = s->arg[1], p = s->arg[4], k_decay = s->arg[5];
    double x = elapsed(s, t, s->arg[2], s->arg[3]);
    return mix(start, end, lrc_pow(1.0 - lrc_pow(x, k_decay), p));
}

/* end + (start - end) ((1 + cos(pi x^k)) / 2)^power */
static double cosine_anneal(const lrc_schedule *s, int64_t t)
{
    double start = s->arg[0], end = s->arg[1], p = s->arg[4], k_decay = s->arg[5];
    double x = elapsed(s, t, s->arg[2], s->arg[3]);
    double c = lrc_cospi(0.5 * lrc_pow(x, k_decay));
    return mix(start, end, lrc_pow(c * c, p));
}

/* start (end / start)^x */
static double exponential_anneal(const lrc_schedule *s, int64_t t)
{
    double start = s->arg[0], end = s->arg[1];
    return start * lrc_pow(end / start, elapsed(s, t, s->arg[2], s->arg[3]));
}

/* end + (start - end) (1 - tanh(y)) / 2 with y = lb (1 - x) + ub x; (1 - tanh(y)) / 2 is
 * 1 / (1 + e^(2 y)), which does not cancel. */
static double tanh_anneal(const lrc_schedule *s, int64_t t)
{
    double start = s->arg[0], end = s->arg[1], lb = s->arg[4], ub = s->arg[5];
    double x = elapsed(s, t, s->arg[2], s->arg[3]);
    double y = mix(ub, lb, x);
    return mix(start, end, 1.0 / (1.0 + lrc_exp(2.0 * y)));
}

/* low + (high - low) (1 + cos(2 pi x)) / 2 with x = (n - begin) / period */
static double wave(const lrc_schedule *s, int64_t t)
{
    double high = s->arg[0], low = s->arg[1], period = s->arg[2], begin = s->arg[3];
    double c = lrc_cospi((since(s, t) - begin) / period);
    return mix(high, low, c * c);
}

typedef double schedule_function(const lrc_schedule *s, int64_t t);

static schedule_function *const functions[LRC_SCHEDULES] = {
#define SCHEDULE(name, NAME, ...) name,
#include "schedules.def"
#undef SCHEDULE
};

/* How far the warm-up has come by update t of `warmup`. */
static double warmed(double shape, double t, double warmup)
{
    if (shape == LOGARITHMIC)
        return lrc_log(1.0 + t) / lrc_log(1.0 + warmup);
    return bend(shape, t / warmup);
}

static double value(const lrc_schedule *s, int64_t t)
{
    schedule_function *proper = functions[s->kind];
    if ((double)t >= s->warmup)
        return proper(s, t);
    double start = proper(s, (int64_t)s->warmup);
    return mix(start, s->warmup_start, warmed(s->warmup_shape, (double)t, s->warmup));
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
    for (int i = 0; i < s->parts; i++)
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
