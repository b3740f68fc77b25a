/* The shared object: see malloc_names.h. */
#include "malloc_names.h"
#include "ptmalloc.h"
#include "tcache.h"

EXPORT void *malloc(size_t bytes)
{
    void *memory = tcache_get(bytes);

    return PTM_LIKELY(memory != NULL) ? memory : malloc_slow(bytes);
}

EXPORT void free(void *memory)
{
    if (PTM_LIKELY(memory != NULL) && PTM_UNLIKELY(!tcache_put(memory)))
        free_slow(memory);
}

EXPORT_MALLOC_NAMES(ptm);
