#include "ptmalloc.h"

#include <errno.h>
#include <string.h>

#include "aligned.h"
#include "arena.h"
#include "bins.h"
#include "fault.h"
#include "heap.h"
#include "init.h"
#include "knobs.h"
#include "mmapped.h"
#include "os.h"
#include "resize.h"
#include "tcache.h"

static bool cacheable(size_t size)
{
    return size <= chunk_size_for(ptm_knobs.tcache_max);
}

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* A chunk from the cache's refill or from the arenas; NULL and ENOMEM if there is none. */
static inline __attribute__((always_inline)) struct chunk *allocate(size_t request, bool *fresh)
{
    struct chunk *c = NULL;
    struct tcache *tc;
    size_t size;
    bool usable;

    *fresh = false;
    if (PTM_UNLIKELY(request > PTRDIFF_MAX))
        return out_of_memory();
    size = chunk_size_for(request);
    tc = tcache_mine(&usable);
    if (usable && cacheable(size)) {
        void *memory;

        if (PTM_UNLIKELY(tcache_bin(size)->head != NULL))
            fault("malloc(): unaligned link in a thread cache", tcache_bin(size)->head);
        memory = tcache_refill(tc, size);
        if (memory)
            return chunk_of(memory);
    }
    c = arena_alloc(tc, size, fresh);
    return c ? c : out_of_memory();
}

/* New memory is filled with the complement, so that it differs from freed memory. */
static void perturb_new(void *memory, size_t bytes)
{
    if (PTM_UNLIKELY(ptm_knobs.perturb))
        memset(memory, (int)ptm_knobs.perturb ^ 0xff, bytes);
}

void *malloc_slow(size_t request)
{
    bool fresh;
    struct chunk *c = allocate(request, &fresh);
    void *memory;

    if (!c)
        return NULL;
    memory = chunk_memory(c);
    perturb_new(memory, request);
    return memory;
}

/* What every chunk must satisfy that is not a mapping, its alignment aside. */
static inline __attribute__((always_inline)) void check_chunk(const struct chunk *c,
                                                              const char *bad_pointer,
                                                              const char *bad_size)
{
    size_t size = chunk_size(c);

    if (PTM_UNLIKELY(size < PTM_MIN_CHUNK || size % PTM_ALIGN))
        fault(bad_size, (const char *)c + PTM_CHUNK_HEADER);
    if (PTM_UNLIKELY((uintptr_t)c > -size))
        fault(bad_pointer, (const char *)c + PTM_CHUNK_HEADER);
}

void free_slow(void *memory)
{
    struct chunk *c = chunk_of(memory);
    size_t size = chunk_size(c);
    struct tcache *tc;
    bool usable;

    if (!is_aligned(memory))
        fault("free(): invalid pointer", memory);
    if (chunk_mmapped(c)) {
        mmapped_free(c);
        return;
    }
    check_chunk(c, "free(): invalid pointer", "free(): invalid size");
    tc = tcache_mine(&usable);
    /* The key may be there by chance, or copied there by the program: make sure. */
    if (PTM_UNLIKELY(cell_of(c)->key == ptm_key) && is_cached(tc, c, size))
        fault("free(): double free detected", memory);
    if (PTM_UNLIKELY(ptm_knobs.perturb))
        memset(memory, (int)ptm_knobs.perturb, size - PTM_CHUNK_HEADER);
    if (usable && cacheable(size)) {
        heap_check_freed(c, size);
        tcache_overflow(tc, size, cell_of(c));
    } else {
        arena_free(tc, c, size);
    }
}

void *ptm_malloc(size_t bytes)
{
    void *memory = tcache_get(bytes);

    return PTM_LIKELY(memory != NULL) ? memory : malloc_slow(bytes);
}

void ptm_free(void *memory)
{
    if (PTM_LIKELY(memory != NULL) && PTM_UNLIKELY(!tcache_put(memory)))
        free_slow(memory);
}

void *ptm_calloc(size_t count, size_t bytes)
{
    size_t total;
    void *memory;
    struct chunk *c;
    bool fresh;

    if (PTM_UNLIKELY(__builtin_mul_overflow(count, bytes, &total)))
        return out_of_memory();
    memory = tcache_get(total);
    if (PTM_LIKELY(memory != NULL))
        return memset(memory, 0, total);
    c = allocate(total, &fresh);
    if (!c)
        return NULL;
    memory = chunk_memory(c);
    return fresh ? memory : memset(memory, 0, total);
}

/* The mapped half of realloc(): by moving pages if possible, else by copying. */
static void *resize_mapped(void *memory, struct chunk *c, size_t bytes)
{
    size_t old = chunk_usable(c); /* before the mapping may be gone */
    struct chunk *moved = mmapped_resize(c, chunk_size_for(bytes));
    void *copy;

    if (moved)
        return chunk_memory(moved);
    if (old >= bytes)
        return memory;
    copy = ptm_malloc(bytes);
    if (!copy)
        return NULL;
    memcpy(copy, memory, old);
    mmapped_free(c);
    return copy;
}

void *ptm_realloc(void *memory, size_t bytes)
{
    struct chunk *c = chunk_of(memory);
    size_t old, size;
    void *copy;

    if (!memory)
        return ptm_malloc(bytes);
    if (bytes == 0) {
        ptm_free(memory);
        return NULL;
    }
    if (PTM_UNLIKELY(!is_aligned(memory)))
        fault("realloc(): invalid pointer", memory);
    if (PTM_UNLIKELY(bytes > PTRDIFF_MAX))
        return out_of_memory();
    if (chunk_mmapped(c))
        return resize_mapped(memory, c, bytes);
    check_chunk(c, "realloc(): invalid pointer", "realloc(): invalid old size");
    old = chunk_size(c);
    size = chunk_size_for(bytes);
    if (old >= size && old - size < PTM_MIN_CHUNK)
        return memory;
    /* Copying a few hundred bytes into a cached chunk is cheaper than the arena's lock. */
    if ((old > PTM_TCACHE_MAX_CHUNK || size > PTM_TCACHE_MAX_CHUNK || !tcache_bin(size)->head) &&
        chunk_resize(c, size))
        return memory;
    copy = ptm_malloc(bytes);
    if (!copy)
        return NULL;
    /* Cut from a top chunk that had to grow, right behind the old one: no need to move. */
    if (PTM_UNLIKELY(chunk_of(copy) == chunk_next(c)) && size > PTM_TCACHE_MAX_CHUNK) {
        chunk_join(c, size);
        return memory;
    }
    memcpy(copy, memory, (old < size ? old : size) - PTM_WORD);
    ptm_free(memory);
    return copy;
}

void *ptm_reallocarray(void *memory, size_t count, size_t bytes)
{
    size_t total;

    if (PTM_UNLIKELY(__builtin_mul_overflow(count, bytes, &total)))
        return out_of_memory();
    return ptm_realloc(memory, total);
}

/* `align` is a power of two. */
static void *allocate_aligned(size_t align, size_t bytes)
{
    size_t size, enough;
    struct chunk *c;
    struct tcache *tc;
    bool unused;

    if (align <= PTM_ALIGN)
        return ptm_malloc(bytes);
    if (bytes > PTRDIFF_MAX || align > PTRDIFF_MAX - PTM_MIN_CHUNK ||
        bytes > PTRDIFF_MAX - PTM_MIN_CHUNK - align)
        return out_of_memory();
    size = chunk_size_for(bytes);
    enough = size + align + PTM_MIN_CHUNK;
    tc = tcache_mine(&unused);
    c = mmapped_wanted(enough) ? mmapped_alloc(size, align) : NULL;
    if (!c) {
        c = arena_alloc(tc, enough, &unused);
        if (c && chunk_mmapped(c)) {
            mmapped_free(c);
            c = mmapped_alloc(size, align);
        } else if (c) {
            c = chunk_align(c, align, size);
        }
    }
    if (!c)
        return out_of_memory();
    perturb_new(chunk_memory(c), bytes);
    return chunk_memory(c);
}

void *ptm_memalign(size_t align, size_t bytes)
{
    return memalign_by(allocate_aligned, PTM_ALIGN, align, bytes);
}

void *ptm_aligned_alloc(size_t align, size_t bytes)
{
    return aligned_alloc_by(allocate_aligned, align, bytes);
}

int ptm_posix_memalign(void **memory, size_t align, size_t bytes)
{
    return posix_memalign_by(allocate_aligned, memory, align, bytes);
}

void *ptm_valloc(size_t bytes)
{
    init_process();
    return allocate_aligned(ptm_page, bytes);
}

void *ptm_pvalloc(size_t bytes)
{
    init_process();
    if (bytes > PTRDIFF_MAX)
        return out_of_memory();
    return allocate_aligned(ptm_page, page_up(bytes));
}

size_t ptm_malloc_usable_size(void *memory)
{
    return memory ? chunk_usable(chunk_of(memory)) : 0;
}
