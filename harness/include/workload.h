/*
 * workload.h: everything that the author of a workload needs.
 *
 * A workload is one file that defines `const struct workload workload_NAME`, and its line
 * WORKLOAD(NAME) in workloads/list.def. See workloads/pair.c for the smallest complete one.
 *
 * A trial runs the workload's body several times in one process: a short warm-up, the measured part
 * (in one piece, or cut into turns), a shorter sampled part from which latencies come, and, if
 * asked for, a part whose memory is watched. Each time the body starts with nothing allocated and
 * ends with everything freed, so that memory left at the end is the allocator's choice. Between its
 * start and its end only the op_*() calls below may reach the allocator: no printf, no thread
 * creation, no library call that allocates.
 *
 * The body is written once, as an always-inline function with a constant `timed` argument;
 * WORKLOAD_INSTANCES() makes a plain and a timed instance of it, so that the plain one carries no
 * sampling code at all.
 */
#ifndef HEAPMARK_WORKLOAD_H
#define HEAPMARK_WORKLOAD_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HM_INLINE      static inline __attribute__((always_inline))
#define HM_UNLIKELY(x) __builtin_expect(!!(x), 0)

struct trial;
struct trace_load_options;

/* Operations whose latencies are kept apart. Aligned allocations count as malloc. */
enum op { OP_MALLOC, OP_CALLOC, OP_REALLOC, OP_FREE, OP_COUNT };

/* ---- options ------------------------------------------------------------------------------- */

enum option_type {
    OPTION_COUNT,  /* a whole number; k, m, g mean thousands, millions, milliards */
    OPTION_BYTES,  /* a size; k, m, g mean KiB, MiB, GiB */
    OPTION_CHOICE, /* one of `choices`; the parameter is its index */
    OPTION_TRACE,  /* a recorded trace: the harness decodes it, see trial_input() */
};

struct workload_option {
    const char *name;
    enum option_type type;
    const char *fallback;       /* default, as a user would write it; NULL: must be given */
    uint64_t min, max;          /* OPTION_COUNT and OPTION_BYTES: the range, inclusive */
    const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
    const char *help;
};

/* ---- the worker: one thread of a trial ------------------------------------------------------- */

/* Latency sampling state; only the timed instance touches it. */
struct sampler {
    uint32_t left; /* operations until the next sample */
    uint32_t rng;
    bool is_timeline;    /* every operation is handed over, none is timed */
    uint64_t cost_ticks; /* what reading the clock twice costs, subtracted from each sample */
    struct histogram *histograms; /* OP_COUNT of them */
};

struct worker {
    alignas(128) uint32_t index; /* 0 .. thread_count-1; worker 0 is the process's main thread */
    uint32_t thread_count;
    uint64_t work;      /* iterations to run now */
    uint64_t ops;       /* out: allocator calls made; the body adds to it, at its end */
    int64_t live_bytes; /* out: kept by worker_live() */
    int64_t live_bytes_peak;
    struct trial *trial;
    void *state; /* the workload's own, set in setup */
    struct sampler sampler;
    uint64_t start_ticks, end_ticks; /* the harness's */
};

/* ---- the workload ---------------------------------------------------------------------------- */

struct workload {
    const char *name;
    const char *summary;   /* what it stresses, one line */
    const char *source;    /* where the idea comes from */
    const char *work_unit; /* what one iteration is, plural: "pairs", "passes over the trace" */
    const struct workload_option *options; /* ended by a NULL name; NULL: none */

    /*
     * With an OPTION_TRACE only, and optional: how these parameters want the trace decoded
     * (workloads/trace/load.h). Called in the harness's own process.
     */
    void (*decoding)(const uint64_t *params, struct trace_load_options *options);

    /*
     * With an OPTION_TRACE only, and optional: how long an iteration takes whatever the allocator
     * does, since it keeps to recorded times, of which the last is `recorded_ns`; 0: as long as the
     * allocator takes. Called in the harness's own process.
     */
    uint64_t (*paced_ns)(const uint64_t *params, uint64_t recorded_ns);

    /*
     * Optional: why these parameters exclude one another, or NULL. A run of nothing else is refused
     * before it starts; among others, such a trial becomes an unsupported row. Called in the
     * harness's own process and in the trial's.
     */
    const char *(*refusal)(const uint64_t *params);

    /*
     * Optional. Prepare before the clock starts: memory from trial_map(), random draws. Returns 0,
     * or -ENOTSUP after trial_unsupported() where these parameters cannot run here.
     * Called in the main thread, pinned, under the trial's memory policy.
     */
    int (*setup)(struct trial *trial);

    void (*run)(struct worker *worker);       /* required: the plain instance */
    void (*run_timed)(struct worker *worker); /* required: the timed instance */

    /* Optional. The measured part has ended: main thread, for trial_figure() and trial_flag(). */
    void (*measured)(struct trial *trial);
};

#define WORKLOAD_INSTANCES(body)               \
    static void body##_plain(struct worker *w) \
    {                                          \
        body(w, false);                        \
    }                                          \
    static void body##_timed(struct worker *w) \
    {                                          \
        body(w, true);                         \
    }

/* ---- what setup may ask of its trial (main thread only) -------------------------------------- */

/* Value of option number `option` in the order of workload->options: number, bytes or choice index. */
uint64_t trial_param(const struct trial *trial, unsigned option);
uint64_t trial_seed(const struct trial *trial);
uint32_t trial_thread_count(const struct trial *trial);
struct worker *trial_worker(struct trial *trial, uint32_t index);

/*
 * Zeroed, page-aligned harness memory that is resident before the clock starts and never comes
 * from the allocator under test. It lives until the process ends. Never NULL: a trial that cannot
 * map its own memory ends as `oom`, and says so.
 */
void *trial_map(struct trial *trial, size_t bytes);

/* The decoded trace of an OPTION_TRACE option, read-only and resident. *bytes is its size. */
const void *trial_input(const struct trial *trial, size_t *bytes);

/*
 * Reads `bytes` of the trace's file from `offset` on, for what of it is not mapped. Any thread; a
 * trial that cannot read its own input ends, and says so.
 */
void worker_input(struct worker *worker, void *buffer, size_t bytes, uint64_t offset);

/* Whether there are more threads than CPUs for them, so that spinning keeps others from running. */
bool trial_shares_cpus(const struct trial *trial);

/* Figures for the row that only the workload knows; called from workload->measured(). */
enum figure {
    FIGURE_LIVE_DRIFT_PPM,
    FIGURE_ORDER_DRIFT_PPM,
    FIGURE_WAIT_PPM,
    FIGURE_READ_PPM,
    FIGURE_LATE_NS,
    FIGURE_COUNT
};

void trial_figure(struct trial *trial, enum figure figure, uint64_t value);

/* Says why the trial cannot run; setup then returns -ENOTSUP. printf-style. */
void trial_unsupported(struct trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Adds a word to the row's `flags`: what a reader of the figures must know of this trial, such as
 * "percpu=thread" where a fast path was not to be had. A word holds no space; one that is there
 * already is not added again, one that no longer fits (127 bytes in all) is left out. An allocator
 * has the same way: it may export `const char *heapmark_allocator_flags(void)`, which is asked at
 * the end of the trial for words separated by spaces ("" for none).
 */
void trial_flag(struct trial *trial, const char *word);

/* A small generator for draws in setup: splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t rng_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A uniform draw from 0 .. bound-1; bound is 1 .. 2^32 (Lemire 2019, without the rejection step:
 * the bias is below 2^-32). */
static inline uint64_t rng_below(uint64_t *state, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)rng_next(state) * bound) >> 64);
}

/* ---- what a body may call -------------------------------------------------------------------- */

/* Waits until every worker of the trial has arrived. Never allocates; sleeps when it lasts. */
void worker_barrier(struct worker *worker);

/* For a body's own spin loops: pauses, and yields the CPU now and then. `spins` starts at 0. */
void worker_relax(unsigned *spins);

/* End the trial with status oom or corrupt. They do not return. */
_Noreturn void worker_out_of_memory(struct worker *worker, size_t size);
_Noreturn void worker_corrupt(struct worker *worker, const void *block, size_t size);

/* The same for contents that only the workload can judge: `corrupt`, in its own words. printf-style. */
_Noreturn void worker_wrong(struct worker *worker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Slow halves of the timed operations. */
void *sampled_malloc(struct worker *worker, size_t size);
void *sampled_calloc(struct worker *worker, size_t count, size_t size);
void *sampled_realloc(struct worker *worker, void *block, size_t size);
void *sampled_aligned(struct worker *worker, size_t alignment, size_t size);
void sampled_free(struct worker *worker, void *block);

HM_INLINE bool sample_due(struct worker *w, bool timed)
{
    return timed && HM_UNLIKELY(--w->sampler.left == 0);
}

/*
 * Samples a call that none of the op_*() knows, such as an object cache's:
 *
 *     uint64_t begin = sample_begin(w, timed);
 *     object = kmem_cache_alloc(cache, flags);
 *     sample_end(w, OP_MALLOC, begin);
 *
 * Nothing of it is left in the plain instance. Both stand around that one call. In the part whose
 * memory is watched the sizes of such calls are not known: live bytes are then what the body has
 * accounted with worker_live() so far.
 */
uint64_t sampled_begin(void);
void sampled_end(struct worker *worker, enum op op, uint64_t begin);

HM_INLINE uint64_t sample_begin(struct worker *w, bool timed)
{
    return sample_due(w, timed) ? sampled_begin() : 0;
}

HM_INLINE void sample_end(struct worker *w, enum op op, uint64_t begin)
{
    if (HM_UNLIKELY(begin != 0))
        sampled_end(w, op, begin);
}

/*
 * For calls that should begin at a given time: nanoseconds of a clock that never runs backwards,
 * the same in all threads, and a sample of a call that should have begun at begin_ns and has just
 * ended. A call that began late because the one before took long is then as late as it was
 * (coordinated omission: Gil Tene). The caller has found that a sample is due.
 */
uint64_t worker_now_ns(void);
void sampled_since(struct worker *worker, enum op op, uint64_t begin_ns);

HM_INLINE void *op_checked(struct worker *w, void *block, size_t size)
{
    if (HM_UNLIKELY(block == NULL && size != 0))
        worker_out_of_memory(w, size);
    return block;
}

HM_INLINE void *op_malloc(struct worker *w, size_t size, bool timed)
{
    return op_checked(w, sample_due(w, timed) ? sampled_malloc(w, size) : malloc(size), size);
}

HM_INLINE void *op_calloc(struct worker *w, size_t count, size_t size, bool timed)
{
    return op_checked(w,
                      sample_due(w, timed) ? sampled_calloc(w, count, size) : calloc(count, size),
                      size);
}

/* size must not be 0: what realloc(p, 0) does differs between allocators. */
HM_INLINE void *op_realloc(struct worker *w, void *block, size_t size, bool timed)
{
    return op_checked(w,
                      sample_due(w, timed) ? sampled_realloc(w, block, size) : realloc(block, size),
                      size);
}

/* alignment is a power of two and a multiple of sizeof(void *). */
HM_INLINE void *op_aligned(struct worker *w, size_t alignment, size_t size, bool timed)
{
    if (sample_due(w, timed))
        return op_checked(w, sampled_aligned(w, alignment, size), size);
    void *block = NULL;
    if (posix_memalign(&block, alignment, size) != 0)
        worker_out_of_memory(w, size);
    return block;
}

HM_INLINE void op_free(struct worker *w, void *block, bool timed)
{
    if (sample_due(w, timed))
        sampled_free(w, block);
    else
        free(block);
}

/* Accounts bytes that became live (positive) or were freed (negative) by this worker. */
HM_INLINE void worker_live(struct worker *w, int64_t bytes)
{
    w->live_bytes += bytes;
    if (w->live_bytes > w->live_bytes_peak)
        w->live_bytes_peak = w->live_bytes;
}

/*
 * Stamps: the first 8 bytes and the last byte of a block hold a value made of its address and size,
 * written after allocation, checked and wiped before the free. Two live blocks that overlap destroy
 * one another's stamps; this also touches the block as a program would. Blocks of at least two pages
 * are touched on every page. Blocks under 8 bytes carry as many bytes of the stamp as fit.
 *
 * One byte at the end, because it needs no case for blocks of 8 to 15 bytes: there a branch that is
 * mispredicted every other time would cost more than the allocator.
 */
enum { STAMP_PAGE_BYTES = 4096 };

/* The product's high bits, of which the last byte is made, depend on every bit of both. */
HM_INLINE uint64_t stamp_value(const void *block, size_t size)
{
    return ((uintptr_t)block + 8 * (uint64_t)size) * 0x9e3779b97f4a7c15u; /* the sum is one lea */
}

HM_INLINE unsigned char stamp_last(uint64_t value)
{
    return (unsigned char)(value >> 56); /* the byte at 7: a block of 8 bytes has both in one */
}

/* Blocks that no fast path serves: under 8 bytes, or to be touched on every page. */
HM_INLINE bool stamp_is_odd(size_t size)
{
    return HM_UNLIKELY(size - sizeof(uint64_t) >= 2 * STAMP_PAGE_BYTES - sizeof(uint64_t));
}

void stamp_write_odd(void *block, size_t size);
bool stamp_is_whole_odd(const void *block, size_t size);

HM_INLINE void stamp_write(void *block, size_t size)
{
    if (stamp_is_odd(size)) {
        stamp_write_odd(block, size);
        return;
    }
    uint64_t value = stamp_value(block, size);
    memcpy(block, &value, sizeof value);
    ((unsigned char *)block)[size - 1] = stamp_last(value);
}

HM_INLINE bool stamp_is_whole(const void *block, size_t size)
{
    if (stamp_is_odd(size))
        return stamp_is_whole_odd(block, size);
    uint64_t value = stamp_value(block, size), first;
    memcpy(&first, block, sizeof first);
    return first == value && ((const unsigned char *)block)[size - 1] == stamp_last(value);
}

/* Ends the trial as `corrupt` where a live block's stamp is not whole. */
HM_INLINE void stamp_check(struct worker *w, const void *block, size_t size)
{
    if (HM_UNLIKELY(!stamp_is_whole(block, size)))
        worker_corrupt(w, block, size);
}

/*
 * Checks the stamp before a free, and wipes it: where the allocator gave one block to two owners,
 * both wrote the same stamp, and the second one's check finds it gone.
 */
HM_INLINE void stamp_take(struct worker *w, void *block, size_t size)
{
    const uint64_t wiped = 0;
    stamp_check(w, block, size);
    if (HM_UNLIKELY(size < sizeof wiped))
        memset(block, 0, size);
    else
        memcpy(block, &wiped, sizeof wiped);
}

#endif
