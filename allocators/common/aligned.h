/*
 * The aligned calls of malloc.h over one function of the allocator's own, which takes a power of two and
 * any number of bytes and answers NULL with ENOMEM. What each call checks, and how it says no, is fixed
 * by POSIX, C and the original's manual, so it stands here once. Thread-safe as `allocate` is.
 */
#ifndef HM_ALIGNED_H
#define HM_ALIGNED_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALIGNED_INLINE static inline __attribute__((always_inline))

typedef void *aligned_fn(size_t align, size_t bytes);

ALIGNED_INLINE bool power_of_two(size_t n)
{
    return n && !(n & (n - 1));
}

/* An alignment that is no power of two is rounded up to the next one, from `least` on. */
ALIGNED_INLINE void *memalign_by(aligned_fn *allocate, size_t least, size_t align, size_t bytes)
{
    size_t power = least;

    if (align > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    while (power < align)
        power <<= 1;
    return allocate(power, bytes);
}

ALIGNED_INLINE void *aligned_alloc_by(aligned_fn *allocate, size_t align, size_t bytes)
{
    if (!power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return allocate(align, bytes);
}

/* Leaves errno and, when refused, *memory as they were. */
ALIGNED_INLINE int posix_memalign_by(aligned_fn *allocate, void **memory, size_t align,
                                     size_t bytes)
{
    int saved = errno;
    void *p;

    if (!power_of_two(align) || align % sizeof(void *))
        return EINVAL;
    p = allocate(align, bytes);
    errno = saved;
    if (!p)
        return ENOMEM;
    *memory = p;
    return 0;
}

#endif
