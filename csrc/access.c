#include "access.h"

#include <string.h>

static int g_dtype(const lrc_tensor *x) { return x->g_dtype == LRC_REAL ? REAL_DTYPE : x->g_dtype; }

/* How many of the elements that are left are in this row. */
static size_t run_of(int64_t in_row, size_t left)
{
    return (size_t)in_row < left ? (size_t)in_row : left;
}

static void zero_run(size_t width, int64_t n, char *g, int64_t stride)
{
    const uint64_t nothing = 0;
    if (width == 4)
        for (int64_t i = 0; i < n; i++)
            memcpy(g + i * stride, &nothing, 4);
    else if (width == 8)
        for (int64_t i = 0; i < n; i++)
            memcpy(g + i * stride, &nothing, 8);
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(g + i * stride, &nothing, 2);
}

/* Elements at .. at + n - 1, in C order, of a gradient of any shape and strides: read into out, or
 * set to zero where out is NULL. */
static void strided(const lrc_tensor *x, int64_t at, int64_t n, real *out)
{
    int last = x->g_ndim - 1, dtype = g_dtype(x);
    int64_t index[LRC_MAX_DIMS], rest = at;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % x->g_shape[d];
        rest /= x->g_shape[d];
    }
    while (n > 0) {
        char *g = (char *)(uintptr_t)x->g;
        for (int d = 0; d <= last; d++)
            g += index[d] * x->g_stride[d];
        int64_t run = x->g_shape[last] - index[last];
        run = run < n ? run : n;
        if (out) {
            NAME(gather)(dtype, (size_t)run, g, x->g_stride[last], out);
            out += run;
        } else
            zero_run((size_t)NAME(width)[dtype], run, g, x->g_stride[last]);
        n -= run;
        index[last] = 0;
        for (int d = last - 1; d >= 0 && ++index[d] == x->g_shape[d]; d--)
            index[d] = 0;
    }
}

/* Whether the rows of the gradient are in another order, or several are of one row. */
static int is_jumbled(const lrc_tensor *x) { return x->rows && x->place; }

const real *NAME(in_place)(const lrc_tensor *x)
{
    return x->g_ndim == 0 && !is_jumbled(x) && g_dtype(x) == REAL_DTYPE ? x->g : NULL;
}

/* Rows of one element, in reals. */
static void add_up_elements(const lrc_tensor *x, int64_t at, size_t n, real *out)
{
    const real *g = x->g;
    const int64_t *first = x->first + at;
    for (size_t i = 0; i < n; i++) {
        real sum = g[x->place[first[i]]];
        for (int64_t k = first[i] + 1; k < first[i + 1]; k++)
            sum = sum + g[x->place[k]];
        out[i] = sum;
    }
}

/* Adds up row by row what belongs to each. */
static void add_up(const lrc_tensor *x, int64_t at, size_t n, real *out)
{
    real buf[LRC_BLOCK];
    const lrc_array g = {(void *)(uintptr_t)x->g, NULL, g_dtype(x), 0};
    int64_t size = lrc_row(x), r = at / size, column = at % size;
    if (size == 1 && g.dtype == REAL_DTYPE) {
        add_up_elements(x, at, n, out);
        return;
    }
    for (size_t done = 0, run; done < n; done += run, r++, column = 0) {
        run = run_of(size - column, n - done);
        for (int64_t k = x->first[r]; k < x->first[r + 1]; k++) {
            const real *part = NAME(decode)(&g, x->place[k] * size + column, run, buf);
            if (k == x->first[r])
                memcpy(out + done, part, run * sizeof(real));
            else
                for (size_t i = 0; i < run; i++)
                    out[done + i] = out[done + i] + part[i];
        }
    }
}

const real *NAME(load)(const lrc_tensor *x, int64_t at, size_t n, real *buf)
{
    if (x->g_ndim) {
        strided(x, at, (int64_t)n, buf);
        return buf;
    }
    if (is_jumbled(x)) {
        add_up(x, at, n, buf);
        return buf;
    }
    const lrc_array g = {(void *)(uintptr_t)x->g, NULL, g_dtype(x), 0};
    return NAME(decode)(&g, at, n, buf);
}

void NAME(zero_gradient)(const lrc_tensor *x, int64_t at, size_t n)
{
    int64_t width = NAME(width)[g_dtype(x)];
    if (x->g_ndim)
        strided(x, at, (int64_t)n, NULL);
    else
        memset((char *)(uintptr_t)x->g + at * width, 0, n * (size_t)width);
}

/* ---------------------------------------------------------------------------- named rows */

/* Rows of one element: copies n of `width` bytes, to[to_row[i]] = from[from_row[i]]; without a list of
 * rows from or to the i-th. */
#define COPY(width)                                          \
    for (size_t i = 0; i < n; i++)                           \
    memcpy(to + (to_row ? to_row[i] : (int64_t)i) * (width), \
           from + (from_row ? from_row[i] : (int64_t)i) * (width), width)

static void copy_elements(size_t n, int64_t width, const char *from, const int64_t *from_row,
                          char *to, const int64_t *to_row)
{
    if (width == 4)
        COPY(4);
    else if (width == 8)
        COPY(8);
    else
        COPY(2);
}

void NAME(collect)(const lrc_tensor *x, int64_t at, size_t n, int64_t width, const void *from,
                   void *to)
{
    int64_t size = lrc_row(x), r = at / size, column = at % size;
    char *out = to;
    if (size == 1) {
        copy_elements(n, width, from, x->rows + at, to, NULL);
        return;
    }
    for (size_t run; n; n -= run, out += (int64_t)run * width, r++, column = 0) {
        run = run_of(size - column, n);
        memcpy(out, (const char *)from + (x->rows[r] * size + column) * width, run * (size_t)width);
    }
}

void NAME(scatter)(const lrc_tensor *x, int64_t at, size_t n, int64_t width, const void *from,
                   void *to)
{
    int64_t size = lrc_row(x), r = at / size, column = at % size;
    const char *in = from;
    if (size == 1) {
        copy_elements(n, width, from, NULL, to, x->rows + at);
        return;
    }
    for (size_t run; n; n -= run, in += (int64_t)run * width, r++, column = 0) {
        run = run_of(size - column, n);
        memcpy((char *)to + (x->rows[r] * size + column) * width, in, run * (size_t)width);
    }
}

real *NAME(spread)(int64_t size, int64_t at, size_t n, const real *rows, real *buf)
{
    int64_t r = at / size, column = at % size;
    if (size == 1)
        return (real *)(uintptr_t)rows + at;
    for (size_t done = 0, run; done < n; done += run, r++, column = 0) {
        run = run_of(size - column, n - done);
        for (size_t i = 0; i < run; i++)
            buf[done + i] = rows[r];
    }
    return buf;
}

/* --------------------------------------------------------------- arrays in any format */

real *NAME(fetch)(const lrc_tensor *x, const lrc_array *a, int64_t at, size_t n, real *buf)
{
    float raw[LRC_BLOCK]; /* or less than a float each */
    if (!x->rows)
        return NAME(decode)(a, at, n, buf);
    if (is_real(a->dtype)) {
        NAME(collect)(x, at, n, sizeof(real), a->data, buf);
        return buf;
    }
    const lrc_array b = {raw, NULL, a->dtype, 0};
    NAME(collect)(x, at, n, NAME(width)[a->dtype], a->data, raw);
    return NAME(decode)(&b, 0, n, buf);
}

void NAME(keep)(const lrc_tensor *x, const lrc_array *a, int64_t at, size_t n, const real *from,
                const uint32_t *random, int odd)
{
    float raw[LRC_BLOCK];
    const lrc_array b = {raw, NULL, a->dtype, 0};
    if (!x->rows)
        NAME(encode)(a, at, n, from, random, odd);
    else if (is_real(a->dtype))
        NAME(scatter)(x, at, n, sizeof(real), from, a->data);
    else {
        NAME(encode)(&b, 0, n, from, random, odd);
        NAME(scatter)(x, at, n, NAME(width)[a->dtype], raw, a->data);
    }
}

static void fetch_split(const lrc_tensor *x, int64_t at, size_t n, real *buf)
{
    uint16_t upper[LRC_BLOCK], lower[LRC_BLOCK];
    if (!x->rows) {
        NAME(join)(n, (const uint16_t *)x->p + at, (const uint16_t *)x->master + at, buf);
        return;
    }
    NAME(collect)(x, at, n, sizeof *upper, x->p, upper);
    NAME(collect)(x, at, n, sizeof *lower, x->master, lower);
    NAME(join)(n, upper, lower, buf);
}

void NAME(keep_split)(const lrc_tensor *x, int64_t at, size_t n, const real *from)
{
    uint16_t upper[LRC_BLOCK], lower[LRC_BLOCK];
    if (!x->rows) {
        NAME(split)(n, from, (uint16_t *)x->p + at, (uint16_t *)x->master + at);
        return;
    }
    NAME(split)(n, from, upper, lower);
    NAME(scatter)(x, at, n, sizeof *upper, upper, x->p);
    NAME(scatter)(x, at, n, sizeof *lower, lower, x->master);
}

real *NAME(fetch_p)(const lrc_tensor *x, int64_t at, size_t n, real *buf)
{
    if (x->master_kind == LRC_SPLIT) {
        fetch_split(x, at, n, buf);
        return buf;
    }
    int master = x->master_kind == LRC_MASTER;
    const lrc_array p = {master ? x->master : x->p, NULL, master ? LRC_F32 : x->dtype, 0};
    return NAME(fetch)(x, &p, at, n, buf);
}
