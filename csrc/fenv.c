/* The floating-point environment of a step. Other libraries leave flush-to-zero or another rounding
 * mode set in the process; a step must not see it, nor leave its own exception flags behind. */
#include "engine.h"

#if defined(__x86_64__) || defined(_M_X64) || defined(__SSE2__)
#include <xmmintrin.h>

enum { DEFAULT = 0x1f80 }; /* all exceptions masked, nearest, subnormals kept */

uint64_t lrc_fenv_set(void)
{
    uint64_t before = _mm_getcsr();
    _mm_setcsr(DEFAULT);
    return before;
}

void lrc_fenv_restore(uint64_t before) { _mm_setcsr((unsigned)before); }

#elif defined(_M_ARM64)
#include <intrin.h>

uint64_t lrc_fenv_set(void)
{
    uint64_t before = (uint64_t)_ReadStatusReg(ARM64_FPCR);
    _WriteStatusReg(ARM64_FPCR, 0);
    return before;
}

void lrc_fenv_restore(uint64_t before) { _WriteStatusReg(ARM64_FPCR, (int64_t)before); }

#elif defined(__aarch64__)

uint64_t lrc_fenv_set(void)
{
    uint64_t before;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(before));
    __asm__ __volatile__("msr fpcr, %0" : : "r"((uint64_t)0));
    return before;
}

void lrc_fenv_restore(uint64_t before) { __asm__ __volatile__("msr fpcr, %0" : : "r"(before)); }

#else
#include <fenv.h>

uint64_t lrc_fenv_set(void)
{
    uint64_t before = (uint64_t)fegetround();
    fesetround(FE_TONEAREST);
    return before;
}

void lrc_fenv_restore(uint64_t before) { fesetround((int)before); }
#endif
