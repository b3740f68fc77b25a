/* What the files of SLUB share. */
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

/* ---- slabs: slab.c, node.c ---- */

/* What the table of frames holds for the slab; 0: there is no cell, or free could not tell where objects start. */
uint16_t slab_cell(const struct kmem_cache *s, const struct slab *slab);

static inline void *slab_address(const struct slab *slab)
{
    return page_address((const struct page *)slab);
}

static inline size_t slab_bytes(const struct slab *slab)
{
    return PAGE_SIZE << page_order((const struct page *)slab);
}

/* Where the first object starts. */
static inline char *slab_base(const struct slab *slab)
{
    return (char *)slab_address(slab) + slab->colour;
}

static inline int slab_nid(const struct slab *slab)
{
    return page_to_node((const struct page *)slab);
}

static inline void **link_of(const struct kmem_cache *s, const void *object)
{
    return (void **)((char *)object + s->offset);
}

/* A link is mangled with the cache's key and its own address; the same again restores it. */
static inline void *mangle(const struct kmem_cache *s, const void *link, void **at)
{
    return (void *)((uintptr_t)link ^ s->random ^ __builtin_bswap64((uintptr_t)at));
}

static inline void *get_link(const struct kmem_cache *s, const void *object)
{
    void **at = link_of(s, object);

    return mangle(s, *at, at);
}

static inline void set_link(const struct kmem_cache *s, void *object, void *link)
{
    void **at = link_of(s, object);

    *at = mangle(s, link, at);
}

static inline struct kmem_cache_node *node_of(const struct kmem_cache *s, const struct slab *slab)
{
    return s->node[slab_nid(slab)];
}

/* The slab around an object; NULL: the address is in no slab. */
static inline struct slab *slab_of(const void *object)
{
    size_t frame;
    unsigned state;

    if (!in_page_pool(object))
        return NULL;
    frame = virt_to_frame(object);
    state = frame_state(frame);
    if (!frame_is_used(state) || !(state & PAGE_IS_SLAB))
        return NULL;
    return (struct slab *)frame_to_page(frame_head(frame, state));
}

/* Is `at`, counted from slab_base(), in an object that may be in use? In front of it `at` wraps around. */
static inline bool slab_reaches(const struct kmem_cache *s, const struct slab *slab, size_t at)
{
    return at < (size_t)__atomic_load_n(&slab->fresh, __ATOMIC_RELAXED) * s->size;
}

/*
 * Is `at`, counted from slab_base() and inside the slab, a multiple of the size? By D. Lemire, O. Kaser and
 * N. Kurz, "Faster remainder by direct computation" (2019), exact for 32 bits.
 */
static inline bool object_starts_at(const struct kmem_cache *s, size_t at)
{
    return at * s->magic < s->magic;
}

/* Ends the process unless `object` is the start of one that may be in use. */
void check_object(const struct kmem_cache *s, const struct slab *slab, const void *object,
                  const char *interior);

/*
 * Does the object hold a link, as one on a free list does? In caches without sheaves: from those whose objects
 * leave without it (clear_link()), so that only a free one does, or who wrote that very word.
 */
static inline bool looks_free(const struct kmem_cache *s, const struct slab *slab,
                              const void *object)
{
    const void *link = get_link(s, object);
    size_t at = (uintptr_t)link - (uintptr_t)slab_base(slab);

    return unlikely(!link) || (unlikely(slab_reaches(s, slab, at)) && object_starts_at(s, at));
}

static inline void clear_link(const struct kmem_cache *s, void *object)
{
    *link_of(s, object) = NULL;
}

/*
 * Up to `count` free objects from the slabs of `node`, lowest last in `p`; the number gotten. From a new
 * slab if there is nothing; other nodes follow by distance as `gfp` says.
 */
unsigned slabs_take(struct kmem_cache *s, gfp_t gfp, int node, unsigned count, void **p);
/* One object, from other nodes only when `node`, which exists, has neither a partial slab nor pages to spare. */
void *slabs_take_on(struct kmem_cache *s, gfp_t gfp, int node);
/* Objects back to their slabs, any nodes. */
void slabs_put(struct kmem_cache *s, unsigned count, void **p);
/* Empty slabs back to the page layer, the fullest to the front; false: no slab is left. */
bool node_shrink(struct kmem_cache *s, struct kmem_cache_node *n);
/* The same for a long list that others are waiting for: they have the lock in between, and nothing is sorted. */
bool node_give_up_empty(struct kmem_cache *s, struct kmem_cache_node *n);
/* As many empty slabs as there were at any time since the last call. */
void node_give_up_idle(struct kmem_cache *s, struct kmem_cache_node *n);

/* ---- frozen slabs: frozen.c ---- */

/*
 * A frozen slab with all of its free objects, for a CPU, and in `more` others for its partial list; NULL:
 * out of memory.
 */
struct slab *freeze_slab(struct kmem_cache *s, gfp_t gfp, int node, void **freelist,
                         struct slab **more);
/* What was freed to a frozen slab from elsewhere, or a few fresh objects; NULL: nothing, thawed. */
void *refill_frozen(struct kmem_cache *s, struct slab *slab);
/* The slab goes to its node's lists, with the objects that are left. */
void thaw_slab(struct kmem_cache *s, struct slab *slab, void *freelist);
/* Frees one object to a slab that is not this CPU's; true: the slab is frozen now, for the caller. */
bool free_to_slab(struct kmem_cache *s, struct slab *slab, void *object, bool may_freeze);

/* ---- classic CPU slabs: cpu.c ---- */

void *cpu_alloc(struct kmem_cache *s, gfp_t gfp);
void cpu_free(struct kmem_cache *s, struct slab *slab, void *object);
void cpu_flush_cell(struct kmem_cache *s, struct kmem_cache_cpu *c);

/* ---- sheaves: sheaf.c, barn.c, cpu_sheaf.c ---- */

static inline void **sheaf_slots(struct sheaf *sheaf)
{
    return (void **)sheaf - sheaf->capacity;
}

static inline void **sheaf_memory(struct sheaf *sheaf)
{
    return sheaf_slots(sheaf) - PERCPU_AHEAD;
}

static inline unsigned sheaf_class_capacity(unsigned class)
{
    return (unsigned)(((SHEAF_BYTES_MIN << class) - sizeof(struct sheaf)) / sizeof(void *)) -
           PERCPU_AHEAD;
}

/* The sheaf of a cell, its size brought up to date; NULL if there is none. */
struct sheaf *sheaf_of_pair(void *top, void *end);

void *sheaf_alloc(struct kmem_cache *s, gfp_t gfp);
void sheaf_free(struct kmem_cache *s, struct slab *slab, void *object, gfp_t gfp);
void sheaf_flush_cell(struct kmem_cache *s, struct cpu_sheaf *cell, struct kmem_cache_cpu *c);
/*
 * The calling CPU's two, if its main sheaf is as it was at the last call: a few objects of a size that nobody wants
 * any more keep a slab each.
 */
void sheaf_flush_idle(struct kmem_cache *s);
void barn_flush(struct kmem_cache *s, struct kmem_cache_node *n);
/* Only the sheaves that nobody took out since the last time. */
void barn_flush_idle(struct kmem_cache *s, struct kmem_cache_node *n);
void sheaves_configure(struct kmem_cache *s, slab_flags_t flags);
void sheaves_start(void);

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
/* One line on standard error that names objects in use, after cache_shrink(). A damaged free list ends the process. */
void cache_say_in_use(struct kmem_cache *s);
/*
 * The two halves of slub_shrink_all(), under slab_mutex; the first between a stop and its end. What is left is sorted, or no slab is
 * looked at that cannot go.
 */
void slub_drain_blocks(void);
enum what_is_left { SORTED, AS_IT_IS };
void slub_shrink_slabs(enum what_is_left left);
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
