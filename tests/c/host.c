/* A host with threads of its own: the same bits from the library's pool with 1, 3 and 1000 threads
 * asked for, to several callers at once, and from lrc_set_parallel_for with threads that round
 * upwards. Prints a line a case; exits with 1 where one differs, or where a host's thread does not
 * get its rounding mode back. */
#include <lrcore.h>

#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 100001, STEPS = 3, HANDS = 4 };

typedef struct {
    size_t first, n;
    void (*task)(void *context, size_t i);
    void *context;
} share;

static int calls, wrong_mode;

static void *hand(void *mine)
{
    share *s = mine;
    fesetround(FE_UPWARD);
    for (size_t i = s->n; i-- > 0;) /* any order will do */
        if (i % HANDS == s->first)
            s->task(s->context, i);
    return fegetround() == FE_UPWARD ? NULL : mine;
}

static void my_parallel_for(size_t n, void (*task)(void *context, size_t i), void *context)
{
    pthread_t thread[HANDS];
    share shares[HANDS];
    calls++;
    for (size_t k = 0; k < HANDS; k++) {
        shares[k] = (share){k, n, task, context};
        if (pthread_create(&thread[k], NULL, hand, &shares[k]))
            exit(2);
    }
    for (size_t k = 0; k < HANDS; k++) {
        void *failed;
        pthread_join(thread[k], &failed);
        wrong_mode |= failed != NULL;
    }
}

static void steps(float *p)
{
    float *g = calloc(N, sizeof *g), *m = calloc(N, sizeof *m), *v = calloc(N, sizeof *v);
    if (!g || !m || !v)
        exit(2);
    for (int i = 0; i < N; i++)
        p[i] = (float)(i % 977) / 3 - 100;
    lrc_tensor x = {.p = p, .n = N, .dtype = LRC_F32, .state = {m, v}, .g = g, .g_dtype = LRC_F32};
    lrc_group group = {.h = {0.01, 0.9, 0.999, 1e-6, 0.01}};
    lrc_plan *plan = lrc_plan_new(LRC_LAMB, 1, &x, 1, &group); /* three sweeps with clip_norm */
    if (!plan)
        exit(2);
    plan->clip_norm = 1;
    for (int t = 0; t < STEPS; t++) {
        for (int i = 0; i < N; i++)
            g[i] = p[i] / 7 + (float)((i + t) % 31);
        lrc_step(plan);
    }
    lrc_plan_free(plan);
    free(g);
    free(m);
    free(v);
}

static void *call(void *p)
{
    for (int i = 0; i < 5; i++)
        steps(p);
    return NULL;
}

static int same(const char *what, const float *expected, const float *got)
{
    int equal = memcmp(expected, got, N * sizeof *got) == 0;
    printf("%s: %s\n", what, equal ? "the same bits" : "DIFFERENT");
    return equal;
}

int main(void)
{
    static float one[N], p[N], each[HANDS][N];
    pthread_t thread[HANDS];
    int good = 1;
    lrc_set_parallel_from(0);
    lrc_set_num_threads(1);
    steps(one);
    lrc_set_num_threads(3);
    steps(p);
    good &= same("3 threads", one, p);
    lrc_set_num_threads(1000);
    steps(p);
    good &= same("1000 threads", one, p);

    lrc_set_num_threads(2);
    for (int k = 0; k < HANDS; k++)
        if (pthread_create(&thread[k], NULL, call, each[k]))
            exit(2);
    for (int k = 0; k < HANDS; k++) {
        pthread_join(thread[k], NULL);
        good &= same("a caller among others", one, each[k]);
    }

    lrc_set_parallel_for(my_parallel_for);
    steps(p);
    good &= same("a host's threads that round upwards", one, p);
    if (calls != 3 * STEPS || wrong_mode) {
        printf("the host was called %d times instead of %d; rounding mode kept: %s\n", calls,
               3 * STEPS, wrong_mode ? "no" : "yes");
        good = 0;
    }
    lrc_set_parallel_for(NULL);
    steps(p);
    good &= same("the library's pool again", one, p);
    return !good;
}
