/*
 * libhm_record.so: preloaded into a program, it sees every call to the allocator and writes it
 * down. C++'s new and delete come through malloc and free.
 *
 * The real functions are looked up on the first call of the process. dlsym() may allocate itself:
 * such calls are served from a small static arena whose blocks are never freed.
 */
#include "workloads/trace/recorder_log.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static void *boot_malloc(size_t size);
static void *boot_calloc(size_t count, size_t size);
static void *boot_realloc(void *block, size_t size);
static void boot_free(void *block);
static void *boot_memalign(size_t alignment, size_t size);
static int boot_posix_memalign(void **block, size_t alignment, size_t size);

typedef void *thread_routine(void *);

struct functions {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    int (*pthread_create)(pthread_t *, const pthread_attr_t *, thread_routine *, void *);
    int (*pthread_join)(pthread_t, void **);
};

/* The next functions in the program's search order; until they are known, our stand-ins. */
static struct functions next = {
    .malloc = boot_malloc,
    .calloc = boot_calloc,
    .realloc = boot_realloc,
    .free = boot_free,
    .memalign = boot_memalign,
    .aligned_alloc = boot_memalign,
    .posix_memalign = boot_posix_memalign,
};

/* ---- finding them ---------------------------------------------------------------------------- */

static char arena[16384] __attribute__((aligned(16)));

static inline bool in_arena(const void *block)
{
    return (uintptr_t)block - (uintptr_t)arena < sizeof arena;
}

static void *arena_malloc(size_t size)
{
    static _Atomic size_t used;
    if (size > sizeof arena)
        return NULL;
    size_t at = atomic_fetch_add(&used, (size + 15) & ~(size_t)15);
    return at + size <= sizeof arena ? arena + at : NULL;
}

static void *find(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function != NULL)
        return function;
    static const char text[] = "heapmark: the recorder found no allocator behind it\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    abort();
}

/* Not designated initialisers: the stand-ins must serve dlsym() until all are found. */
static void find_all(void)
{
    struct functions found;
    found.malloc = find("malloc");
    found.calloc = find("calloc");
    found.realloc = find("realloc");
    found.free = find("free");
    found.memalign = find("memalign");
    found.aligned_alloc = find("aligned_alloc");
    found.valloc = find("valloc");
    found.pvalloc = find("pvalloc");
    found.posix_memalign = find("posix_memalign");
    found.pthread_create = find("pthread_create");
    found.pthread_join = find("pthread_join");
    next = found;
}

/* True when `next` can be called; false inside dlsym(), where the arena must do. */
static bool ready(void)
{
    static _Atomic int stage; /* 0: not begun, 1: looking, 2: found */
    int fresh = 0;
    if (atomic_compare_exchange_strong(&stage, &fresh, 1)) {
        find_all();
        stage = 2;
        return true;
    }
    return fresh == 2;
}

static void *boot_malloc(size_t size)
{
    return ready() ? next.malloc(size) : arena_malloc(size);
}

static void *boot_calloc(size_t count, size_t size)
{
    if (ready())
        return next.calloc(count, size);
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_malloc(bytes);
}

static void *boot_realloc(void *block, size_t size)
{
    if (ready())
        return next.realloc(block, size);
    return arena_malloc(size); /* only fresh blocks are asked for this early */
}

static void boot_free(void *block)
{
    if (ready())
        next.free(block);
}

static void *boot_memalign(size_t alignment, size_t size)
{
    return ready() ? next.memalign(alignment, size) : NULL;
}

static int boot_posix_memalign(void **block, size_t alignment, size_t size)
{
    return ready() ? next.posix_memalign(block, alignment, size) : ENOMEM;
}

/* For the functions that have no stand-in: nothing calls them inside dlsym(). */
static void be_ready(void)
{
    if (UNLIKELY(next.pthread_create == NULL))
        ready();
}

/* ---- what is written down -------------------------------------------------------------------- */

static inline void *allocated(enum raw_op op, void *block, size_t size)
{
    if (LIKELY(block != NULL && !in_arena(block)))
        log_write(op, (uintptr_t)block, size);
    else if (block == NULL)
        log_count_failed();
    return block;
}

static enum raw_op aligned_op(size_t alignment)
{
    unsigned log2 = 0;
    while (log2 < 63 && (size_t)1 << log2 < alignment)
        log2++;
    return RAW_ALIGNED + log2;
}

static void *aligned(size_t alignment, void *block, size_t size)
{
    return allocated(aligned_op(alignment), block, size);
}

static inline void freed(void *block)
{
    log_write(RAW_FREE, (uintptr_t)block, 0);
}

/* What realloc(p, 0) does is the allocator's choice: whatever it does is a free first. */
static void *realloc_to_nothing(void *block)
{
    freed(block);
    void *moved = next.realloc(block, 0);
    return moved != NULL ? allocated(RAW_MALLOC, moved, 0) : NULL;
}

static void *realloc_from_arena(void *block, size_t size)
{
    void *moved = allocated(RAW_MALLOC, next.malloc(size), size);
    size_t most = (size_t)(arena + sizeof arena - (char *)block);
    return moved != NULL ? memcpy(moved, block, size < most ? size : most) : NULL;
}

/* ---- the calls ------------------------------------------------------------------------------- */

EXPORT void *malloc(size_t size)
{
    return allocated(RAW_MALLOC, next.malloc(size), size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return allocated(RAW_CALLOC, next.calloc(count, size), count * size);
}

EXPORT void free(void *block)
{
    if (UNLIKELY(block == NULL)) {
        log_count_null_free();
        return;
    }
    if (UNLIKELY(in_arena(block)))
        return;
    freed(block);
    next.free(block);
}

EXPORT void *realloc(void *block, size_t size)
{
    if (block == NULL)
        return allocated(RAW_MALLOC, next.realloc(NULL, size), size);
    if (UNLIKELY(in_arena(block)))
        return realloc_from_arena(block, size);
    if (UNLIKELY(size == 0))
        return realloc_to_nothing(block);
    log_write(RAW_REALLOC_BEGIN, (uintptr_t)block, size);
    void *moved = next.realloc(block, size);
    log_write(RAW_REALLOC_END, (uintptr_t)moved, size);
    if (UNLIKELY(moved == NULL))
        log_count_failed();
    return moved;
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        log_count_failed();
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return aligned(alignment, next.memalign(alignment, size), size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return aligned(alignment, next.aligned_alloc(alignment, size), size);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    int error = next.posix_memalign(block, alignment, size);
    aligned(alignment, error == 0 ? *block : NULL, size);
    return error;
}

EXPORT void *valloc(size_t size)
{
    be_ready();
    return aligned(RAW_PAGE_BYTES, next.valloc(size), size);
}

EXPORT void *pvalloc(size_t size)
{
    be_ready();
    size_t page = RAW_PAGE_BYTES;
    return aligned(page, next.pvalloc(size), (size + page - 1) & ~(page - 1));
}

/*
 * The record is placed before the new thread can run, so that its time precedes all of the
 * thread's own; who the thread is, is known only afterwards.
 */
EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_routine *routine, void *argument)
{
    be_ready();
    uint64_t now = log_is_on() ? log_now() : 0;
    struct raw_record *record = now != 0 ? log_reserve(now) : NULL;
    int error = next.pthread_create(thread, attributes, routine, argument);
    if (record != NULL)
        log_fill(record, RAW_SPAWN, error == 0 ? (uint64_t)*thread : 0, log_payload(0, now));
    return error;
}

EXPORT int pthread_join(pthread_t thread, void **result)
{
    be_ready();
    int error = next.pthread_join(thread, result);
    if (error == 0)
        log_write(RAW_JOIN, (uint64_t)thread, 0);
    return error;
}
