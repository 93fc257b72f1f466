/* Which instruction set. Knows no rule: an engine is all the kernels of one (real, ISA), made from
 * the same files. The build says which there are: ENGINES(f) expands f(isa) best first. */
#include "engine.h"
#include "engines.h"

#include <stdatomic.h>
#include <string.h>

#define ENGINE(isa) extern const lrc_engine lrc_engine_f32_##isa, lrc_engine_f64_##isa;
ENGINES(ENGINE)
#undef ENGINE

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <intrin.h>
static void cpuid(unsigned leaf, unsigned r[4]) { __cpuidex((int *)r, (int)leaf, 0); }
static uint64_t xcr0(void) { return _xgetbv(0); }
#else
#include <cpuid.h>
static void cpuid(unsigned leaf, unsigned r[4]) { __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]); }
static uint64_t xcr0(void)
{
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}
#endif

/* The CPU must have the instructions and the operating system must save the registers. */
static uint64_t enabled_registers(void)
{
    unsigned r[4];
    cpuid(1, r);
    return r[2] & 1u << 27 ? xcr0() : 0;
}

static unsigned extensions(void)
{
    unsigned r[4];
    cpuid(0, r);
    if (r[0] < 7)
        return 0;
    cpuid(7, r);
    return r[1];
}

static int has_sse2(void) { return 1; }

static int has_avx2(void) { return (enabled_registers() & 0x6) == 0x6 && extensions() & 1u << 5; }

static int has_avx512(void)
{
    unsigned need = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    return has_avx2() && (enabled_registers() & 0xe6) == 0xe6 && (extensions() & need) == need;
}
#elif defined(__aarch64__) || defined(_M_ARM64)
static int has_neon(void) { return 1; }
#else
static int has_generic(void) { return 1; }
#endif

static const struct {
    const char *name;
    int (*runs)(void);
    lrc_engines engines;
} built[] = {
#define ENGINE(isa) {#isa, has_##isa, {&lrc_engine_f32_##isa, &lrc_engine_f64_##isa}},
    ENGINES(ENGINE)
#undef ENGINE
};

enum { BUILT = sizeof built / sizeof *built };

static _Atomic int current = -1;

/* The i-th of those that run here, as an index into built; -1 past the end. */
static int runnable(int i)
{
    for (int k = 0; k < BUILT; k++)
        if (built[k].runs() && i-- == 0)
            return k;
    return -1;
}

static int chosen(void)
{
    int none = -1;
    if (atomic_load(&current) < 0)
        atomic_compare_exchange_strong(&current, &none, runnable(0));
    return atomic_load(&current);
}

int lrc_isa_count(void)
{
    int n = 0;
    while (runnable(n) >= 0)
        n++;
    return n;
}

const char *lrc_isa_name(int i)
{
    int k = i < 0 ? -1 : runnable(i);
    return k < 0 ? NULL : built[k].name;
}

const char *lrc_get_isa(void) { return built[chosen()].name; }

int lrc_set_isa(const char *name)
{
    for (int i = 0, k; (k = runnable(i)) >= 0; i++)
        if (strcmp(built[k].name, name) == 0) {
            atomic_store(&current, k);
            return 1;
        }
    return 0;
}

const lrc_engines *lrc_current_engines(void) { return &built[chosen()].engines; }
