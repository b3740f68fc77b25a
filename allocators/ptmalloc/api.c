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
    return size <= PTM_TCACHE_MAX_CHUNK && size <= chunk_size_for(ptm_knobs.tcache_max);
}

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/*
 * A chunk from the cache's refill or from the arenas, `t` telling what of it is clean; NULL and ENOMEM if
 * there is none.
 */
static inline __attribute__((always_inline)) struct chunk *allocate(size_t request, struct take *t)
{
    struct chunk *c = NULL;
    struct tcache *tc;
    bool usable;

    if (PTM_UNLIKELY(request > PTRDIFF_MAX))
        return out_of_memory();
    *t = (struct take){.unit = chunk_size_for(request), .count = 1};
    tc = tcache_mine(&usable);
    if (usable && cacheable(t->unit)) {
        void *memory;

        if (PTM_UNLIKELY(tcache_bin(t->unit)->head != NULL))
            fault("malloc(): unaligned link in a thread cache", tcache_bin(t->unit)->head);
        memory = tcache_refill(tc, t->unit);
        if (memory)
            return chunk_of(memory);
    }
    c = arena_alloc(tc, t);
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
    struct take t;
    struct chunk *c = allocate(request, &t);
    void *memory;

    if (!c)
        return NULL;
    memory = chunk_memory(c);
    perturb_new(memory, request);
    return memory;
}

/* What every chunk must satisfy that is not a mapping, its alignment aside. */
static inline __attribute__((always_inline)) void check_chunk(const struct chunk *c, size_t size,
                                                              const char *bad_pointer,
                                                              const char *bad_size)
{
    if (PTM_UNLIKELY(size < PTM_MIN_CHUNK || size % PTM_ALIGN))
        fault(bad_size, (const char *)c + PTM_CHUNK_HEADER);
    if (PTM_UNLIKELY((uintptr_t)c > -size))
        fault(bad_pointer, (const char *)c + PTM_CHUNK_HEADER);
}

static __attribute__((noinline)) void free_to_cache(struct tcache *tc, struct chunk *c, size_t size)
{
    heap_check_freed(c, size);
    tcache_overflow(tc, size, cell_of(c));
}

static inline void put_away(struct tcache *tc, struct chunk *c, size_t size)
{
    if (tc->state == TCACHE_ON && cacheable(size))
        free_to_cache(tc, c, size);
    else
        arena_free(tc, c, size);
}

/* The knobs have changed, or free memory is filled, or the chunk looks as if it were free. */
static __attribute__((cold, noinline)) void free_rare(struct chunk *c, size_t size)
{
    bool unused;
    struct tcache *tc = tcache_mine(&unused);

    /* The key may be there by chance, or copied there by the program: make sure. */
    if (cell_of(c)->key == ptm_key && is_cached(tc, c, size))
        fault("free(): double free detected", chunk_memory(c));
    if (ptm_knobs.perturb) {
        heap_check_freed(c, size); /* before anything is written that far */
        memset(chunk_memory(c), (int)ptm_knobs.perturb, size - PTM_CHUNK_HEADER);
    }
    put_away(tc, c, size);
}

/* Ends in one of four calls and makes no other, so that it saves no registers. */
void free_slow(void *memory)
{
    struct chunk *c = chunk_of(memory);
    size_t head = chunk_head(c), size = head & ~(size_t)CHUNK_FLAGS;
    struct tcache *tc = &ptm_tcache;

    if (!is_aligned(memory))
        fault("free(): invalid pointer", memory);
    if (head & CHUNK_M) {
        mmapped_free(c);
        return;
    }
    check_chunk(c, size, "free(): invalid pointer", "free(): invalid size");
    if (PTM_UNLIKELY(!tcache_is_current(tc) || cell_of(c)->key == ptm_key || ptm_knobs.perturb))
        free_rare(c, size);
    else
        put_away(tc, c, size);
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

/* Clears what may have been written. */
static void *clear(char *memory, size_t bytes, const char *clean)
{
    if (clean && clean < memory + bytes)
        bytes = clean > memory ? (size_t)(clean - memory) : 0;
    return memset(memory, 0, bytes);
}

void *ptm_calloc(size_t count, size_t bytes)
{
    size_t total;
    void *memory;
    struct chunk *c;
    struct take t;

    if (PTM_UNLIKELY(__builtin_mul_overflow(count, bytes, &total)))
        return out_of_memory();
    memory = tcache_get(total);
    if (PTM_LIKELY(memory != NULL))
        return memset(memory, 0, total);
    c = allocate(total, &t);
    if (!c)
        return NULL;
    return clear(chunk_memory(c), total, t.clean);
}

/* The mapped half of realloc(): by moving pages if possible, else by copying. */
static __attribute__((noinline)) void *resize_mapped(void *memory, struct chunk *c, size_t bytes)
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

/*
 * Copies what is common to two chunks of `old` and `size` bytes, and frees the first. Not inlined: knowing
 * the range of the sizes, the compiler would copy word by word.
 */
static __attribute__((noinline)) void *replace(void *memory, size_t old, void *copy, size_t size)
{
    memcpy(copy, memory, (old < size ? old : size) - PTM_WORD);
    ptm_free(memory);
    return copy;
}

/* realloc() of a chunk that could not be resized in place. */
static __attribute__((noinline)) void *move(void *memory, size_t bytes)
{
    struct chunk *c = chunk_of(memory);
    size_t size = chunk_size_for(bytes);
    void *copy = ptm_malloc(bytes);

    if (!copy)
        return NULL;
    /* Cut from a top chunk that had to grow, right behind the old one: no need to move. */
    if (PTM_UNLIKELY(chunk_of(copy) == chunk_next(c)) && size > PTM_TCACHE_MAX_CHUNK) {
        chunk_join(c, size);
        return memory;
    }
    return replace(memory, chunk_size(c), copy, size);
}

/* In place if the chunk behind can give what is missing. */
static __attribute__((noinline)) void *resize(void *memory, size_t bytes)
{
    return chunk_resize(chunk_of(memory), chunk_size_for(bytes)) ? memory : move(memory, bytes);
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
    old = chunk_size(c);
    check_chunk(c, old, "realloc(): invalid pointer", "realloc(): invalid old size");
    size = chunk_size_for(bytes);
    if (old >= size && old - size < PTM_MIN_CHUNK)
        return memory;
    /* Copying a few hundred bytes into a cached chunk is cheaper than the arena's lock. */
    copy = old <= PTM_TCACHE_MAX_CHUNK ? tcache_get(bytes) : NULL;
    return copy ? replace(memory, old, copy, size) : resize(memory, bytes);
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
    struct take t = {.count = 1};
    struct chunk *c;
    struct tcache *tc;
    size_t size;
    bool unused;

    if (align <= PTM_ALIGN)
        return ptm_malloc(bytes);
    if (bytes > PTRDIFF_MAX || align > PTRDIFF_MAX - PTM_MIN_CHUNK ||
        bytes > PTRDIFF_MAX - PTM_MIN_CHUNK - align)
        return out_of_memory();
    size = chunk_size_for(bytes);
    t.unit = size + align + PTM_MIN_CHUNK;
    tc = tcache_mine(&unused);
    c = mmapped_wanted(t.unit) ? mmapped_alloc(size, align) : NULL;
    if (!c) {
        c = arena_alloc(tc, &t);
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
