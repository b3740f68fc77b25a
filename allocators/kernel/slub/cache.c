/*
 * Creating caches, merging compatible ones, shrinking, destroying, and the start of it all.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../malloc/mapped.h"
#include "../os.h"
#include "debug.h"
#include "fault.h"
#include "out.h"
#include "slub.h"

struct lock slab_mutex;
struct kmem_cache *slab_caches;
struct kmem_cache *cache_of_index[PERCPU_CELLS];
bool slub_started, slub_forked;

/* The caches of caches themselves. */
static struct kmem_cache *kmem_cache, *kmem_cache_node;
static _Alignas(struct kmem_cache) char boot_caches[2][sizeof(struct kmem_cache) +
                                                       MAX_NUMNODES * sizeof(void *)];

enum { NODE_BYTES_MAX = sizeof(struct kmem_cache_node) + BARNS_MAX * sizeof(struct node_barn) };
static _Alignas(64) char boot_nodes[2][MAX_NUMNODES][NODE_BYTES_MAX];

static unsigned node_bytes(void)
{
    return (unsigned)(sizeof(struct kmem_cache_node) + nr_barns * sizeof(struct node_barn));
}

/* ---- the kernel's calculation of order and objects ---- */

/* The larger, so that objects above 8 KiB do not waste half of their slabs. */
static unsigned max_order(unsigned size)
{
    return size > KMALLOC_MAX_CACHE_SIZE ? 5 : 3;
}

static unsigned order_for(size_t bytes)
{
    unsigned order = 0;

    while ((PAGE_SIZE << order) < bytes)
        order++;
    return order;
}

static unsigned order_objects(unsigned order, unsigned size)
{
    size_t n = (PAGE_SIZE << order) / size;

    return n > MAX_OBJS_PER_SLAB ? MAX_OBJS_PER_SLAB : (unsigned)n;
}

/* The first order whose waste is at most one in `fraction`. */
static unsigned slab_order(unsigned size, unsigned min_order, unsigned fraction)
{
    unsigned order = min_order;

    for (; order <= max_order(size); order++) {
        size_t bytes = PAGE_SIZE << order;

        if (bytes % size <= bytes / fraction)
            break;
    }
    return order;
}

/*
 * A slab shall hold so many objects that its lock is taken rarely, more with more CPUs; then the
 * least order is chosen that wastes at most a sixteenth, or else an eighth, a quarter, a half.
 */
int slab_calculate_order(unsigned size, unsigned cpus)
{
    unsigned min_objects = 4, most, min_order, order;

    for (; cpus; cpus >>= 1)
        min_objects += 4;
    most = order_objects(max_order(size), size);
    if (min_objects > (most ? most : 1))
        min_objects = most ? most : 1;
    min_order = order_for((size_t)min_objects * size);
    for (unsigned fraction = 16; fraction > 1; fraction /= 2) {
        order = slab_order(size, min_order, fraction);
        if (order <= max_order(size))
            return (int)order;
    }
    order = order_for(size);
    return order <= MAX_PAGE_ORDER ? (int)order : -1;
}

static unsigned align_up(unsigned n, unsigned align)
{
    return (n + align - 1) & -align;
}

static unsigned calculate_alignment(slab_flags_t flags, unsigned align, unsigned size)
{
    if (flags & SLAB_HWCACHE_ALIGN) {
        unsigned line = 64;

        while (size <= line / 2)
            line /= 2;
        if (align < line)
            align = line;
    }
    return align_up(align < sizeof(void *) ? sizeof(void *) : align, sizeof(void *));
}

/* Where the link goes, and what an object takes. False: too large. */
static bool calculate_sizes(struct kmem_cache *s)
{
    unsigned size = align_up(s->object_size, sizeof(void *));
    int order;

    s->inuse = size;
    if (s->debug) { /* out of the object, too, and not in the red zone's place */
        s->offset = debug_describe(s);
        size = s->offset + DEBUG_TAIL;
    } else if (s->ctor) { /* the object stays as constructed while it is free */
        s->offset = size;
        size += sizeof(void *);
    } else { /* in the middle, out of the way of small overruns */
        s->offset = s->object_size / 2 & -(unsigned)sizeof(void *);
    }
    s->size = align_up(size, s->align);
    order = slab_calculate_order(s->size, (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
    if (order < 0)
        return false;
    s->order = (unsigned)order;
    s->objects = order_objects(s->order, s->size);
    s->order_min = order_for(s->size);
    s->objects_min = order_objects(s->order_min, s->size);
    return s->objects > 0;
}

static unsigned log2_of(unsigned n)
{
    return 31 - (unsigned)__builtin_clz(n);
}

/* Empty slabs that a node keeps, and objects on a CPU's partial list, by the size of an object. */
static void set_limits(struct kmem_cache *s)
{
    unsigned objects = s->size >= PAGE_SIZE ? 6 : s->size >= 1024 ? 24 : s->size >= 256 ? 52 : 120;
    unsigned half = log2_of(s->size) / 2;

    s->min_partial = half < 5 ? 5 : half > 10 ? 10 : half;
    if (kmem_config.min_partial != CONFIG_AUTO)
        s->min_partial = (unsigned)kmem_config.min_partial;
    if (kmem_config.cpu_partial != CONFIG_AUTO)
        objects = (unsigned)kmem_config.cpu_partial;
    /* Slabs on that list are half full on average. */
    s->cpu_partial_slabs = (objects * 2 + s->objects - 1) / s->objects;
}

static gfp_t flags_gfp(slab_flags_t flags)
{
    return (flags & SLAB_RECLAIM_ACCOUNT ? __GFP_RECLAIMABLE : 0) |
           (flags & SLAB_CACHE_DMA ? GFP_DMA : 0) | __GFP_COMP;
}

static uintptr_t random_key(const void *seed)
{
    uintptr_t key;

    if (getrandom(&key, sizeof key, GRND_NONBLOCK) != sizeof key)
        key = (uintptr_t)seed * 0x9e3779b97f4a7c15u ^ (uintptr_t)&key << 17;
    return key;
}

/* Of the modulus test of rseq_push(): exact as long as size times bytes of a slab is below 4 GiB. */
static uint32_t magic_of(const struct kmem_cache *s)
{
    if (s->path != PATH_SHEAF || (uint64_t)s->size * (PAGE_SIZE << s->order) > UINT32_MAX)
        return 0;
    return UINT32_MAX / s->size + 1;
}

/* ---- making a cache ---- */

static bool give_index(struct kmem_cache *s)
{
    unsigned end = PERCPU_CELLS / node_count();

    for (unsigned i = 1; i < end; i++)
        if (!cache_of_index[i]) {
            s->index = i;
            cache_of_index[i] = s;
            return true;
        }
    return false;
}

static bool make_nodes(struct kmem_cache *s)
{
    for (unsigned n = 0; n < node_count(); n++) {
        s->node[n] = slab_alloc_direct(kmem_cache_node, GFP_KERNEL, (int)n);
        if (!s->node[n])
            return false;
        memset(s->node[n], 0, node_bytes());
    }
    return true;
}

static void release(struct kmem_cache *s)
{
    void *memory = s;

    if (s->index) {
        percpu_close(s->index);
        cache_of_index[s->index] = NULL;
    }
    if (s->stats)
        kmem_os.unmap(s->stats, sizeof *s->stats);
    for (unsigned n = 0; n < node_count(); n++)
        if (s->node[n]) {
            void *node = s->node[n];

            slabs_put(kmem_cache_node, 1, &node);
        }
    slabs_put(kmem_cache, 1, &memory);
}

/* Fills in all that follows from the arguments. False: no such cache is possible. */
static bool describe(struct kmem_cache *s, const char *name, unsigned size, unsigned align,
                     slab_flags_t flags, void (*ctor)(void *))
{
    strncpy(s->name, name, sizeof s->name - 1);
    s->flags = flags;
    s->object_size = size;
    s->align = calculate_alignment(flags, align, size);
    s->ctor = ctor;
    s->debug = kmem_config.debug && slub_started; /* not what caches and sheaves are made of */
    s->refcount = 1;
    s->random = random_key(s);
    s->allocflags = flags_gfp(flags);
    if (!calculate_sizes(s))
        return false;
    set_limits(s);
    sheaves_configure(s, flags);
    return true;
}

/* Who looks at every object must see every call, which comes by way of the counts. */
static bool make_stats(struct kmem_cache *s)
{
    if (kmem_config.stats)
        s->stats = kmem_os.map(sizeof *s->stats);
    return s->stats || !s->debug;
}

static void publish(struct kmem_cache *s)
{
    percpu_open(s->index, magic_of(s), (uint32_t)(PAGE_SIZE << s->order) - 1);
    s->next = slab_caches;
    slab_caches = s;
}

/* Under slab_mutex. */
struct kmem_cache *create_cache(const char *name, unsigned size, unsigned align, slab_flags_t flags,
                                unsigned useroffset, unsigned usersize, void (*ctor)(void *))
{
    struct kmem_cache *s = slab_alloc_direct(kmem_cache, GFP_KERNEL, percpu_node());

    if (!s)
        return NULL;
    memset(s, 0, kmem_cache->object_size);
    s->useroffset = useroffset;
    s->usersize = usersize;
    if (!describe(s, name, size, align, flags, ctor) || !make_nodes(s) || !make_stats(s) ||
        !give_index(s)) {
        release(s);
        return NULL;
    }
    publish(s);
    return s;
}

/* ---- merging ---- */

enum { MERGE_SAME = SLAB_RECLAIM_ACCOUNT | SLAB_CACHE_DMA | SLAB_NO_SHEAVES };

static bool mergeable(const struct kmem_cache *s, unsigned size, unsigned align, slab_flags_t flags)
{
    if ((s->flags & SLAB_NO_MERGE) || s->ctor || s->usersize)
        return false;
    if (size > s->size || ((flags ^ s->flags) & MERGE_SAME))
        return false;
    /* The alignment must hold, and less than a word may be wasted. */
    return !(s->size & (align - 1)) && s->align >= align && s->size - size < sizeof(void *);
}

static struct kmem_cache *find_mergeable(unsigned size, unsigned align, slab_flags_t flags)
{
    align = calculate_alignment(flags, align, size);
    size = align_up(align_up(size, sizeof(void *)), align);
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (mergeable(s, size, align, flags))
            return s;
    return NULL;
}

static struct kmem_cache *merge(unsigned size, unsigned align, slab_flags_t flags)
{
    struct kmem_cache *s = find_mergeable(size, align, flags);

    if (!s)
        return NULL;
    s->refcount++;
    if (s->object_size < size)
        s->object_size = size; /* zeroing must reach all of it */
    return s;
}

struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned size, unsigned align,
                                              slab_flags_t flags, unsigned useroffset,
                                              unsigned usersize, void (*ctor)(void *))
{
    struct kmem_cache *s = NULL;

    slub_start();
    if (name && size && size <= KMALLOC_MAX_SIZE && !(align & (align - 1)) && align <= PAGE_SIZE &&
        usersize <= size && useroffset <= size - usersize) {
        lock_take(&slab_mutex);
        if (!(flags & SLAB_NO_MERGE) && !ctor && !usersize)
            s = merge(size, align, flags);
        if (!s)
            s = create_cache(name, size, align, flags, useroffset, usersize, ctor);
        lock_drop(&slab_mutex);
    }
    if (!s && (flags & SLAB_PANIC))
        fault("kmem_cache_create: cannot create a cache with SLAB_PANIC", name);
    return s;
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned size, unsigned align,
                                     slab_flags_t flags, void (*ctor)(void *))
{
    return kmem_cache_create_usercopy(name, size, align, flags, 0, 0, ctor);
}

unsigned kmem_cache_size(struct kmem_cache *s)
{
    return s->object_size;
}

/* ---- shrinking and destroying ---- */

static void flush_blocks(struct kmem_cache *s)
{
    percpu_stop();
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next) {
        sheaf_flush_cell(s, block_sheaf(b, s->index), block_slow(b, s->index));
        cpu_flush_cell(s, block_slow(b, s->index));
    }
    percpu_resume();
}

/* A thread has left its slot. */
static void drain_block(struct cpu_block *b)
{
    for (unsigned i = 1; i < PERCPU_CELLS / node_count(); i++)
        if (cache_of_index[i] && cache_of_index[i]->path != PATH_DIRECT) {
            sheaf_flush_cell(cache_of_index[i], block_sheaf(b, i), block_slow(b, i));
            cpu_flush_cell(cache_of_index[i], block_slow(b, i));
        }
}

static bool shrink_nodes(struct kmem_cache *s)
{
    bool any = false;

    for (unsigned n = 0; n < node_count(); n++) {
        barn_flush(s, s->node[n]);
        any |= node_shrink(s, s->node[n]);
    }
    return any;
}

int kmem_cache_shrink(struct kmem_cache *s)
{
    if (s->path != PATH_DIRECT)
        flush_blocks(s);
    return shrink_nodes(s);
}

/* One stop for all caches. */
void slub_shrink_all(void)
{
    lock_take(&slab_mutex);
    percpu_stop();
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        drain_block(b);
    percpu_resume();
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (s->path != PATH_DIRECT)
            shrink_nodes(s);
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (s->path == PATH_DIRECT)
            shrink_nodes(s);
    lock_drop(&slab_mutex);
}

static bool is_free(struct kmem_cache *s, struct slab *slab, const void *object)
{
    for (void *at = slab->freelist; at; at = get_link(s, at))
        if (at == object)
            return true;
    return false;
}

/* At most so many objects are named. */
enum { NAMED_MAX = 16 };

static unsigned name_objects(struct out *o, struct kmem_cache *s, struct slab *slab, unsigned named)
{
    char *base = slab_address(slab);

    for (; slab; slab = slab->next, base = slab ? slab_address(slab) : NULL)
        for (unsigned i = 0; i < slab->fresh && named < NAMED_MAX; i++)
            if (!is_free(s, slab, base + (size_t)i * s->size)) {
                out_put(o, " %p", base + (size_t)i * s->size);
                named++;
            }
    return named;
}

static void refuse_destroy(struct kmem_cache *s)
{
    struct out o = out_to_fd(STDERR_FILENO);
    unsigned named = 0;

    out_put(&o,
            "%s: kmem_cache_destroy: cache '%s' still has objects, free them first:", fault_subject,
            s->name);
    for (unsigned n = 0; n < node_count(); n++) {
        lock_take(&s->node[n]->list_lock);
        named = name_objects(&o, s, s->node[n]->full.first, named);
        named = name_objects(&o, s, s->node[n]->partial.first, named);
        lock_drop(&s->node[n]->list_lock);
    }
    out_put(&o, named == NAMED_MAX ? " ...\n" : "\n");
    out_flush(&o);
}

void kmem_cache_destroy(struct kmem_cache *s)
{
    if (!s)
        return;
    lock_take(&slab_mutex);
    if (s->refcount > 1) {
        s->refcount--;
    } else if (kmem_cache_shrink(s)) {
        refuse_destroy(s);
    } else {
        struct kmem_cache **at = &slab_caches;

        while (*at != s)
            at = &(*at)->next;
        *at = s->next;
        release(s);
    }
    lock_drop(&slab_mutex);
}

/* ---- the start ---- */

/* A cache in static memory: what caches are made of must be there first. */
static struct kmem_cache *boot_cache(unsigned which, const char *name, unsigned size)
{
    struct kmem_cache *s = (struct kmem_cache *)boot_caches[which];

    if (!describe(s, name, size, 64, SLAB_NO_SHEAVES | SLAB_NO_MERGE, NULL) || !make_stats(s) ||
        !give_index(s))
        fault("cannot start: no room for cache", name);
    for (unsigned n = 0; n < node_count(); n++)
        s->node[n] = (struct kmem_cache_node *)boot_nodes[which][n];
    publish(s);
    return s;
}

static void start_pages(void)
{
    struct page_config config = {
        .pool_bytes = kmem_config.pool,
        .reserve_bytes = kmem_config.reserve,
        .nodes = (unsigned)kmem_config.nodes,
    };

    if (kmem_pages_start(&config) != 0)
        fault("cannot start: the system refuses to reserve the page frames", NULL);
    percpu_area.pool = page_globals.base;
    percpu_area.frame_cells =
        kmem_os.map((page_globals.bytes >> PAGE_SHIFT) * sizeof *percpu_area.frame_cells);
    if (!percpu_area.frame_cells)
        fault("cannot start: the system refuses memory for the table of frames", NULL);
}

void slub_fast_paths(bool open)
{
    __atomic_store_n(&percpu_area.small, open ? PERCPU_SMALL : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&percpu_area.sizes, open ? PERCPU_SIZES : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&percpu_area.pool_bytes, open ? page_globals.bytes : 0, __ATOMIC_RELEASE);
}

static void start_once(void)
{
    config_read();
    start_pages();
    percpu_drain_block = drain_block;
    while (nr_barns < BARNS_MAX && nr_barns < (unsigned)sysconf(_SC_NPROCESSORS_ONLN))
        nr_barns *= 2;
    percpu_start((enum percpu_mode)kmem_config.percpu, PERCPU_CELLS / node_count());
    kmem_cache = boot_cache(0, "kmem_cache",
                            (unsigned)(sizeof(struct kmem_cache) + node_count() * sizeof(void *)));
    kmem_cache_node = boot_cache(1, "kmem_cache_node", node_bytes());
    sheaves_start();
    slub_fast_paths(!kmem_config.stats);
    pthread_atfork(slub_before_fork, slub_after_fork_parent, slub_after_fork_child);
}

void slub_start(void)
{
    static struct lock starting;

    if (likely(__atomic_load_n(&slub_started, __ATOMIC_ACQUIRE)))
        return;
    lock_take(&starting);
    if (!slub_started) {
        start_once();
        __atomic_store_n(&slub_started, true, __ATOMIC_RELEASE);
    }
    lock_drop(&starting);
}

/* ---- fork ---- */

static void for_each_node(void (*what)(struct kmem_cache_node *))
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        for (unsigned n = 0; n < node_count(); n++)
            what(s->node[n]);
}

static void take_barns(struct kmem_cache_node *n)
{
    for (unsigned i = 0; i < nr_barns; i++)
        lock_take(&n->barn[i].lock);
}

static void take_list(struct kmem_cache_node *n)
{
    lock_take(&n->list_lock);
}

static void drop_locks(struct kmem_cache_node *n)
{
    lock_drop(&n->list_lock);
    for (unsigned i = 0; i < nr_barns; i++)
        lock_drop(&n->barn[i].lock);
}

static void reset_locks(struct kmem_cache_node *n)
{
    lock_reset(&n->list_lock);
    for (unsigned i = 0; i < nr_barns; i++)
        lock_reset(&n->barn[i].lock);
}

static bool forks_with_threads; /* under slab_mutex from before to after */

/*
 * Every lock is taken in the parent, so that the child finds nothing half changed. Handlers run in
 * reverse order of registration before the fork and in order after it, and ours were there first:
 * those of others may allocate.
 */
void slub_before_fork(void)
{
    lock_take(&slab_mutex);
    forks_with_threads = !single_threaded();
    percpu_stop();
    for_each_node(take_barns);
    for_each_node(take_list);
    kmem_pages_before_fork();
    mapped_before_fork();
}

void slub_after_fork_parent(void)
{
    mapped_after_fork_parent();
    kmem_pages_after_fork_parent();
    for_each_node(drop_locks);
    percpu_resume();
    lock_drop(&slab_mutex);
}

void slub_after_fork_child(void)
{
    mapped_after_fork_child();
    kmem_pages_after_fork_child();
    for_each_node(reset_locks);
    percpu_after_fork_child();
    percpu_resume();
    slub_forked |= forks_with_threads;
    lock_reset(&slab_mutex);
}
