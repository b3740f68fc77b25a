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

_Static_assert(MALLOC_CACHE_MAX / 16 == PERCPU_SIZES, "the table of sizes covers all classes");

/* The cache for `size` up to MALLOC_CACHE_MAX, made if need be; NULL: out of memory. */
struct kmem_cache *malloc_cache(size_t size);

/* The bytes of an object for a request of `size` up to MALLOC_CACHE_MAX. */
size_t malloc_class_size(size_t size);

/* From the main sheaf; false: it is empty, or the size is 0 or too large. */
static inline __attribute__((always_inline)) bool malloc_fast(size_t size, void **memory)
{
    size_t step = (size - 1) / 16;
    char *none = percpu_none();
    void *ahead;

    return likely(step < __atomic_load_n(&percpu_area.sizes, __ATOMIC_RELAXED)) &&
           likely(percpu_take_fast(none, percpu_cell_of_step(none, step), memory, &ahead));
}

/*
 * The rest of malloc and free, for assembly to jump to: the same ways where the near ones are closed, and
 * sizes above those of small_cells; errno, refills, large requests, wrong pointers.
 */
__attribute__((used)) void *malloc_far(size_t size);
__attribute__((used)) void free_far(void *memory);
__attribute__((used)) void *malloc_slow(size_t size);
__attribute__((used)) void free_slow(void *memory);

#endif
