/*
 * Sizes of malloc. Multiples of 16 up to 128, then four steps in each doubling: at most a fifth of an
 * object is wasted, where the kernel's powers of two would waste up to a half. Above
 * MALLOC_CACHE_MAX come blocks of pages, above MALLOC_PAGES_MAX mappings.
 */
#ifndef KMEM_MALLOC_CLASSES_H
#define KMEM_MALLOC_CLASSES_H

#include "../slub/slub.h"

#define MALLOC_CACHE_MAX ((size_t)32 << 10)
#define MALLOC_PAGES_MAX ((size_t)2 << 20)

_Static_assert(MALLOC_CACHE_MAX / 16 + 1 == PERCPU_SIZES, "the table of sizes covers all classes");

/* The cache for `size` up to MALLOC_CACHE_MAX, made if need be; NULL: out of memory. */
struct kmem_cache *malloc_cache(size_t size);

/* The bytes of an object for a request of `size` up to MALLOC_CACHE_MAX. */
size_t malloc_class_size(size_t size);

/* From the main sheaf, or NULL. */
static inline __attribute__((always_inline)) void *malloc_fast(size_t size)
{
    if (unlikely(size > MALLOC_CACHE_MAX))
        return NULL;
    return percpu_take_fast(
        __atomic_load_n(&percpu_area.size_cells[(size + 15) / 16], __ATOMIC_RELAXED));
}

/* To the main sheaf; false: not taken, NULL included. */
static inline __attribute__((always_inline)) bool free_fast(void *memory)
{
    size_t frame = virt_to_frame(memory);

    return likely(frame < slub_fast_frames) && percpu_put_fast(cell_of_frame(frame), memory);
}

/* The rest of malloc and free: errno, refills, large requests, wrong pointers. */
void *malloc_slow(size_t size);
void free_slow(void *memory);

#endif
