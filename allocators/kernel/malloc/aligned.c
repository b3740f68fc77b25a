/* Aligned allocation: an object of a size that is a multiple of the alignment lies on it. */
#include <errno.h>
#include <stdint.h>

#include "aligned.h"
#include "classes.h"
#include "large.h"
#include "options.h"
#include "slub_malloc.h"

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The least class for `bytes` whose objects are all aligned; above MALLOC_CACHE_MAX: none. */
static size_t aligned_class(size_t align, size_t bytes)
{
    size_t size = bytes;

    while (size <= MALLOC_CACHE_MAX && (size = malloc_class_size(size)) % align)
        size++;
    return size;
}

/* `align` is a power of two. */
static void *allocate_aligned(size_t align, size_t bytes)
{
    void *memory;

    if (align <= 16)
        return slub_malloc(bytes);
    if (bytes > PTRDIFF_MAX)
        return out_of_memory();
    slub_start(); /* for the configuration */
    /* With debug=1 the objects of a class lie further apart than its size. */
    if (align <= PAGE_SIZE && !kmem_config.debug && aligned_class(align, bytes) <= MALLOC_CACHE_MAX)
        return slub_malloc(aligned_class(align, bytes));
    /* Blocks of pages are aligned to their size: above the slabs' sizes, or the block is a page. */
    memory = large_alloc(bytes, align > PAGE_SIZE ? align : PAGE_SIZE, false);
    perturb_new(memory, bytes);
    return memory ? memory : out_of_memory();
}

void *slub_memalign(size_t align, size_t bytes)
{
    return memalign_by(allocate_aligned, 16, align, bytes);
}

void *slub_aligned_alloc(size_t align, size_t bytes)
{
    return aligned_alloc_by(allocate_aligned, align, bytes);
}

int slub_posix_memalign(void **memory, size_t align, size_t bytes)
{
    return posix_memalign_by(allocate_aligned, memory, align, bytes);
}

void *slub_valloc(size_t bytes)
{
    return allocate_aligned(PAGE_SIZE, bytes);
}

void *slub_pvalloc(size_t bytes)
{
    if (bytes > PTRDIFF_MAX)
        return out_of_memory();
    return allocate_aligned(PAGE_SIZE, (bytes + PAGE_SIZE - 1) & PAGE_MASK);
}
