/* Training in 16 and 8 bits in C, without Python: bfloat16 parameters that are rounded
 * stochastically, Adam's state in 8 bits, an average of the parameters, scaled gradients that a step
 * leaves at zero, and what it says of itself, on the function of example.c:
 *
 *     f(w) = 1/2 sum_i curve_i (w_i - target_i)^2
 *
 * Prints what it comes to; exits with 1 where that is not what it should be. */
#include <lrcore.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 20000, STEPS = 200, BLOCKS = (N + LRC_Q8_BLOCK - 1) / LRC_Q8_BLOCK };

static const float scale = 1024;

/* A bfloat16 is the upper half of a float. */
static float value(uint16_t bfloat16)
{
    uint32_t bits = (uint32_t)bfloat16 << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float curve(int i) { return (float)(1 << i % 4); }

static float target(int i) { return (float)(i % 100) / 64; }

static double loss(const uint16_t *w)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double off = value(w[i]) - target(i);
        sum += 0.5 * curve(i) * off * off;
    }
    return sum;
}

static uint32_t checksum(const void *x, size_t bytes)
{
    const unsigned char *c = x;
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = sum * 31 + c[i];
    return sum;
}

static int failed;

static void expect(int holds, const char *what)
{
    if (!holds)
        fprintf(stderr, "narrow: it does not hold that %s\n", what);
    failed |= !holds;
}

static int is_near(double a, double b) { return fabs(a - b) <= 1e-4 * fabs(b); }

int main(void)
{
    /* All that a step needs beside parameters and gradients: 2 bytes of Adam's state an element,
     * and what the average and the statistics keep. Zero is what state begins at in 8 bits, too. */
    static uint16_t w[N];
    static float grad[N], average[N], trace[N];
    static uint8_t m[N], v[N], m_scale[BLOCKS], v_scale[BLOCKS];

    lrc_schedule lr = {.kind = LRC_COSINE, .arg = {0.05, STEPS, 0.001}, .warmup = 20};
    lrc_tensor tensor = {.p = w,
                         .n = N,
                         .dtype = LRC_BF16,
                         .g = grad,
                         .g_dtype = LRC_F32,
                         .state_dtype = LRC_Q8,
                         .state = {m, v},
                         .scale = {m_scale, v_scale},
                         .average = {[LRC_EMA] = average},
                         .trace = trace};
    lrc_group group = {
        .h = {0, 0.9, 0.999, 1e-8, 1e-4, 0}, .schedule = {&lr}, .rounding = LRC_STOCHASTIC};
    lrc_stats stats;
    lrc_plan *plan = lrc_plan_new(LRC_ADAMW, 1, &tensor, 1, &group);
    if (!plan)
        return 1;
    plan->seed = 7;
    plan->ema_decay = 0.9;
    plan->loss_scale = scale;
    plan->zero_grads = 1;
    plan->stats = &stats;

    double first = loss(w), grad2 = 0, param2 = 0;
    while (plan->t < STEPS) {
        grad2 = 0;
        for (int i = 0; i < N; i++) {
            expect(grad[i] == 0, "a step leaves gradients of zero");
            grad[i] = scale * (curve(i) * (value(w[i]) - target(i)));
            grad2 += (double)grad[i] * grad[i];
        }
        if (!lrc_step(plan)) {
            fprintf(stderr, "the gradient is not finite at update %lld\n", (long long)plan->t);
            return 1;
        }
    }
    for (int i = 0; i < N; i++)
        param2 += (double)value(w[i]) * value(w[i]);

    expect(loss(w) < first / 1000, "the loss has fallen to a thousandth");
    expect(is_near(stats.grad2, grad2), "grad2 is the sum of the gradient's squares");
    expect(is_near(stats.param2, param2), "param2 is the sum of the parameters' squares");
    expect(stats.step2 > 0 && stats.lost > 0, "some updates were made and some lost");
    expect(stats.nonfinite == 0 && stats.clip == 1, "nothing was clipped");
    expect(stats.divisor == scale, "the divisor is the loss scale");

    printf("updates: %lld\n", (long long)plan->t);
    printf("loss: %a\n", loss(w));
    printf("statistics: %a %a %a %a %a %a %a %g %g\n", stats.grad2, stats.param2, stats.step2,
           stats.dot, stats.dot_grad2, stats.trace2, stats.slope, stats.nonfinite, stats.lost);
    printf("last weights: %a %a %a\n", value(w[N - 3]), value(w[N - 2]), value(w[N - 1]));
    printf("their averages: %a %a %a\n", average[N - 3], average[N - 2], average[N - 1]);
    printf("checksum of the weights: %08x\n", (unsigned)checksum(w, sizeof w));
    printf("checksum of the state: %08x %08x %08x %08x\n", (unsigned)checksum(m, sizeof m),
           (unsigned)checksum(m_scale, sizeof m_scale), (unsigned)checksum(v, sizeof v),
           (unsigned)checksum(v_scale, sizeof v_scale));
    lrc_plan_free(plan);
    return failed;
}
