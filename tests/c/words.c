/* The random words that round elements farther out than any test has memory for. Built with
 * -DDRAW=lrc_draw_<real>_<instruction set>, a function inside the library. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { N = 1024 };

void DRAW(uint64_t seed, int64_t age, int64_t tensor, int word, int64_t at, size_t n,
          uint32_t *out);

int main(void)
{
    static const int64_t starts[] = {0, 4294966272, 4294967296, 21474843648};
    static uint32_t words[N];
    for (int i = 0; i < 4; i++) {
        DRAW(0xfedcba9876543210u, 77, 5, 3, starts[i], N, words);
        for (int k = 0; k < N; k++)
            printf("%" PRIu32 "\n", words[k]);
    }
    return 0;
}
