/* The pool. Workers sleep, or spin for a moment after a job, and take tasks by index. A job's tasks
 * are dealt out in equal consecutive ranges, so that a thread meets the same memory at every step;
 * who is done takes from the far end of another's range. No result shows which thread ran a task.
 *
 * Not OpenMP: its pools do not survive fork(), and two of its runtimes in one process collide. */
#if !defined(_GNU_SOURCE) && !defined(_WIN32)
#define _GNU_SOURCE /* CPU affinity */
#endif
#include "engine.h"

#include <stdatomic.h>

enum { MOST = 64, DEFAULT_MOST = 16, SPINS = 4000, YIELD_EVERY = 32 };

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
typedef SRWLOCK mutex;
typedef CONDITION_VARIABLE condition;
#define MUTEX SRWLOCK_INIT
#define CONDITION CONDITION_VARIABLE_INIT
static void lock(mutex *m) { AcquireSRWLockExclusive(m); }
static void unlock(mutex *m) { ReleaseSRWLockExclusive(m); }
static void wait_for(condition *c, mutex *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static void wake_all(condition *c) { WakeAllConditionVariable(c); }
static void pause_cpu(void) { YieldProcessor(); }
static void yield_cpu(void) { SwitchToThread(); }
#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
typedef pthread_mutex_t mutex;
typedef pthread_cond_t condition;
#define MUTEX PTHREAD_MUTEX_INITIALIZER
#define CONDITION PTHREAD_COND_INITIALIZER
static void lock(mutex *m) { pthread_mutex_lock(m); }
static void unlock(mutex *m) { pthread_mutex_unlock(m); }
static void wait_for(condition *c, mutex *m) { pthread_cond_wait(c, m); }
static void wake_all(condition *c) { pthread_cond_broadcast(c); }
static void yield_cpu(void) { sched_yield(); }
static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}
#endif

/* One turn of a wait. The thread that is waited for, or a host's own that spins as well, may need
 * this very core: every few turns it is offered. */
static void relax(int spin)
{
    if (spin % YIELD_EVERY == YIELD_EVERY - 1)
        yield_cpu();
    else
        pause_cpu();
}

/* first << 32 | end: the owner takes from the front, others from the back. */
typedef struct {
    _Alignas(64) _Atomic uint64_t range;
} share;

/* door: job number << 16 | OPEN | workers inside. A worker enters a job only through an open door,
 * so one that wakes late finds it closed and the caller never waits for a sleeper. */
enum { OPEN = 0x8000, INSIDE = 0x7fff };

static struct {
    _Atomic int wanted; /* 0: not asked yet */
    _Atomic int busy;   /* one job at a time; a second caller works alone */
    _Atomic uint64_t door;
    _Atomic int sleepers;
    int running; /* workers started */
    int threads; /* of this job, the caller among them */
    void (*task)(void *, size_t);
    void *context;
    share shares[MOST];
    mutex mutex;
    condition awake;
} pool = {.mutex = MUTEX, .awake = CONDITION};

static int take_front(share *s, size_t *i)
{
    uint64_t r = atomic_load(&s->range);
    while ((uint32_t)(r >> 32) < (uint32_t)r)
        if (atomic_compare_exchange_weak(&s->range, &r, r + ((uint64_t)1 << 32))) {
            *i = (size_t)(r >> 32);
            return 1;
        }
    return 0;
}

static int take_back(share *s, size_t *i)
{
    uint64_t r = atomic_load(&s->range);
    while ((uint32_t)(r >> 32) < (uint32_t)r)
        if (atomic_compare_exchange_weak(&s->range, &r, r - 1)) {
            *i = (size_t)(uint32_t)r - 1;
            return 1;
        }
    return 0;
}

static void work(int me)
{
    size_t i;
    while (take_front(&pool.shares[me], &i))
        pool.task(pool.context, i);
    for (int k = 1; k < pool.threads; k++)
        while (take_back(&pool.shares[(me + k) % pool.threads], &i))
            pool.task(pool.context, i);
}

/* Waits for a job other than `seen` whose door is open; returns the door. */
static uint64_t next_job(uint64_t seen)
{
    uint64_t door;
#define NEW_JOB (door = atomic_load(&pool.door), (door & OPEN) && door >> 16 != seen)
    for (int spin = 0; spin < SPINS; spin++) {
        if (NEW_JOB)
            return door;
        relax(spin);
    }
    lock(&pool.mutex);
    atomic_fetch_add(&pool.sleepers, 1);
    while (!NEW_JOB)
        wait_for(&pool.awake, &pool.mutex);
    atomic_fetch_sub(&pool.sleepers, 1);
    unlock(&pool.mutex);
    return door;
#undef NEW_JOB
}

static void worker(int me)
{
    lrc_fenv_set();
    for (uint64_t seen = 0;;) {
        uint64_t door = next_job(seen);
        seen = door >> 16;
        while ((door & OPEN) && door >> 16 == seen)
            if (atomic_compare_exchange_weak(&pool.door, &door, door + 1)) {
                if (me < pool.threads)
                    work(me);
                atomic_fetch_sub(&pool.door, 1);
                break;
            }
    }
}

/* ------------------------------------------------------------------------ starting */

#if defined(_WIN32)
static DWORD WINAPI start(void *me)
{
    worker((int)(intptr_t)me);
    return 0;
}

static int start_worker(int me)
{
    HANDLE h = CreateThread(NULL, 0, start, (void *)(intptr_t)me, 0, NULL);
    return h && CloseHandle(h);
}

static void survive_fork(void) {}
static void keep_off_this_core(void) {}

static int usable_cores(void)
{
    DWORD_PTR mine, all;
    int n = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all))
        for (; mine; mine &= mine - 1)
            n++;
    return n;
}
#else
static void *start(void *me)
{
    worker((int)(intptr_t)me);
    return NULL;
}

static pthread_t workers[MOST];
static int avoided[MOST]; /* a worker's forbidden core, + 1 */

/* Signals are for the host's own threads. */
/* A block's workbench takes some 110 KiB, which is all that musl gives a thread. */
enum { STACK = 1 << 20 };

static int start_worker(int me)
{
    sigset_t all, before;
    pthread_attr_t attr;
    avoided[me] = 0;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int started = pthread_create(&workers[me], &attr, start, (void *)(intptr_t)me) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

/* A child has none of its parent's workers, and perhaps a lock that nobody will open. */
static void forget(void)
{
    static const mutex fresh_mutex = MUTEX;
    static const condition fresh_condition = CONDITION;
    pool.running = 0;
    pool.mutex = fresh_mutex;
    pool.awake = fresh_condition;
    atomic_store(&pool.busy, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.door, atomic_load(&pool.door) & ~(uint64_t)(OPEN | INSIDE));
}

static void survive_fork(void)
{
    static _Atomic int registered;
    if (!atomic_exchange(&registered, 1))
        pthread_atfork(NULL, NULL, forget);
}

/* Linux tends to put a thread that is woken on the core of the one that wakes it, and to leave both
 * there for milliseconds while other cores idle. So a worker may use all cores that the caller may,
 * but for the one the caller is on. */
static void keep_off_this_core(void)
{
#if defined(__linux__) && defined(CPU_COUNT)
    int core = sched_getcpu(), stale = 0;
    cpu_set_t others;
    for (int k = 1; k < pool.threads; k++)
        stale |= avoided[k] != core + 1;
    if (!stale || core < 0 || core >= CPU_SETSIZE)
        return;
    int known = sched_getaffinity(0, sizeof others, &others) == 0; /* not beyond 1024 cores */
    if (known)
        CPU_CLR((size_t)core, &others);
    for (int k = 1; k < pool.threads; k++) {
        if (known && CPU_COUNT(&others) > 0)
            pthread_setaffinity_np(workers[k], sizeof others, &others);
        avoided[k] = core + 1;
    }
#endif
}

static int usable_cores(void)
{
#if defined(__linux__) && defined(CPU_COUNT)
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0)
        return CPU_COUNT(&mine);
#endif
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}
#endif

/* -------------------------------------------------------------------------- calling */

int lrc_get_num_threads(void)
{
    int n = atomic_load(&pool.wanted);
    if (n == 0) {
        n = usable_cores();
        n = n < 1 ? 1 : n > DEFAULT_MOST ? DEFAULT_MOST : n;
        int unset = 0;
        if (!atomic_compare_exchange_strong(&pool.wanted, &unset, n))
            n = unset;
    }
    return n;
}

void lrc_set_num_threads(int n) { atomic_store(&pool.wanted, n < 1 ? 1 : n > MOST ? MOST : n); }

static _Atomic(lrc_parallel_for *) host;

/* A host's threads have whatever floating-point environment the host left them. */
typedef struct {
    void (*task)(void *context, size_t i);
    void *context;
} exact;

static void run_exactly(void *context, size_t i)
{
    const exact *e = context;
    uint64_t before = lrc_fenv_set();
    e->task(e->context, i);
    lrc_fenv_restore(before);
}

void lrc_set_parallel_for(lrc_parallel_for *f) { atomic_store(&host, f); }

static void run_job(size_t n, int threads)
{
    survive_fork();
    while (pool.running < threads - 1 && start_worker(pool.running + 1))
        pool.running++;
    pool.threads = threads = pool.running + 1 < threads ? pool.running + 1 : threads;
    for (int k = 0; k < threads; k++)
        atomic_store(&pool.shares[k].range, (uint64_t)(n * (size_t)k / (size_t)threads) << 32 |
                                                (uint64_t)(n * (size_t)(k + 1) / (size_t)threads));
    uint64_t job = (atomic_load(&pool.door) >> 16) + 1;
    atomic_store(&pool.door, job << 16 | OPEN);
    if (atomic_load(&pool.sleepers)) {
        keep_off_this_core();
        lock(&pool.mutex);
        wake_all(&pool.awake);
        unlock(&pool.mutex);
    }
    work(0);
    atomic_fetch_and(&pool.door, ~(uint64_t)OPEN);
    for (int spin = 0; atomic_load(&pool.door) & INSIDE; spin++)
        relax(spin);
}

void lrc_parallel(size_t n, void (*task)(void *context, size_t i), void *context)
{
    lrc_parallel_for *theirs = atomic_load(&host);
    int threads = lrc_get_num_threads(), idle = 0;
    threads = n < (size_t)threads ? (int)n : threads;
    if (theirs && n > 1)
        theirs(n, run_exactly, &(exact){task, context});
    else if (threads > 1 && n <= UINT32_MAX &&
             atomic_compare_exchange_strong(&pool.busy, &idle, 1)) {
        pool.task = task;
        pool.context = context;
        run_job(n, threads);
        atomic_store(&pool.busy, 0);
    } else
        for (size_t i = 0; i < n; i++)
            task(context, i);
}
