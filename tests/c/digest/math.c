/* The functions of csrc/math.c. */
#include "digest.h"

#include <stdio.h>
#include <string.h>

enum { POINTS = 100000 };

static double any_bits(uint64_t *seed)
{
    uint64_t bits = draw(seed);
    double x;
    if (bits % 8 == 0)
        return wild_f64[(bits >> 8) % WILD];
    bits = draw(seed);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double exp_at(int i, uint64_t *seed)
{
    return lrc_exp(i % 4 ? tame(seed) * (i % 3 ? 95.0 : 1.0) : any_bits(seed));
}

static double log_at(int i, uint64_t *seed)
{
    return lrc_log(i % 4 ? 8.0 + tame(seed) * (i % 3 ? 1.0 : 0x1p-10) : any_bits(seed));
}

static double pow_at(int i, uint64_t *seed)
{
    static const double betas[] = {0.9, 0.95, 0.99, 0.999, 0.9999};
    if (i % 4 == 0)
        return lrc_pow(betas[i / 4 % 5], i / 20.0);
    if (i % 4 == 1)
        return lrc_pow(betas[i / 4 % 5], i / 20); /* whole */
    double x = any_bits(seed), y = any_bits(seed), z = tame(seed);
    if (i % 4 == 2)
        return lrc_pow((z + 8.0) * 0.125, tame(seed) * 40.0);
    return lrc_pow(x, i % 8 == 3 ? y : (double)(i % 101 - 50));
}

static double cospi_at(int i, uint64_t *seed)
{
    return lrc_cospi(i % 4 ? tame(seed) * 0.125 : any_bits(seed));
}

static const struct {
    const char *name;
    double (*at)(int i, uint64_t *seed);
} functions[] = {{"exp", exp_at}, {"log", log_at}, {"pow", pow_at}, {"cospi", cospi_at}};

static uint64_t function_digest(double (*at)(int i, uint64_t *seed))
{
    uint64_t seed = 3, digest = 0;
    for (int i = 0; i < POINTS; i++)
        digest = digest_f64(digest, at(i, &seed));
    return digest;
}

void print_math(void)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        printf("math %s %016llx\n", functions[i].name,
               (unsigned long long)function_digest(functions[i].at));
}
