#include "reduce.h"

/* `n` is a multiple of LANES but for the last block of a chunk. The lanes live in registers. */
#define FOLD(term)                                \
    double lane[LRC_LANES];                       \
    for (size_t j = 0; j < LRC_LANES; j++)        \
        lane[j] = s->lane[j];                     \
    size_t whole = n - n % LRC_LANES;             \
    for (size_t i = 0; i < whole; i += LRC_LANES) \
        for (size_t j = 0; j < LRC_LANES; j++)    \
            lane[j] += (term);                    \
    for (size_t i = whole, j = 0; i + j < n; j++) \
        lane[j] += (term);                        \
    for (size_t j = 0; j < LRC_LANES; j++)        \
        s->lane[j] = lane[j];

void NAME(sum)(size_t n, const double *restrict x, lrc_lanes *restrict s) { FOLD(x[i + j]) }

void NAME(sum_squares)(size_t n, const real *restrict x, lrc_lanes *restrict s)
{
    FOLD((double)x[i + j] * (double)x[i + j])
}

double NAME(total)(const lrc_lanes *s)
{
    double lane[LRC_LANES];
    for (size_t j = 0; j < LRC_LANES; j++)
        lane[j] = s->lane[j];
    for (size_t w = LRC_LANES / 2; w; w /= 2)
        for (size_t j = 0; j < w; j++)
            lane[j] += lane[j + w];
    return lane[0];
}

/* x - x is 0 for every finite x and NaN for the others. */
int NAME(finite)(size_t n, const real *restrict x)
{
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= !(x[i] - x[i] == 0);
    return !bad;
}
