/*
 * The standard names for a shared object to preload, over the allocator's prefixed functions: all of
 * malloc.h, and C23's sized frees, but malloc and free, which each allocator writes itself so that their fast paths cost one jump
 * through the PLT and no more. C++ operators come to these through the C++ library.
 */
#ifndef HM_MALLOC_NAMES_H
#define HM_MALLOC_NAMES_H

#define EXPORT __attribute__((visibility("default")))

/*
 * heapmark_handle_forks() registers an allocator's handlers of forks, which must happen before all others (see
 * library.cmake). The loader runs the constructors of one library of a process before all others: of two
 * that ask for it, those of the one loaded last, while malloc is that of the one loaded first. So
 * either calls this function by the name they share, which is the first one's as malloc is.
 */
#define EXPORT_MALLOC_NAMES(prefix)                                          \
    void prefix##_handle_forks(void);                                        \
    EXPORT void heapmark_handle_forks(void)                                  \
    {                                                                        \
        prefix##_handle_forks();                                             \
    }                                                                        \
    static __attribute__((constructor)) void handle_forks(void)              \
    {                                                                        \
        heapmark_handle_forks();                                             \
    }                                                                        \
    EXPORT void *calloc(size_t count, size_t bytes)                          \
    {                                                                        \
        return prefix##_calloc(count, bytes);                                \
    }                                                                        \
    EXPORT void *realloc(void *memory, size_t bytes)                         \
    {                                                                        \
        return prefix##_realloc(memory, bytes);                              \
    }                                                                        \
    EXPORT void *reallocarray(void *memory, size_t count, size_t bytes)      \
    {                                                                        \
        return prefix##_reallocarray(memory, count, bytes);                  \
    }                                                                        \
    EXPORT void *memalign(size_t align, size_t bytes)                        \
    {                                                                        \
        return prefix##_memalign(align, bytes);                              \
    }                                                                        \
    EXPORT void *aligned_alloc(size_t align, size_t bytes)                   \
    {                                                                        \
        return prefix##_aligned_alloc(align, bytes);                         \
    }                                                                        \
    EXPORT int posix_memalign(void **memory, size_t align, size_t bytes)     \
    {                                                                        \
        return prefix##_posix_memalign(memory, align, bytes);                \
    }                                                                        \
    EXPORT void *valloc(size_t bytes)                                        \
    {                                                                        \
        return prefix##_valloc(bytes);                                       \
    }                                                                        \
    EXPORT void *pvalloc(size_t bytes)                                       \
    {                                                                        \
        return prefix##_pvalloc(bytes);                                      \
    }                                                                        \
    EXPORT void free_sized(void *memory, size_t bytes)                       \
    {                                                                        \
        (void)bytes;                                                         \
        prefix##_free(memory);                                               \
    }                                                                        \
    EXPORT void free_aligned_sized(void *memory, size_t align, size_t bytes) \
    {                                                                        \
        (void)align;                                                         \
        (void)bytes;                                                         \
        prefix##_free(memory);                                               \
    }                                                                        \
    EXPORT size_t malloc_usable_size(void *memory)                           \
    {                                                                        \
        return prefix##_malloc_usable_size(memory);                          \
    }                                                                        \
    EXPORT int mallopt(int parameter, int value)                             \
    {                                                                        \
        return prefix##_mallopt(parameter, value);                           \
    }                                                                        \
    EXPORT int malloc_trim(size_t pad)                                       \
    {                                                                        \
        return prefix##_malloc_trim(pad);                                    \
    }                                                                        \
    EXPORT struct mallinfo mallinfo(void)                                    \
    {                                                                        \
        return prefix##_mallinfo();                                          \
    }                                                                        \
    EXPORT struct mallinfo2 mallinfo2(void)                                  \
    {                                                                        \
        return prefix##_mallinfo2();                                         \
    }                                                                        \
    EXPORT void malloc_stats(void)                                           \
    {                                                                        \
        prefix##_malloc_stats();                                             \
    }                                                                        \
    EXPORT int malloc_info(int options, FILE *stream)                        \
    {                                                                        \
        return prefix##_malloc_info(options, stream);                        \
    }                                                                        \
    _Static_assert(1, "takes a semicolon")

#endif
