/*
 * libhm_null.so: a bump allocator that never frees. Whatever a workload takes over it is the
 * harness's own cost, since malloc can hardly be cheaper and free is nothing.
 *
 *   arena:  | size | block ........ | size | block ... |        not yet used        |
 *                                                      ^ next                        ^ end
 *
 * Every thread bumps through an arena of its own; a block larger than an arena gets a new arena of
 * its size. The size before each block serves realloc and malloc_usable_size. Blocks are aligned
 * to 16 bytes: `next` is always 8 bytes short of such an address.
 *
 * HEAPMARK_NULL sets knobs, for floors without the cost of fresh memory:
 *   populate=SIZE  each thread's first arena is SIZE bytes large and resident from the start
 *   ring=SIZE      the same, and when it is used up, begin again at its start: whatever is still
 *                  live there is lost, so this is for loops that keep less than SIZE live
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fault.h"
#include "knob_text.h"

#define EXPORT      __attribute__((visibility("default")))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define VARIABLE    "HEAPMARK_NULL"
#define TIB         ((size_t)1 << 40)

enum { HEADER_BYTES = 8, ALIGN_BYTES = 16, PAGE_BYTES = 4096 };
static const size_t arena_bytes = 64u << 20;
static size_t populate_bytes;
static int is_ring;

static _Thread_local struct {
    char *next, *end;
    char *start;
} arena __attribute__((tls_model("initial-exec")));

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static int arena_new(size_t bytes, int populate)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    if (populate) {
        /* Advice: where it is refused, the first touches fault as usual. */
        madvise(memory, bytes, MADV_HUGEPAGE);
        madvise(memory, bytes, MADV_POPULATE_WRITE);
    }
    arena.start = memory;
    arena.next = memory + HEADER_BYTES;
    arena.end = memory + bytes;
    return 0;
}

/* The rest of the old arena is lost: nothing here is ever found again. */
static __attribute__((noinline, cold)) void *malloc_slow(size_t size)
{
    if (size > PTRDIFF_MAX - 2 * PAGE_BYTES)
        return out_of_memory();
    if (is_ring && arena.start != NULL && size + PAGE_BYTES <= populate_bytes) {
        arena.next = arena.start + HEADER_BYTES;
        return malloc(size);
    }
    size_t bytes = arena_bytes;
    int populate = arena.next == NULL && populate_bytes > 0;
    if (populate)
        bytes = populate_bytes;
    if (bytes < size + PAGE_BYTES)
        bytes = (size + 2 * PAGE_BYTES) & ~(size_t)(PAGE_BYTES - 1);
    return arena_new(bytes, populate) == 0 ? malloc(size) : out_of_memory();
}

EXPORT void *malloc(size_t size)
{
    size_t step = (size + HEADER_BYTES + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    char *next = arena.next;
    if (UNLIKELY(step < size || step > (size_t)(arena.end - next)))
        return malloc_slow(size);
    memcpy(next, &size, sizeof size);
    arena.next = next + step;
    return next + HEADER_BYTES;
}

EXPORT void free(void *block)
{
    (void)block;
}

EXPORT size_t malloc_usable_size(void *block)
{
    size_t size = 0;
    if (block != NULL)
        memcpy(&size, (char *)block - HEADER_BYTES, sizeof size);
    return size;
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return out_of_memory();
    void *block = malloc(bytes);
    if (is_ring && block != NULL)
        memset(block, 0, bytes);
    return block; /* otherwise fresh from mmap: already zero */
}

EXPORT void *realloc(void *block, size_t size)
{
    size_t old = malloc_usable_size(block);
    void *moved = malloc(size);
    if (moved != NULL && old != 0)
        memcpy(moved, block, old < size ? old : size);
    return moved;
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return out_of_memory();
    return realloc(block, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment <= ALIGN_BYTES)
        return malloc(size);
    if ((alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    size_t bytes;
    if (__builtin_add_overflow(size, alignment + HEADER_BYTES, &bytes))
        return out_of_memory();
    char *block = malloc(bytes);
    if (block == NULL)
        return NULL;
    char *aligned = (char *)(((uintptr_t)block + alignment - 1) & ~(uintptr_t)(alignment - 1));
    memcpy(aligned - HEADER_BYTES, &size, sizeof size);
    return aligned;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    int saved = errno;
    void *memory = memalign(alignment, size);
    errno = saved;
    if (memory == NULL)
        return ENOMEM;
    *block = memory;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return memalign(PAGE_BYTES, size);
}

EXPORT void *pvalloc(size_t size)
{
    size_t bytes;
    if (__builtin_add_overflow(size, (size_t)PAGE_BYTES - 1, &bytes))
        return out_of_memory();
    return memalign(PAGE_BYTES, bytes & ~(size_t)(PAGE_BYTES - 1));
}

/* ---- the knobs ------------------------------------------------------------------------------- */

const char fault_subject[] = "null";

static void reuse_arena(void *knobs)
{
    (void)knobs;
    is_ring = 1;
}

static const struct knob knobs[] = {
    {"populate", 0, 4 * PAGE_BYTES, TIB, NULL, NULL},
    {"ring", 0, 4 * PAGE_BYTES, TIB, NULL, reuse_arena},
    {0},
};

__attribute__((constructor)) static void read_knobs(void)
{
    const char *text = getenv(VARIABLE);
    if (text == NULL || *text == '\0' ||
        !knob_text_read(text, VARIABLE, knobs, &populate_bytes, sizeof populate_bytes))
        return;
    if (arena_new(populate_bytes, 1) != 0)
        populate_bytes = 0;
}
