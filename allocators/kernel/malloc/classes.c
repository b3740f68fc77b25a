#include "classes.h"

#include <string.h>

enum { STEP = 16, LINEAR = 128, CLASSES = 8 + 4 * 8 };

static struct kmem_cache *caches[CLASSES];

/* 0 for up to 16 bytes, 7 for up to 128, then four to each doubling. */
static unsigned class_of(size_t size)
{
    unsigned shift;

    if (size <= LINEAR)
        return size ? (unsigned)((size - 1) / STEP) : 0;
    shift = 63 - (unsigned)__builtin_clzl(size - 1); /* 7: 129 to 256 */
    return 8 + (shift - 7) * 4 + (unsigned)(((size - 1) >> (shift - 2)) & 3);
}

static size_t class_bytes(unsigned class)
{
    unsigned shift = 7 + (class - 8) / 4, quarter = (class - 8) % 4;

    return class < 8 ? (class + 1) * (size_t)STEP : ((size_t)(quarter + 5) << shift) / 4;
}

size_t malloc_class_size(size_t size)
{
    return class_bytes(class_of(size));
}

static void name_class(char *name, size_t bytes)
{
    char digits[8];
    unsigned n = 0;

    strcpy(name, "malloc-");
    name += strlen(name);
    do
        digits[n++] = (char)('0' + bytes % 10);
    while ((bytes /= 10) != 0);
    while (n > 0)
        *name++ = digits[--n];
    *name = '\0';
}

/*
 * From now on the fast path finds the cache. Until then, and with stats=1, the tables lead to cell 0,
 * which never serves.
 */
static void open_class(const struct kmem_cache *s, unsigned class)
{
    size_t end = class_bytes(class), first = class ? class_bytes(class - 1) + 1 : 0;
    uint16_t cell = (uint16_t)PERCPU_SHEAF_CELL(s->index);

    if (s->path != PATH_SHEAF || kmem_config.stats)
        return;
    for (size_t i = first / STEP; i < end / STEP; i++)
        __atomic_store_n(&percpu_area.size_cells[i], cell, __ATOMIC_RELEASE);
    for (size_t size = first; size <= end && size < PERCPU_SMALL; size++)
        __atomic_store_n(&percpu_area.small_cells[size], cell, __ATOMIC_RELEASE);
}

static struct kmem_cache *make(unsigned class)
{
    unsigned bytes = (unsigned)class_bytes(class);
    struct kmem_cache *memory, *s;
    char name[16];

    slub_start();
    memory = new_cache_memory();
    lock_take(&slab_mutex);
    s = caches[class];
    if (!s) {
        name_class(name, bytes);
        s = create_cache(memory, name, bytes, STEP, SLAB_NO_MERGE, 0, bytes, NULL);
        memory = NULL;
        if (s) {
            open_class(s, class);
            __atomic_store_n(&caches[class], s, __ATOMIC_RELEASE);
        }
    }
    lock_drop(&slab_mutex);
    free_cache_memory(memory);
    return s;
}

struct kmem_cache *malloc_cache(size_t size)
{
    unsigned class = class_of(size);
    struct kmem_cache *s = __atomic_load_n(&caches[class], __ATOMIC_ACQUIRE);

    return likely(s != NULL) ? s : make(class);
}
