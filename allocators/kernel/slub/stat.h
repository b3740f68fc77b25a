/*
 * Counts per cache, named as the kernel's. They cost nothing unless the knob stats=1 is set: that
 * closes the fast paths of malloc and free, so that every call comes through code that counts.
 */
#ifndef KMEM_STAT_H
#define KMEM_STAT_H

#include "types.h"

#define STAT_ITEMS(X)                                                               \
    X(ALLOC_FASTPATH, "from the main sheaf, or the CPU's free list")                \
    X(ALLOC_SLOWPATH, "from anywhere else")                                         \
    X(FREE_FASTPATH, "to the main sheaf, or the CPU's free list")                   \
    X(FREE_SLOWPATH, "to anywhere else")                                            \
    X(FREE_FROZEN, "to another CPU's slab")                                         \
    X(FREE_ADD_PARTIAL, "made a full slab partial")                                 \
    X(FREE_REMOVE_PARTIAL, "took the last object of a slab that was then given up") \
    X(ALLOC_FROM_PARTIAL, "CPU slabs taken from the node's partial list")           \
    X(ALLOC_SLAB, "new slabs")                                                      \
    X(ALLOC_REFILL, "CPU slabs refilled from their own free list")                  \
    X(ALLOC_NODE_MISMATCH, "objects wanted from another node than this CPU's")      \
    X(FREE_SLAB, "slabs given up")                                                  \
    X(CPUSLAB_FLUSH, "CPU slabs taken away from their CPU")                         \
    X(DEACTIVATE_FULL, "... without free objects")                                  \
    X(DEACTIVATE_EMPTY, "... without used objects")                                 \
    X(DEACTIVATE_REMOTE_FREES, "... with objects freed by other CPUs")              \
    X(ORDER_FALLBACK, "slabs of less than the preferred order")                     \
    X(CPU_PARTIAL_ALLOC, "CPU slabs taken from the CPU's partial list")             \
    X(CPU_PARTIAL_NODE, "slabs put on the CPU's partial list from the node's")      \
    X(CPU_PARTIAL_FREE, "full slabs put on the CPU's partial list by a free")       \
    X(CPU_PARTIAL_DRAIN, "CPU partial lists given to the node")                     \
    X(SHEAF_REFILL, "objects put into sheaves from slabs")                          \
    X(SHEAF_FLUSH, "objects put back from sheaves into slabs")                      \
    X(SHEAF_SWAP, "main and spare sheaf swapped")                                   \
    X(SHEAF_ALLOC, "sheaves made")                                                  \
    X(SHEAF_FREE, "sheaves given up")                                               \
    X(BARN_GET, "full sheaves got from a barn")                                     \
    X(BARN_GET_FAIL, "full sheaves not found in a barn")                            \
    X(BARN_PUT, "full sheaves put into a barn")                                     \
    X(BARN_PUT_FAIL, "full sheaves for which a barn had no room")

enum stat_item {
#define ITEM(name, help) name,
    STAT_ITEMS(ITEM)
#undef ITEM
        NR_SLUB_STAT_ITEMS
};

struct cache_stats {
    unsigned long count[NR_SLUB_STAT_ITEMS];
};

static inline void stat_add(const struct kmem_cache *s, enum stat_item item, unsigned long n)
{
    if (unlikely(s->stats != NULL))
        __atomic_add_fetch(&s->stats->count[item], n, __ATOMIC_RELAXED);
}

static inline void stat(const struct kmem_cache *s, enum stat_item item)
{
    stat_add(s, item, 1);
}

/* For tests and reports. */
const char *stat_name(enum stat_item item);
unsigned long cache_stat(const struct kmem_cache *s, enum stat_item item);

/* What reports say of a cache. Free objects are those of its slabs: one in a sheaf counts as in use. */
struct cache_figures {
    unsigned long number;                  /* of the cache; 0: none yet */
    char name[32];                         /* a single word, as reports print it */
    size_t size, slab_objects, slab_pages; /* bytes of an object; of a slab */
    size_t slabs, objects, free;
    unsigned long count[NR_SLUB_STAT_ITEMS];
};

/*
 * The figures of the cache that was made before the one `f` has, at first of the last; false: there is no other.
 * One at a time and copied, as no lock may be held while they are written: a stream allocates, and a pipe's
 * reader may.
 */
bool next_cache(struct cache_figures *f);
/* Of all caches. */
void count_free_objects(size_t *objects, size_t *bytes);

#endif
