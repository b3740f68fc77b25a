/* The shared object: see malloc_names.h. */
#include "classes.h"
#include "limit.h"
#include "malloc_names.h"
#include "slub_malloc.h"

/* clang-format off */
EXPORT RSEQ_DEFINE_MALLOC(malloc, malloc_far, malloc_slow)
EXPORT RSEQ_DEFINE_FREE(free, CELLS_IN_FRONT, free_far, free_slow)
EXPORT RSEQ_DEFINE_VFORK(vfork, percpu_after_vfork_parent)
EXPORT_MALLOC_NAMES(slub);
/* clang-format on */

/*
 * What setrlimit() is given may be NULL, which the system does not mind. The C library's header says that it never is:
 * the compiler must not know, lest it drop the question.
 */
#define MAY_BE_NULL(pointer) __asm__("" : "+r"(pointer))

EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    MAY_BE_NULL(limit);
    return slub_prlimit(0, (int)resource, limit, NULL);
}

EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
    MAY_BE_NULL(limit);
    return slub_prlimit(0, (int)resource, (const struct rlimit *)limit, NULL);
}

EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *limit,
                   struct rlimit *old)
{
    return slub_prlimit(pid, (int)resource, limit, old);
}

EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *limit,
                     struct rlimit64 *old)
{
    return slub_prlimit(pid, (int)resource, (const struct rlimit *)limit, (struct rlimit *)old);
}

EXPORT const char *heapmark_allocator_flags(void)
{
    return slub_allocator_flags();
}
