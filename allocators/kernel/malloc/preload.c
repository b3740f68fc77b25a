/* The shared object: see malloc_names.h. */
#include "classes.h"
#include "malloc_names.h"
#include "slub_malloc.h"

/* clang-format off */
EXPORT RSEQ_DEFINE_MALLOC(malloc, malloc_far, malloc_slow)
EXPORT RSEQ_DEFINE_FREE(free, CELLS_IN_FRONT, free_far, free_slow)
EXPORT RSEQ_DEFINE_VFORK(vfork, percpu_after_vfork_parent)
EXPORT_MALLOC_NAMES(slub);
/* clang-format on */

EXPORT const char *heapmark_allocator_flags(void)
{
    return slub_allocator_flags();
}
