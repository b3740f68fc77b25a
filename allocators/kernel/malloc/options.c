/*
 * mallopt(). Honoured: M_MMAP_THRESHOLD, M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD, M_PERTURB. There are no
 * fast bins and no arenas to tune, and faults always end the process: of the parameters for these only
 * the range is checked.
 */
#include "options.h"

#include <limits.h>
#include <malloc.h>

#include "classes.h"
#include "slub_malloc.h"

/* The original's largest fast bin. */
enum { MXFAST_MAX = 80 * sizeof(size_t) / 4 };

struct malloc_options malloc_options = {.pages_max = MALLOC_PAGES_MAX, .mmap_max = SIZE_MAX};

/*
 * Requests of so many bytes and more are mapped. What slabs serve is never mapped, and what no block of
 * pages can hold always is.
 */
static void set_mmap_threshold(size_t bytes)
{
    size_t most = bytes > 0 ? bytes - 1 : 0;

    if (most < MALLOC_CACHE_MAX)
        most = MALLOC_CACHE_MAX;
    __atomic_store_n(&malloc_options.pages_max, most < MAX_ORDER_BYTES ? most : MAX_ORDER_BYTES,
                     __ATOMIC_RELAXED);
}

void open_fast_paths(void)
{
    slub_fast_paths(!malloc_options.perturb && !kmem_config.stats);
}

/* Filling every object takes a way that knows its size: the fast paths are closed. */
static void set_perturb(unsigned byte)
{
    slub_start();
    __atomic_store_n(&malloc_options.perturb, byte, __ATOMIC_RELAXED);
    open_fast_paths();
}

int slub_mallopt(int parameter, int value)
{
    /* Negative values are large ones, as in the original: -1 turns trimming off. */
    size_t bytes = value < 0 ? SIZE_MAX : (size_t)value;

    switch (parameter) {
    case M_MXFAST: return value >= 0 && value <= MXFAST_MAX;
    case M_MMAP_THRESHOLD: set_mmap_threshold(bytes); return 1;
    case M_MMAP_MAX:
        __atomic_store_n(&malloc_options.mmap_max, value < 0 ? 0 : bytes, __ATOMIC_RELAXED);
        return 1;
    case M_TRIM_THRESHOLD:
        slub_start();
        kmem_pages_keep(bytes);
        return 1;
    case M_TOP_PAD:
        slub_start();
        kmem_pages_pad(bytes);
        return 1;
    case M_PERTURB: set_perturb((unsigned)value & 0xff); return 1;
    default: return 1; /* as the original: what it does not know is no error */
    }
}
