/*
 * The standard names, for the shared object. malloc and free carry their fast paths themselves, so
 * that a call costs one jump through the PLT and no more. C++ operators come to these through the
 * C++ library.
 */
#include "classes.h"
#include "slub_malloc.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t bytes)
{
    void *memory = malloc_fast(bytes);

    return likely(memory != NULL) ? memory : malloc_slow(bytes);
}

EXPORT void free(void *memory)
{
    if (unlikely(!free_fast(memory)))
        free_slow(memory);
}

EXPORT void *calloc(size_t count, size_t bytes)
{
    return slub_calloc(count, bytes);
}

EXPORT void *realloc(void *memory, size_t bytes)
{
    return slub_realloc(memory, bytes);
}

EXPORT void *reallocarray(void *memory, size_t count, size_t bytes)
{
    return slub_reallocarray(memory, count, bytes);
}

EXPORT void *memalign(size_t align, size_t bytes)
{
    return slub_memalign(align, bytes);
}

EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
    return slub_aligned_alloc(align, bytes);
}

EXPORT int posix_memalign(void **memory, size_t align, size_t bytes)
{
    return slub_posix_memalign(memory, align, bytes);
}

EXPORT void *valloc(size_t bytes)
{
    return slub_valloc(bytes);
}

EXPORT void *pvalloc(size_t bytes)
{
    return slub_pvalloc(bytes);
}

EXPORT size_t malloc_usable_size(void *memory)
{
    return slub_malloc_usable_size(memory);
}

EXPORT int mallopt(int parameter, int value)
{
    return slub_mallopt(parameter, value);
}

EXPORT int malloc_trim(size_t pad)
{
    return slub_malloc_trim(pad);
}

EXPORT struct mallinfo mallinfo(void)
{
    return slub_mallinfo();
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    return slub_mallinfo2();
}

EXPORT void malloc_stats(void)
{
    slub_malloc_stats();
}

EXPORT int malloc_info(int options, FILE *stream)
{
    return slub_malloc_info(options, stream);
}

EXPORT const char *heapmark_allocator_flags(void)
{
    return slub_allocator_flags();
}
