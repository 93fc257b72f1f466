/* Which rows a gradient is of: sorted, and those named twice brought together. */
#include "lrcore.h"

#include <string.h>

static const int64_t none = 0;

enum { BITS = 11, BUCKETS = 1 << BITS };

/* One pass of a radix sort: by the digit at `shift`, those of one digit in the order they have. Beside
 * the n keys lie n places, which go with them. */
static void pass(int64_t n, int shift, const int64_t *from, int64_t *to)
{
    int64_t next[BUCKETS] = {0}, at = 0;
    for (int64_t i = 0; i < n; i++)
        next[from[i] >> shift & (BUCKETS - 1)]++;
    for (int digit = 0; digit < BUCKETS; digit++) {
        int64_t count = next[digit];
        next[digit] = at;
        at += count;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t k = next[from[i] >> shift & (BUCKETS - 1)]++;
        to[k] = from[i];
        to[n + k] = from[n + i];
    }
}

/* Leaves each key once; where those that were alike begin goes to `first`. Returns how many. */
static int64_t unite(int64_t n, int64_t *key, int64_t *first)
{
    int64_t count = 0, before = -1;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = key[i];
        if (row != before) {
            key[count] = row;
            first[count++] = i;
        }
        before = row;
    }
    first[count] = n;
    return count;
}

int64_t lrc_name_rows(lrc_tensor *x, int64_t height, int64_t n, const int64_t *indices,
                      int64_t *room)
{
    int64_t *a = room, *b = room + 2 * n; /* keys, then where they were */
    int64_t before = -1;
    int sorted = 1, increasing = 1;
    x->rows = NULL;
    for (int64_t i = 0; i < n; i++) {
        if (indices[i] < 0 || indices[i] >= height)
            return i;
        sorted &= indices[i] >= before;
        increasing &= indices[i] > before;
        before = indices[i];
    }
    x->n_rows = n;
    x->rows = n ? indices : &none;
    x->first = x->place = NULL;
    if (increasing)
        return -1;
    memcpy(a, indices, (size_t)n * sizeof *a);
    for (int64_t i = 0; i < n; i++)
        a[n + i] = i;
    for (int shift = 0; !sorted && shift < 63 && (height - 1) >> shift; shift += BITS) {
        pass(n, shift, a, b);
        int64_t *sorted_by_this = b;
        b = a;
        a = sorted_by_this;
    }
    x->n_rows = unite(n, a, b);
    x->rows = a;
    x->place = a + n;
    x->first = b;
    return -1;
}
