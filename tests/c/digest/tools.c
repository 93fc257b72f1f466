/* Digests, inputs, and names in the tables. */
#include "digest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int threads[THREADS] = {1, 3};

void fail(const char *what, const char *name)
{
    fprintf(stderr, "digest: %s: %s\n", name, what);
    exit(1);
}

void *allocate(size_t size)
{
    void *p = calloc(1, size + 1);
    if (!p)
        fail("there is no memory", "allocate");
    return p;
}

/* ---------------------------------------------------------------------------- digests */

uint64_t digest_word(uint64_t digest, uint64_t word)
{
    digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
    return digest ^ digest >> 32;
}

uint64_t digest_f64(uint64_t digest, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return digest_word(digest, x != x ? 0x7ff8000000000000u : bits); /* a NaN is a NaN */
}

static uint64_t digest_f32(uint64_t digest, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return digest_word(digest, x != x ? 0x7fc00000u : bits);
}

static uint64_t digest_half(uint64_t digest, uint16_t bits, uint16_t inf)
{
    int nan = (bits & 0x7fff) > inf;
    return digest_word(digest, nan ? inf | 1u : bits);
}

uint64_t digest_array(uint64_t digest, int dtype, int64_t n, const void *x)
{
    for (int64_t i = 0; i < n; i++)
        switch (dtype) {
        case LRC_F32:
            digest = digest_f32(digest, ((const float *)x)[i]);
            break;
        case LRC_F64:
            digest = digest_f64(digest, ((const double *)x)[i]);
            break;
        case LRC_F16:
            digest = digest_half(digest, ((const uint16_t *)x)[i], 0x7c00);
            break;
        case LRC_BF16:
            digest = digest_half(digest, ((const uint16_t *)x)[i], 0x7f80);
            break;
        case LRC_Q8:
            digest = digest_word(digest, ((const uint8_t *)x)[i]);
            break;
        default:
            digest = digest_word(digest, ((const uint16_t *)x)[i]);
        }
    return digest;
}

/* ----------------------------------------------------------------------------- inputs */

uint64_t draw(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

double tame(uint64_t *seed) { return ((double)(draw(seed) >> 40) - 0x1p23) * 0x1p-20; }

/* clang-format off */
static const float wild_f32[WILD] = {
    0.0f, 0x1p-149f, 0x1.fffffcp-127f, 0x1p-126f, 0x1.8p-100f, 0x1.4p-23f,
    -0.0f, -0x1p-149f, -0x1.8p-130f, -0x1p-126f, -0x1.2p-64f, 0x1p63f,
    0x1.fffffep127f, -0x1.fffffep127f, -0x1.8p64f, INFINITY, -INFINITY, NAN};

const double wild_f64[WILD] = {
    0.0, 0x1p-1074, 0x1.ffffffffffffep-1023, 0x1p-1022, 0x1.8p-800, 0x1.4p-52,
    -0.0, -0x1p-1074, -0x1.8p-1030, -0x1p-1022, -0x1.2p-512, 0x1p511,
    0x1.fffffffffffffp1023, -0x1.fffffffffffffp1023, -0x1.8p512, INFINITY, -INFINITY, NAN};
/* clang-format on */

void put(void *x, int dtype, int64_t i, int wild, uint64_t *seed)
{
    uint64_t choice = draw(seed);
    double plain = tame(seed);
    int special = wild && choice & 1;
    if (dtype == LRC_F32)
        ((float *)x)[i] = special ? wild_f32[(choice >> 8) % WILD] : (float)plain;
    else if (dtype == LRC_F64)
        ((double *)x)[i] = special ? wild_f64[(choice >> 8) % WILD] : plain;
    else if (special)
        ((uint16_t *)x)[i] = (uint16_t)(choice >> 8);
    else if (dtype == LRC_F16) /* sign, an exponent of 2^-8 to 2^7, any significand */
        ((uint16_t *)x)[i] = (uint16_t)((choice & 0x83ff) | (7 + (choice >> 20) % 16) << 10);
    else
        ((uint16_t *)x)[i] = (uint16_t)((choice & 0x807f) | (119 + (choice >> 20) % 16) << 7);
}

size_t size_of(int dtype)
{
    return dtype == LRC_F64 ? 8 : dtype == LRC_F32 ? 4 : dtype == LRC_Q8 ? 1 : 2;
}

/* ------------------------------------------------------------------- lists of names */

const named *look_up(const named *table, const char *name, size_t length)
{
    while (table->name && (strlen(table->name) != length || strncmp(table->name, name, length)))
        table++;
    return table;
}

const char *name_at(const char *names, int i, size_t *length)
{
    while (i-- && *names) {
        names += strcspn(names, ",");
        names += strspn(names, ", ");
    }
    *length = strcspn(names, ",");
    return *names ? names : NULL;
}

int find(const char *names, const char *name, size_t length)
{
    size_t n;
    const char *at;
    for (int i = 0; (at = name_at(names, i, &n)); i++)
        if (n == length && strncmp(at, name, n) == 0)
            return i;
    return -1;
}

int position(const char *names, const char *name, size_t length)
{
    int i = find(names, name, length);
    if (i < 0)
        fail("a note of the table names what is not there", name);
    return i;
}
