/* What all files of SLUB share. The layers that objects pass through have headers of their own. */
#ifndef KMEM_SLUB_H
#define KMEM_SLUB_H

#include "../config.h"
#include "stat.h"
#include "types.h"

/* Guards the list of caches and their creation. Nobody reclaims who holds it. */
extern struct lock slab_mutex;
extern struct kmem_cache *slab_caches;
extern struct kmem_cache *cache_of_index[PERCPU_CELLS];

/* The cell of the cache whose slab `object` lies in; false: in none, or the fast path is closed. */
static inline __attribute__((always_inline)) bool fast_cell(const void *object, size_t *cell)
{
    size_t at = (uintptr_t)object - percpu_area.pool;

    if (unlikely(at >= __atomic_load_n(&percpu_area.pool_bytes, __ATOMIC_RELAXED)))
        return false;
    *cell = cell_of_frame(at >> PAGE_SHIFT);
    return true;
}

/* ---- allocation: alloc.c ---- */

/* No sheaf, no CPU slab: one object from the slabs. */
void *slab_alloc_direct(struct kmem_cache *s, gfp_t gfp, int node);
/* After percpu_take() found nothing, on any node. */
void *slab_alloc_slow(struct kmem_cache *s, gfp_t gfp);
/* After percpu_put() refused. The object is checked. `gfp`: what may be done to make room for it. */
void slab_free_slow(struct kmem_cache *s, struct slab *slab, void *object, gfp_t gfp);
/*
 * The kernel's frees may come from any context. Room for what they free they take from what is present.
 */
#define GFP_FREE GFP_NOWAIT

/* Of an object that is freed where nobody knows any more by which call; and by one that knows. */
#define FREED_BEFORE "free or kfree: object was freed before"

static inline const char *freed_before(gfp_t gfp)
{
    return gfp == GFP_FREE ? "kfree or kmem_cache_free: object was freed before"
                           : "free: object was freed before";
}

/* ---- the start: start.c ---- */

/* Registers what is below under "fork"; idempotent. */
void slub_handle_forks(void);
/* Everything up to kmalloc; idempotent, cheap when done, before main, without malloc. */
void slub_start(void);
extern bool slub_started;
extern struct lock slub_starting; /* outermost */

/*
 * Opens or closes the fast paths of malloc, free and kfree: while they are closed, every call comes
 * through code that has time for more. Any thread; calls under way end as they began.
 */
void slub_fast_paths(bool open);

/* ---- caches: cache.c, sizes.c, shrink.c, grow.c, in_use.c ---- */

/* The caches that caches are made of. Part of the start. */
void caches_start(void);

/*
 * What a cache itself lies in; NULL: no memory. Not under slab_mutex: this may reclaim, and shrinkers may make
 * caches.
 */
struct kmem_cache *new_cache_memory(void);
/* NULL is ignored. */
void free_cache_memory(struct kmem_cache *memory);
/* Makes a cache in such memory, which it frees if it fails; NULL also if that is NULL. Under slab_mutex. */
struct kmem_cache *create_cache(struct kmem_cache *memory, const char *name, unsigned size,
                                unsigned align, slab_flags_t flags, unsigned useroffset,
                                unsigned usersize, void (*ctor)(void *));

static inline unsigned align_up(unsigned n, unsigned align)
{
    return (n + align - 1) & -align;
}

/* The alignment that these arguments of kmem_cache_create() come to. */
unsigned calculate_alignment(slab_flags_t flags, unsigned align, unsigned size);
/* The kernel's, up to 8 KiB: order of a slab on a machine of so many CPUs; -1: too large. */
int slab_calculate_order(unsigned size, unsigned cpus);
/* As many objects of `size` as a slab of `bytes` may have. */
unsigned objects_in(size_t bytes, unsigned size);
/* What follows from object size, alignment and constructor. False: too large. */
bool cache_sizes(struct kmem_cache *s);

/*
 * What is free of the cache goes to its slabs, and empty slabs to the page layer. True: slabs are left.
 * `reached`: what CPUs hold of it was among it.
 */
bool cache_shrink(struct kmem_cache *s, bool *reached);
/* The same for all caches. */
void slub_shrink_all(void);
/*
 * The two halves of slub_shrink_all(), under slab_mutex; the first between a stop and its end. What is left
 * is sorted, or no slab is looked at that cannot go.
 */
void slub_drain_blocks(void);
enum what_is_left { SORTED, AS_IT_IS };
void slub_shrink_slabs(enum what_is_left left);
/* One line on standard error that names objects in use, after cache_shrink(). A damaged free list ends the process. */
void cache_say_in_use(struct kmem_cache *s);
/*
 * Whoever takes pages for slabs, for kmalloc or for malloc's blocks says so, for what grow.c does: of a block
 * or run just allocated with `gfp`, or so many absent frames. No lock is held. Nobody does for mappings, for
 * vmalloc, nor for pages that the program itself allocates.
 */
void slub_grew(const struct page *page, gfp_t gfp);
void slub_grew_by(size_t frames, gfp_t gfp);
/* A block that no thread uses any more, see percpu_drain_block: all of it goes to the slabs. */
void slub_drain_block(struct cpu_block *b);

/* Every few seconds: what nobody used for so long goes back, in a process that did not grow, too. */
void slub_window_over(void);

/* ---- what lies idle, when pages run out: idle.c ---- */

extern bool slub_idle;
extern const struct page_keeper slub_keeper;

/* To be called behind every slow path that leaves something free with a CPU, in a barn or in an empty slab. */
static inline void note_idle(void)
{
    if (unlikely(!__atomic_load_n(&slub_idle, __ATOMIC_RELAXED)))
        __atomic_store_n(&slub_idle, true, __ATOMIC_RELAXED);
}

/*
 * How many slow paths from now on leave nothing idle: objects come from slabs and go to slabs one by one. Who
 * frees a little and tries again, and again, has its page then as soon as there is one, without a flush each time.
 */
extern unsigned slub_sparing;

/* To be asked by such a path; one of them less. */
static inline bool keeps_nothing(void)
{
    unsigned left = __atomic_load_n(&slub_sparing, __ATOMIC_RELAXED);

    if (likely(left == 0))
        return false;
    __atomic_store_n(&slub_sparing, left - 1, __ATOMIC_RELAXED);
    return true;
}

/* ---- fork: fork.c ---- */

/*
 * This process was forked from one with other threads. What each of these held in its hands between two
 * lists, the slabs that one call emptied, or a sheaf, is lost to the child.
 */
extern bool slub_forked;

/*
 * A node's locks, for those who want everything to hold still: the barns of all nodes first, then the lists of
 * all, under percpu_stop().
 */
void node_take_barns(struct kmem_cache_node *n);
void node_take_list(struct kmem_cache_node *n);
void node_drop_locks(struct kmem_cache_node *n);

void slub_before_fork(void);
void slub_after_fork_parent(void);
void slub_after_fork_child(void);

#endif
