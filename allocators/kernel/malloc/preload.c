/* The shared object: see malloc_names.h. */
#include "classes.h"
#include "malloc_names.h"
#include "slub_malloc.h"

EXPORT void *malloc(size_t bytes)
{
    void *memory;

    return malloc_fast(bytes, &memory) ? memory : malloc_slow(bytes);
}

EXPORT void free(void *memory)
{
    if (unlikely(!free_fast(memory)))
        free_slow(memory);
}

EXPORT_MALLOC_NAMES(slub);

EXPORT const char *heapmark_allocator_flags(void)
{
    return slub_allocator_flags();
}
