/*
 * libhm_record.so: preloaded into a program, it sees every call to the allocator and writes it
 * down. C++'s new and delete come through malloc and free.
 *
 * The real functions are looked up on the first call of the process. dlsym() may allocate itself:
 * such calls are served from a small static arena whose blocks are never freed.
 */
#include "workloads/trace/recorder_calls.h"

#include "allocators/common/uncancelled.h"

#include <dlfcn.h>
#include <errno.h>
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

void *calls_find(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function != NULL)
        return function;
    static const char text[] = "heapmark: the recorder found no allocator behind it\n";
    ssize_t ignored = uncancelled_write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    abort();
}

/* Not designated initialisers: the stand-ins must serve dlsym() until all are found. */
static void find_all(void)
{
    struct functions found;
    found.malloc = calls_find("malloc");
    found.calloc = calls_find("calloc");
    found.realloc = calls_find("realloc");
    found.free = calls_find("free");
    found.memalign = calls_find("memalign");
    found.aligned_alloc = calls_find("aligned_alloc");
    found.valloc = calls_find("valloc");
    found.pvalloc = calls_find("pvalloc");
    found.posix_memalign = calls_find("posix_memalign");
    threads_find();
    confine_find();
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

/* For the functions that have no stand-in. */
void calls_be_ready(void)
{
    if (UNLIKELY(next.valloc == NULL))
        ready();
}

void *calls_malloc(size_t size)
{
    return next.malloc(size);
}

void calls_free(void *block)
{
    next.free(block);
}

/* ---- what is written down -------------------------------------------------------------------- */

/*
 * The frame of the call that the program made: this library is compiled with frame pointers, and
 * all between is inlined into the exported function.
 */
#define OWN_FRAME __builtin_frame_address(0)

#define INLINE static inline __attribute__((always_inline))

static __attribute__((noinline)) void *allocated_slowly(enum raw_op op, void *block, size_t size,
                                                        const void *frame)
{
    if (log_level() == RAW_ALL && !in_arena(block) &&
        (log_is_plain || log_describe((uintptr_t)block, frame)))
        log_write(op, (uintptr_t)block, size);
    return block;
}

static __attribute__((noinline)) void *not_allocated(void)
{
    log_count_failed();
    return NULL;
}

INLINE void *allocated(enum raw_op op, void *block, size_t size, const void *frame)
{
    if (UNLIKELY(block == NULL))
        return not_allocated();
    if (LIKELY(log_claim(op, (uintptr_t)block, size)))
        return block;
    return allocated_slowly(op, block, size, frame);
}

static enum raw_op aligned_op(size_t alignment)
{
    unsigned log2 = 0;
    while (log2 < 63 && (size_t)1 << log2 < alignment)
        log2++;
    return RAW_ALIGNED + log2;
}

INLINE void *aligned(size_t alignment, void *block, size_t size, const void *frame)
{
    return allocated(aligned_op(alignment), block, size, frame);
}

static void freed_slowly(void *block)
{
    if (log_level() == RAW_OFF || (!log_is_plain && !log_leave_sample((uintptr_t)block)))
        return;
    if (!log_is_plain)
        log_describe_free();
    log_write(RAW_FREE, (uintptr_t)block, 0);
}

static __attribute__((noinline)) void free_slowly(void *block)
{
    freed_slowly(block);
    next.free(block);
}

/* What realloc(p, 0) does is the allocator's choice: whatever it does is a free first. */
static void *realloc_to_nothing(void *block, const void *frame)
{
    freed_slowly(block);
    void *moved = next.realloc(block, 0);
    return moved != NULL ? allocated(RAW_MALLOC, moved, 0, frame) : NULL;
}

static void *realloc_from_arena(void *block, size_t size, const void *frame)
{
    void *moved = allocated(RAW_MALLOC, next.malloc(size), size, frame);
    size_t most = (size_t)(arena + sizeof arena - (char *)block);
    return moved != NULL ? memcpy(moved, block, size < most ? size : most) : NULL;
}

/* While only what ends is recorded, an object that is resized ends there. */
static void *realloc_ending(void *block, size_t size)
{
    freed_slowly(block);
    return next.realloc(block, size);
}

/*
 * A resized object stays in the sample, or outside it. For which there is no room, it ends: its free
 * would not be seen.
 */
static void *realloc_described(void *block, size_t size, const void *frame)
{
    if (!log_is_plain && !log_leave_sample((uintptr_t)block))
        return next.realloc(block, size);
    log_write(RAW_REALLOC_BEGIN, (uintptr_t)block, 0);
    void *moved = next.realloc(block, size);
    uintptr_t now_at = (uintptr_t)(moved != NULL ? moved : block);
    bool stays = log_is_plain || log_stay_in_sample(now_at);
    if (!log_is_plain)
        log_describe_call(frame);
    log_write(RAW_REALLOC_END, (uintptr_t)moved, size);
    if (!stays)
        log_write(RAW_FREE, now_at, 0);
    return moved != NULL ? moved : not_allocated();
}

static __attribute__((noinline)) void *realloc_slowly(void *block, size_t size, const void *frame)
{
    if (in_arena(block))
        return realloc_from_arena(block, size, frame);
    if (size == 0)
        return realloc_to_nothing(block, frame);
    switch (log_level()) {
    case RAW_ALL: return realloc_described(block, size, frame);
    case RAW_FREES: return realloc_ending(block, size);
    default: return next.realloc(block, size);
    }
}

static __attribute__((noinline)) void *realloc_end_slowly(void *moved, size_t size)
{
    log_write(RAW_REALLOC_END, (uintptr_t)moved, size);
    return moved != NULL ? moved : not_allocated();
}

/* ---- the calls ------------------------------------------------------------------------------- */

EXPORT void *malloc(size_t size)
{
    return allocated(RAW_MALLOC, next.malloc(size), size, OWN_FRAME);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return allocated(RAW_CALLOC, next.calloc(count, size), count * size, OWN_FRAME);
}

INLINE void freed(void *block)
{
    if (UNLIKELY(block == NULL)) {
        log_count_null_free();
        return;
    }
    if (UNLIKELY(in_arena(block)))
        return;
    if (LIKELY(log_claim(RAW_FREE, (uintptr_t)block, 0)))
        next.free(block);
    else
        free_slowly(block);
}

EXPORT void free(void *block)
{
    freed(block);
}

/* C23's, whatever the C library's age: who asks whether there are any finds these. Either is free() with a hint. */
EXPORT void free_sized(void *block, size_t size)
{
    (void)size;
    freed(block);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    freed(block);
}

INLINE void *resized(void *block, size_t size, const void *frame)
{
    if (block == NULL) /* Lua, for one, has no other malloc */
        return allocated(RAW_MALLOC, next.malloc(size), size, frame);
    if (UNLIKELY(size == 0 || in_arena(block)) ||
        UNLIKELY(!log_claim(RAW_REALLOC_BEGIN, (uintptr_t)block, 0)))
        return realloc_slowly(block, size, frame);
    void *moved = next.realloc(block, size);
    if (LIKELY(moved != NULL && log_claim(RAW_REALLOC_END, (uintptr_t)moved, size)))
        return moved;
    return realloc_end_slowly(moved, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    return resized(block, size, OWN_FRAME);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        log_count_failed();
        errno = ENOMEM;
        return NULL;
    }
    return resized(block, bytes, OWN_FRAME);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return aligned(alignment, next.memalign(alignment, size), size, OWN_FRAME);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return aligned(alignment, next.aligned_alloc(alignment, size), size, OWN_FRAME);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    int error = next.posix_memalign(block, alignment, size);
    aligned(alignment, error == 0 ? *block : NULL, size, OWN_FRAME);
    return error;
}

EXPORT void *valloc(size_t size)
{
    calls_be_ready();
    return aligned(RAW_PAGE_BYTES, next.valloc(size), size, OWN_FRAME);
}

EXPORT void *pvalloc(size_t size)
{
    calls_be_ready();
    size_t page = RAW_PAGE_BYTES;
    return aligned(page, next.pvalloc(size), (size + page - 1) & ~(page - 1), OWN_FRAME);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/*
 * A program's own first call may come too late: from behind chroot(), or with other rights, the raw
 * file is not found any more.
 */
__attribute__((constructor)) static void begin_early(void)
{
    calls_be_ready();
    log_exec_begin();
    log_level();
}
