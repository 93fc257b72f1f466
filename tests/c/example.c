/* A training loop in C, without Python: AdamW with warm-up and a cosine on
 *
 *     f(w) = 1/2 sum_i curve_i (w_i - target_i)^2
 *
 * Build it with any C compiler (python -c "import lrcore; print(lrcore.get_include())" and
 * get_library() say where things are):
 *
 *     cc example.c -I INCLUDE LIBRARY -lpthread -lm
 */
#include <lrcore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 20000, STEPS = 300 };

int main(void)
{
    /* The caller owns all arrays. The state begins as the table says: here zero. */
    float *w = calloc(N, sizeof *w), *grad = calloc(N, sizeof *grad);
    float *m = calloc(N, sizeof *m), *v = calloc(N, sizeof *v);
    if (!w || !grad || !m || !v)
        return 1;

    lrc_schedule lr = {.kind = LRC_COSINE, .arg = {0.05, STEPS, 0.0}, .warmup = 20};
    lrc_tensor tensor = {
        .p = w, .n = N, .dtype = LRC_F32, .state = {m, v}, .g = grad, .g_dtype = LRC_F32};
    /* lr, beta1, beta2, eps, weight_decay, amsgrad: the order of the row in rules.def. The schedule
     * supplies the first of them. */
    lrc_group group = {.h = {0, 0.9, 0.999, 1e-8, 1e-4, 0}, .schedule = {&lr}};
    lrc_plan *plan = lrc_plan_new(LRC_ADAMW, 1, &tensor, 1, &group);
    if (!plan)
        return 1;
    plan->clip_norm = 100.0;

    while (plan->t < STEPS) {
        for (int i = 0; i < N; i++) {
            float curve = (float)(1 << i % 4), target = (float)(i % 100) / 64;
            grad[i] = curve * (w[i] - target);
        }
        if (!lrc_step(plan)) {
            fprintf(stderr, "the gradient is not finite at update %lld\n", (long long)plan->t);
            return 1;
        }
    }

    uint32_t checksum = 0, bits;
    for (int i = 0; i < N; i++) {
        memcpy(&bits, &w[i], sizeof bits);
        checksum = checksum * 31 + bits;
    }
    printf("updates: %lld\n", (long long)plan->t);
    printf("last learning rate: %a\n", lrc_schedule_at(&lr, STEPS - 1));
    printf("last gradient norm: %a\n", plan->grad_norm);
    printf("last weights: %a %a %a\n", (double)w[N - 3], (double)w[N - 2], (double)w[N - 1]);
    printf("checksum of the weights: %08x\n", (unsigned)checksum);
    lrc_plan_free(plan);
    free(w);
    free(grad);
    free(m);
    free(v);
    return 0;
}
