#include "roofline.h"
#include "reduce.h"

#include <string.h>

enum { ARRAYS = LRC_MAX_STATES + LRC_AVERAGES + 3, AT_ONCE = 4 };

/* What a step touches of a block: arrays of reals, and bytes of anything else. */
typedef struct {
    int reals, others;
    real *real_array[ARRAYS + AT_ONCE];
    char *other[ARRAYS];
    size_t size[ARRAYS];
} touched;

static void add(touched *t, void *data, int dtype, int64_t at, size_t n)
{
    if (!data)
        return;
    char *from = (char *)data + at * NAME(width)[dtype];
    if (dtype == REAL_DTYPE || dtype == LRC_REAL)
        t->real_array[t->reals++] = (real *)(void *)from;
    else {
        t->other[t->others] = from;
        t->size[t->others++] = n * (size_t)NAME(width)[dtype];
    }
}

/* `count` arrays (1 to AT_ONCE) read and written beside one that is read: in one loop, as a rule's
 * are. 0 g could be NaN and is not folded away. */
static void roof(size_t n, int count, const real *restrict g, real *const *x)
{
    real *restrict a = x[0], *restrict b = x[1], *restrict c = x[2], *restrict d = x[3];
    const real zero = 0;
    if (count == 1)
        EACH (i, n)
            a[i] = a[i] + zero * g[i];
    else if (count == 2)
        EACH (i, n) {
            a[i] = a[i] + zero * g[i];
            b[i] = b[i] + zero * g[i];
        }
    else if (count == 3)
        EACH (i, n) {
            a[i] = a[i] + zero * g[i];
            b[i] = b[i] + zero * g[i];
            c[i] = c[i] + zero * g[i];
        }
    else
        EACH (i, n) {
            a[i] = a[i] + zero * g[i];
            b[i] = b[i] + zero * g[i];
            c[i] = c[i] + zero * g[i];
            d[i] = d[i] + zero * g[i];
        }
}

/* Words read and written as they are; the compiler cannot know that `nothing` is 0. */
static volatile const uint32_t nothing = 0;

static void pass(size_t size, char *bytes, int write)
{
    uint32_t *words = (uint32_t *)(void *)bytes, zero = nothing, any = 0;
    size_t n = size / sizeof *words;
    if (write)
        EACH (i, n)
            words[i] = words[i] + zero;
    else {
        for (size_t i = 0; i < n; i++)
            any |= words[i];
        memcpy(bytes, &any, any & zero);
    }
}

/* What a sweep of this kind touches of the elements from `at` on; apart, the gradient. */
static void collect(const lrc_tensor *x, const lrc_constants *c, int kind, int64_t at, size_t n,
                    touched *t, touched *given)
{
    int write = kind == LRC_WRITE;
    t->reals = t->others = given->reals = given->others = 0;
    add(t, kind == LRC_LOOK ? NULL : x->p, x->dtype, at, n);
    for (int j = 0; kind != LRC_LOOK && j < LRC_MAX_STATES; j++)
        if ((!(c->of_rows >> j & 1) || lrc_row(x) == 1) &&
            !(c->row_shares && (j == c->per_row || j == c->per_column)))
            add(t, x->state[j], x->state_dtype, at, n);
    for (int j = 0; write && j < LRC_AVERAGES; j++)
        if (c->average[j] != 0)
            add(t, x->average[j], LRC_REAL, at, n);
    if (kind != LRC_LOOK)
        add(t, x->master, x->master_kind == LRC_SPLIT ? LRC_BF16 : LRC_F32, at, n);
    if (x->g_ndim == 0)
        add(given, (void *)(uintptr_t)x->g, x->g_dtype == LRC_REAL ? REAL_DTYPE : x->g_dtype, at,
            n);
}

void NAME(roofline)(const lrc_tensor *x, lrc_chunk k, const lrc_constants *c, int kind)
{
    touched t = {0}, given = {0};
    int write = kind == LRC_WRITE;
    collect(x, c, kind, k.start, 0, &t, &given);
    /* One loop over all of it, as a rule's is where there is no stage beside it. */
    int alone = write && t.reals <= AT_ONCE && given.reals && !t.others && !c->zero_grads;
    int64_t block = alone ? k.n : LRC_BLOCK;
    for (int64_t at = k.start, end = k.start + k.n; at < end; at += block) {
        size_t n = end - at < block ? (size_t)(end - at) : (size_t)block;
        collect(x, c, kind, at, n, &t, &given);
        const real *g = given.reals ? given.real_array[0] : t.real_array[0];
        for (int j = 0; j < t.reals; j += AT_ONCE)
            if (write)
                roof(n, t.reals - j, g, t.real_array + j);
        for (int j = 0; !write && j < t.reals; j++)
            (void)NAME(finite)(n, t.real_array[j]);
        if (!write && given.reals)
            (void)NAME(finite)(n, g);
        for (int j = 0; j < t.others; j++)
            pass(t.size[j], t.other[j], write);
        if (given.others)
            pass(given.size[0], given.other[0], write && c->zero_grads);
        else if (given.reals && c->zero_grads && write)
            pass(n * sizeof(real), (char *)given.real_array[0], 1);
    }
}
