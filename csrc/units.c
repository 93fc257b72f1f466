#include "units.h"
#include "reduce.h"

/* How much of what ends at `end` is the block that starts at `at`. */
static size_t block_size(int64_t at, int64_t end)
{
    return end - at < LRC_BLOCK ? (size_t)(end - at) : LRC_BLOCK;
}

static double many(size_t n, const real *a, lrc_lanes *lanes)
{
    NAME(sum)(n, a, a, lanes);
    return NAME(total)(lanes);
}

static double unit_factor(double pp, double gg, double scale, double clip, double least_norm)
{
    double p = sqrt(pp), g = sqrt(gg) * (scale < 0 ? -scale : scale);
    double most = clip * (p > least_norm ? p : least_norm);
    return g < most ? 1 : most / (g > 1e-6 ? g : 1e-6);
}

/* As many rows at a time as a block holds; of a longer row, a block at a time. */
static void unit_rows(const lrc_tensor *x, int64_t first, int64_t n, double scale, double clip,
                      double least_norm, real *factors)
{
    real g_buf[LRC_BLOCK], p_buf[LRC_BLOCK];
    int64_t size = x->n / (x->units > 1 ? x->units : 1);
    int64_t rows = size && size < LRC_LANES ? LRC_BLOCK / size : 1;
    for (int64_t u = first, end = first + n, m; u < end; u += m) {
        lrc_lanes g = {0}, p = {0};
        double gg = 0, pp = 0;
        m = rows < end - u ? rows : end - u;
        for (int64_t at = u * size, stop = (u + m) * size; at < stop; at += LRC_BLOCK) {
            size_t k = block_size(at, stop);
            const real *gs = NAME(load)(x, at, k, g_buf), *ps = NAME(fetch_p)(x, at, k, p_buf);
            for (int64_t i = 0; size < LRC_LANES && i < m; i++)
                factors[u + i] = (real)unit_factor(NAME(few)((size_t)size, ps + i * size),
                                                   NAME(few)((size_t)size, gs + i * size), scale,
                                                   clip, least_norm);
            if (size >= LRC_LANES) {
                gg = many(k, gs, &g);
                pp = many(k, ps, &p);
            }
        }
        if (size >= LRC_LANES || size == 0)
            factors[u] = (real)unit_factor(pp, gg, scale, clip, least_norm);
    }
}

/* At most a block of columns: all of them, as many rows at a time as a block holds; or some. */
static void unit_columns(const lrc_tensor *x, int64_t first, int64_t n, double scale, double clip,
                         double least_norm, real *factors)
{
    real g_buf[LRC_BLOCK], p_buf[LRC_BLOCK];
    double gg[LRC_BLOCK] = {0}, pp[LRC_BLOCK] = {0};
    int64_t rows = n == x->units ? LRC_BLOCK / n : 1, step = rows * x->units;
    for (int64_t at = first; at < x->n; at += step) {
        int64_t left = (x->n - at + x->units - 1) / x->units, m = rows < left ? rows : left;
        const real *g = NAME(load)(x, at, (size_t)(m * n), g_buf),
                   *p = NAME(fetch_p)(x, at, (size_t)(m * n), p_buf);
        for (int64_t r = 0; r < m; r++)
            for (int64_t i = 0; i < n; i++) {
                gg[i] += (double)g[r * n + i] * (double)g[r * n + i];
                pp[i] += (double)p[r * n + i] * (double)p[r * n + i];
            }
    }
    for (int64_t i = 0; i < n; i++)
        factors[first + i] = (real)unit_factor(pp[i], gg[i], scale, clip, least_norm);
}

void NAME(units)(const lrc_tensor *x, int64_t first, int64_t n, double scale, double clip,
                 double least_norm, void *factors)
{
    (x->unit_columns ? unit_columns : unit_rows)(x, first, n, scale, clip, least_norm, factors);
}
