/*
 * The operating system, behind pointers so that tests can put a layer of their own in between and
 * refuse memory. Every function keeps errno, and returns NULL, false or a negative number when the system refuses.
 */
#ifndef KMEM_OS_H
#define KMEM_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/types.h>

struct kmem_os {
    /* Reserves address space that is neither readable nor charged. */
    void *(*reserve)(size_t bytes);
    /* The same, but what is not made writable reads as zero. */
    void *(*reserve_zeros)(size_t bytes);
    /* Makes reserved memory read as zero; pages of it are not made, even where memory is locked. */
    bool (*show_zeros)(void *start, size_t bytes);
    /*
     * Makes reserved memory readable and writable; it reads as zero if it was never written or was
     * purged.
     */
    bool (*commit)(void *start, size_t bytes);
    /* Maps zeroed memory, charged as it is touched. */
    void *(*map)(size_t bytes);
    bool (*unmap)(void *start, size_t bytes);
    /* Gives the pages back, also out of a memfd; they stay readable and read as zero afterwards. */
    bool (*purge)(void *start, size_t bytes, bool shared);
    /* Touches every page, so that no later write faults. */
    bool (*populate)(void *start, size_t bytes);
    /* A memfd of `bytes` that read as zero; -errno when it is refused, -EFBIG by RLIMIT_FSIZE. */
    int (*memfd)(size_t bytes);
    /* Closes a memfd, unless the program did, and has something else there. */
    void (*close)(int fd);
    /*
     * Maps `bytes` of the memfd from `offset` on at `at`, over whatever lies there. `original` is
     * where the same bytes are mapped already, or NULL: should the program have closed the
     * descriptor behind our back, they are mapped from there.
     */
    bool (*map_memfd)(void *at, size_t bytes, int prot, int fd, size_t offset, void *original);
    /* Takes what lies there away; the addresses stay reserved. Does it without the spare mappings where it must. */
    bool (*hide)(void *at, size_t bytes);
    /* Prefers a real node's memory for the range. */
    bool (*bind)(void *start, size_t bytes, unsigned node);
    /* One of the system's commands for memory barriers on all CPUs that run the process. */
    bool (*membarrier)(int command);
    /* Milliseconds of a monotonic clock, coarse. */
    uint64_t (*now_ms)(void);
    /* Reads a small file of /sys or /proc as a string; -1 when there is none. */
    ssize_t (*read_text)(const char *path, char *text, size_t bytes);
};

extern struct kmem_os kmem_os;

/*
 * A few mappings are kept aside. The system refuses every mmap() to a process that has more mappings than it may
 * (vm.max_map_count), also one that makes them fewer: for that the spare ones go first, and come back behind it.
 */
void os_spare_keep(void);
/* False: there were none. */
bool os_spare_drop(void);

/*
 * Reads a number, and returns what is behind it; NULL: there is none. Not by strtoul(): in a resolver of the
 * program's, which may make the first call, the C library has no locale yet.
 */
const char *os_read_number(const char *text, unsigned *n);

unsigned os_cpu_without_rseq(void);

/*
 * A thread without rseq asks the system for its CPU now and then: what it was told last, and for how many
 * more questions that will do.
 */
struct cpu_seen {
    unsigned cpu, left;
};

extern __thread struct cpu_seen os_cpu_seen;

/* The calling CPU, a hint: the thread may be elsewhere by now. */
static inline unsigned os_cpu(void)
{
    if (__builtin_expect(__rseq_size != 0, 1)) {
        const volatile struct rseq *area =
            (const struct rseq *)((const char *)__builtin_thread_pointer() + __rseq_offset);
        int cpu = (int)area->cpu_id;

        if (__builtin_expect(cpu >= 0, 1))
            return (unsigned)cpu;
    }
    return os_cpu_without_rseq();
}

/* The same if it is below `cpus` and known without entering the system; else `cpus` or more. */
static inline __attribute__((always_inline)) unsigned os_cpu_at_hand(unsigned cpus)
{
    const volatile struct rseq *area =
        (const struct rseq *)((const char *)__builtin_thread_pointer() + __rseq_offset);
    unsigned cpu = area->cpu_id; /* as a number huge where there is no rseq */

    if (__builtin_expect(cpu < cpus, 1))
        return cpu;
    if (os_cpu_seen.left == 0)
        return cpus;
    os_cpu_seen.left--;
    return os_cpu_seen.cpu;
}

static inline uint64_t os_now_ms(void)
{
    return kmem_os.now_ms();
}

#endif
