#include "factors.h"

_Static_assert(LRC_STRIP / LRC_LANES == LRC_BAND && LRC_BLOCK == LRC_STRIP,
               "no sum in real is of more numbers in one direction than in the other");

static inline double tree(const real *lane, size_t half)
{
    double sum[LRC_LANES];
    for (size_t j = 0; j < half; j++)
        sum[j] = (double)lane[j] + (double)lane[j + half];
    for (size_t w = half / 2; w; w /= 2)
        for (size_t j = 0; j < w; j++)
            sum[j] += sum[j + w];
    return sum[0];
}

static inline double row(size_t n, const real *restrict a, real *restrict columns)
{
    real lane[LRC_LANES] = {0};
    size_t i = 0, rest = n % LRC_LANES;
    for (; i < n - rest; i += LRC_LANES)
        for (size_t j = 0; j < LRC_LANES; j++) {
            real square = a[i + j] * a[i + j];
            lane[j] += square;
            columns[i + j] += square;
        }
    for (size_t j = 0; j < rest; j++) {
        real square = a[i + j] * a[i + j];
        lane[j] += square;
        columns[i + j] += square;
    }
    return tree(lane, LRC_LANES / 2);
}

/* Fewer elements than lanes: those beyond are zero. */
static inline double short_row(size_t n, const real *restrict a, real *restrict columns)
{
    real lane[LRC_LANES] = {0};
    size_t half = 1;
    for (size_t i = 0; i < n; i++) {
        lane[i] = a[i] * a[i];
        columns[i] += lane[i];
    }
    while (2 * half < n)
        half *= 2;
    return tree(lane, half);
}

void NAME(tile)(size_t count, size_t width, const real *g, double *rows, real *columns)
{
    if (width < LRC_LANES)
        for (size_t i = 0; i < count; i++)
            rows[i] = short_row(width, g + i * width, columns);
    else
        for (size_t i = 0; i < count; i++)
            rows[i] = row(width, g + i * width, columns);
}

#define MEANS                                                  \
    double total[LRC_BLOCK] = {0};                             \
    for (int64_t k = 0; k < parts; k++) {                      \
        EACH (i, n)                                            \
            total[i] += (double)sums[k * stride + (int64_t)i]; \
    }                                                          \
    EACH (i, n)                                                \
    mean[i] = (real)(total[i] / (double)length)

void NAME(row_means)(size_t n, int64_t parts, int64_t stride, const double *sums, int64_t length,
                     real *mean)
{
    MEANS;
}

void NAME(column_means)(size_t n, int64_t parts, int64_t stride, const real *sums, int64_t length,
                        real *mean)
{
    MEANS;
}

real NAME(mean)(size_t n, const real *x)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return (real)(sum / (double)n);
}

real *NAME(product)(const lrc_tensor *x, int64_t at, size_t n, const real *rows,
                    const real *columns, real *out)
{
    int64_t width = x->width, end = at + (int64_t)n, row = at / width, column = at % width;
    for (int64_t i = at, run; i < end; i += run) {
        const real *c = columns + row / x->height * width + column;
        real *to = out + (i - at), share = rows[row++];
        run = width - column < end - i ? width - column : end - i;
        column = 0;
        EACH (j, (size_t)run)
            to[j] = share * c[j];
    }
    return out;
}
