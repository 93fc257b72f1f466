/* Codecs between reals and the formats numbers are stored in. A rule sees reals only: where an array
 * holds reals already it is used where it stands, otherwise blocks of it are decoded and encoded. */
#ifndef LRC_STORAGE_H
#define LRC_STORAGE_H

#include "kernel.h"

/* An array as it is stored. `scale` and `positive` are of LRC_Q8 alone. */
typedef struct {
    void *data;
    uint8_t *scale;
    int dtype, positive;
} lrc_array;

/* Random bits for one block: those of draw d are half d % 2 of words for d / 2. State j has draw j;
 * that of the parameter is part of the promise of bits, whatever LRC_MAX_STATES may become. */
enum { LRC_DRAW_P = 6 };

typedef struct {
    uint32_t word[LRC_BLOCK];
    int made; /* which word is there; -1: none */
} lrc_draws;

extern const int64_t NAME(width)[];

/* Elements at .. at + n - 1, of which there are at most a block; `at` is a multiple of LRC_Q8_BLOCK
 * for LRC_Q8. decode() returns where they are: in place, or in buf. */
real *NAME(decode)(const lrc_array *a, int64_t at, size_t n, real *buf);

/* The inverse, to nearest where `bits` is NULL; otherwise stochastically, with the upper half of each
 * word where `odd`, else the lower. Nothing to do for an array of reals, which was changed in place. */
void NAME(encode)(const lrc_array *a, int64_t at, size_t n, const real *restrict x,
                  const uint32_t *restrict bits, int odd);

/* From n elements of the format that are `stride` bytes apart. */
void NAME(gather)(int dtype, size_t n, const char *from, int64_t stride, real *restrict out);

/* A float32 whose upper and lower halves are stored apart. */
void NAME(join)(size_t n, const uint16_t *upper, const uint16_t *lower, real *out);
void NAME(split)(size_t n, const real *x, uint16_t *upper, uint16_t *lower);

/* Random words keyed by (seed, age, tensor, word, element): whoever asks, in whatever order, gets
 * the same. */
void NAME(draw)(uint64_t seed, int64_t age, int64_t tensor, int word, int64_t at, size_t n,
                uint32_t *out);

#endif
