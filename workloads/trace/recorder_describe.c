/*
 * What is recorded beside the calls themselves, only when it is asked for: a sample of the objects
 * instead of all, return addresses, CPUs.
 */
#include "workloads/trace/recorder_log.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

/* ---- the sample ------------------------------------------------------------------------------ */

/*
 * The addresses of the objects in the sample: a table of buckets of one cache line each. An object
 * goes into its bucket or, when that is full, one of the next three; it is taken out by whoever
 * frees it. There is no lock and no count: an entry changes by one compare-and-swap. When all four
 * are full an object is left out.
 */
enum { BUCKET_ENTRIES = 8, BUCKETS_LOG2 = 19, BUCKETS_TRIED = 4 };

struct bucket {
    _Alignas(64) _Atomic uint64_t addresses[BUCKET_ENTRIES]; /* 0: vacant */
};

static struct bucket *_Atomic sample;
static __thread uint64_t rng __attribute__((tls_model("initial-exec")));

/* Its pages come as they are touched; a child of fork() has a copy of its parent's. */
static struct bucket *get_sample(void)
{
    struct bucket *table = sample, *none = NULL;
    if (LIKELY(table != NULL))
        return table;
    size_t bytes = sizeof *table << BUCKETS_LOG2;
    table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    if (table == MAP_FAILED)
        return NULL;
    if (atomic_compare_exchange_strong(&sample, &none, table))
        return table;
    munmap(table, bytes);
    return none;
}

void log_describe_begin(void)
{
    if (log_header->sample > 1)
        get_sample();
}

static uint64_t bucket_of(uint64_t address)
{
    return (address >> 4) * 0x9e3779b97f4a7c15u >> (64 - BUCKETS_LOG2);
}

/* Replaces one value by another in the buckets for an address. False: it is not there. */
static bool replace(uint64_t address, uint64_t from, uint64_t to)
{
    struct bucket *table = get_sample();
    if (table == NULL)
        return false;
    for (uint64_t i = 0; i < BUCKETS_TRIED; i++) {
        struct bucket *bucket = &table[(bucket_of(address) + i) & ((1u << BUCKETS_LOG2) - 1)];
        for (int k = 0; k < BUCKET_ENTRIES; k++) {
            uint64_t expected = from;
            if (bucket->addresses[k] == from &&
                atomic_compare_exchange_strong(&bucket->addresses[k], &expected, to))
                return true;
        }
    }
    return false;
}

bool log_leave_sample(uint64_t address)
{
    return log_header->sample <= 1 || replace(address, address, 0);
}

bool log_stay_in_sample(uint64_t address)
{
    return log_header->sample <= 1 || replace(address, 0, address);
}

/* splitmix64, of each thread's own */
static uint64_t draw(void)
{
    if (UNLIKELY(rng == 0))
        rng = (uintptr_t)&rng ^ log_now();
    uint64_t z = (rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/*
 * An address that comes anew cannot be in the sample still, unless its free was not seen: then it
 * must not stand there twice.
 */
static bool enter_sample(uint64_t address)
{
    uint64_t chosen = (uint64_t)((unsigned __int128)draw() * log_header->sample >> 64);
    return chosen == 0 && (replace(address, address, address) || replace(address, 0, address));
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

/* Without a system call. */
#if defined(__x86_64__)
#define MAY_ASK_FOR_CPU true
#else
#define MAY_ASK_FOR_CPU false
#endif

/* Where this thread runs; with glibc 2.35 and newer from the rseq area that the kernel keeps. */
static uint32_t current_cpu(void)
{
#if defined(__x86_64__) && defined(RSEQ_SIG)
    const struct rseq *area =
        (const struct rseq *)((const char *)__builtin_thread_pointer() + __rseq_offset);
    if (__rseq_size != 0)
        return area->cpu_id;
#endif
    return (uint32_t)sched_getcpu();
}

static void describe_cpu(void)
{
    if (!MAY_ASK_FOR_CPU && log_confined > 0)
        return;
    uint32_t cpu = current_cpu();
    if (LIKELY(log_thread.cpu == cpu + 1))
        return;
    unsigned node = 0, really = cpu;
    if (getcpu(&really, &node) != 0)
        return;
    struct raw_record *record = log_reserve(log_now());
    if (record == NULL)
        return;
    log_fill(record, RAW_CPU, 0, (uint64_t)node << 32 | really);
    log_thread.cpu = really + 1;
}

/* ---- stacks ---------------------------------------------------------------------------------- */

struct frame {
    const struct frame *caller;
    uint64_t return_address;
};

enum { FRAME_BYTES_MAX = 1 << 20, PAGE = 4096 };

static bool are_readable(uintptr_t first, uintptr_t last)
{
    if (log_confined > 0)
        return false;
    int saved_errno = errno;
    void *start = (void *)(first * PAGE);
    bool are = madvise(start, (last - first + 1) * PAGE, MADV_POPULATE_READ) == 0;
    errno = saved_errno;
    return are;
}

/*
 * Follows frame pointers. The first return address is always right. The others are as far as the
 * program was compiled with -fno-omit-frame-pointer: without, the register holds anything, so each
 * step must go up, by no more than a frame is large, and stay on the pages that are this stack's:
 * the kernel is asked for pages that are not yet trusted with MADV_POPULATE_READ, which fails where
 * nothing is mapped or nothing may be read, as in the guard pages of stacks.
 */
static unsigned walk(const struct frame *frame, uint64_t *addresses, unsigned depth)
{
    unsigned count = 0;
    uintptr_t trusted = (uintptr_t)frame / PAGE; /* up to this page */
    for (;;) {
        addresses[count++] = frame->return_address;
        const struct frame *caller = frame->caller;
        if (count == depth || caller <= frame || (uintptr_t)caller % sizeof(void *) != 0 ||
            (uintptr_t)caller - (uintptr_t)frame > FRAME_BYTES_MAX)
            return count;
        uintptr_t last = ((uintptr_t)caller + sizeof *caller - 1) / PAGE;
        if (last > trusted && !are_readable(trusted + 1, last))
            return count;
        if (last > trusted)
            trusted = last;
        if (caller->return_address < PAGE || caller->return_address >> 47 != 0)
            return count;
        frame = caller;
    }
}

static void describe_stack(const struct frame *frame)
{
    uint64_t addresses[RAW_STACK_MAX + 1];
    unsigned count = walk(frame, addresses, log_header->stack_depth);
    addresses[count] = 0;
    for (unsigned i = 0; i < count; i += 2) {
        struct raw_record *record = log_reserve(log_now());
        if (record != NULL)
            log_fill(record, RAW_STACK, addresses[i], addresses[i + 1]);
    }
}

void log_describe_free(void)
{
    if (log_header->options & RAW_CPUS)
        describe_cpu();
}

void log_describe_call(const void *frame)
{
    log_describe_free();
    if (log_header->stack_depth > 0)
        describe_stack(frame);
}

bool log_describe(uint64_t address, const void *frame)
{
    if (log_header->sample > 1 && !enter_sample(address))
        return false;
    log_describe_call(frame);
    return true;
}
