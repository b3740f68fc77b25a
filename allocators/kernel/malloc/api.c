#include <errno.h>
#include <string.h>

#include "../slub/slab.h"
#include "classes.h"
#include "fault.h"
#include "large.h"
#include "mapped.h"
#include "options.h"
#include "slub_malloc.h"

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static void *from_slabs(struct kmem_cache *s, gfp_t how)
{
    return s ? slab_alloc_slow(s, GFP_KERNEL | __GFP_NOWARN | how) : NULL;
}

/*
 * Where the pool is full, what fills the better part of a page may have a page, or several, of its own: that is
 * better than to wait.
 */
static void *allocate_object(size_t size)
{
    bool may_map = size > PAGE_SIZE / 2 && may_stand_in();
    struct kmem_cache *s = malloc_cache(size);
    void *memory = from_slabs(s, may_map && !pages_may_flush() ? __GFP_NO_RECLAIM : __GFP_NORETRY);

    if (memory || !may_map)
        return memory;
    memory = mapped_alloc(size, 1);
    return memory ? memory : from_slabs(s, __GFP_NORETRY);
}

static void *allocate(size_t size, bool zero)
{
    void *memory;

    if (unlikely(size > PTRDIFF_MAX))
        return out_of_memory();
    if (size <= MALLOC_CACHE_MAX) {
        memory = allocate_object(size);
        if (memory && zero)
            memset(memory, 0, size);
    } else {
        memory = large_alloc(size, 1, zero);
    }
    if (!zero)
        perturb_new(memory, size);
    return memory ? memory : out_of_memory();
}

void *malloc_slow(size_t size)
{
    return allocate(size, false);
}

/* Bytes that can be used at `memory`. */
static size_t usable(const void *memory, const char *wrong)
{
    struct slab *slab = slab_of(memory);

    if (unlikely(!slab))
        return large_size(memory, wrong);
    check_object(slab->slab_cache, slab, memory, wrong);
    return slab->slab_cache->object_size;
}

void free_slow(void *memory)
{
    int saved = errno;
    struct slab *slab;

    if (!memory)
        return;
    if (unlikely(malloc_options.perturb))
        memset(memory, (int)malloc_options.perturb,
               usable(memory, "free: not from malloc, or freed before"));
    slab = slab_of(memory);
    if (likely(slab != NULL))
        slab_free_slow(slab->slab_cache, slab, memory, GFP_KERNEL);
    else
        large_free(memory);
    errno = saved;
}

RSEQ_DEFINE_MALLOC_FAR(malloc_far, malloc_slow)
RSEQ_DEFINE_FREE_FAR(free_far, free_slow)
RSEQ_DEFINE_MALLOC(slub_malloc, malloc_far, malloc_slow)
RSEQ_DEFINE_FREE(slub_free, CELLS_IN_FRONT, free_far, free_slow)

void *slub_calloc(size_t count, size_t bytes)
{
    size_t total;
    void *memory;

    if (unlikely(__builtin_mul_overflow(count, bytes, &total)))
        return out_of_memory();
    return malloc_fast(total, &memory) ? memset(memory, 0, total) : allocate(total, true);
}

/* What a request of `bytes` would get; for blocks of pages, no more than that. */
static size_t granted(size_t bytes)
{
    return bytes <= MALLOC_CACHE_MAX ? malloc_class_size(bytes) : bytes;
}

void *slub_realloc(void *memory, size_t bytes)
{
    size_t old, ahead;
    void *copy;

    if (!memory)
        return slub_malloc(bytes);
    if (bytes == 0) {
        slub_free(memory);
        return NULL;
    }
    if (unlikely(bytes > PTRDIFF_MAX))
        return out_of_memory();
    old = usable(memory, "realloc: not from malloc, or freed before");
    copy = old > MALLOC_CACHE_MAX ? large_resize(memory, bytes) : NULL;
    if (copy)
        return copy;
    /* In place, unless that keeps half of the object idle, or more. */
    if (bytes <= old && granted(bytes) > old / 2)
        return memory;
    ahead = bytes > old ? large_ahead(bytes) : bytes;
    copy = slub_malloc(ahead);
    if (!copy && ahead > bytes)
        copy = slub_malloc(bytes); /* without what was to spare */
    if (!copy)
        return bytes <= old ? memory : NULL;
    memcpy(copy, memory, old < bytes ? old : bytes);
    slub_free(memory);
    return copy;
}

void *slub_reallocarray(void *memory, size_t count, size_t bytes)
{
    size_t total;

    if (unlikely(__builtin_mul_overflow(count, bytes, &total)))
        return out_of_memory();
    return slub_realloc(memory, total);
}

size_t slub_malloc_usable_size(void *memory)
{
    return memory ? usable(memory, "malloc_usable_size: not from malloc, or freed before") : 0;
}
