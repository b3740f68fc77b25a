/* Caches themselves: making them, the first of them included, and destroying them. */
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../os.h"
#include "fault.h"
#include "node.h"
#include "out.h"
#include "sheaf.h"
#include "uncancelled.h"

struct lock slab_mutex;
struct kmem_cache *slab_caches;
struct kmem_cache *cache_of_index[PERCPU_CELLS];

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

static gfp_t flags_gfp(slab_flags_t flags)
{
    return (flags & SLAB_RECLAIM_ACCOUNT ? __GFP_RECLAIMABLE : 0) |
           (flags & SLAB_CACHE_DMA ? GFP_DMA : 0) | __GFP_COMP;
}

static uintptr_t random_key(const void *seed)
{
    uintptr_t key;

    if (uncancelled_getrandom(&key, sizeof key, GRND_NONBLOCK) != sizeof key)
        key = (uintptr_t)seed * 0x9e3779b97f4a7c15u ^ (uintptr_t)&key << 17;
    return key;
}

/* ---- making a cache ---- */

/* When all cells are taken the cache does without, and index 0: every call works on its slabs. */
static void give_index(struct kmem_cache *s)
{
    unsigned end = PERCPU_CELLS / node_count(), i = 1;

    while (i < end && cache_of_index[i])
        i++;
    if (i == end) {
        s->path = PATH_DIRECT;
        return;
    }
    s->index = i;
    __atomic_store_n(&cache_of_index[i], s, __ATOMIC_RELEASE);
}

void free_cache_memory(struct kmem_cache *s)
{
    void *memory = s;

    for (unsigned n = 0; s && n < node_count(); n++)
        if (s->node[n]) {
            void *node = s->node[n];

            slabs_put(kmem_cache_node, 1, &node);
        }
    if (s)
        slabs_put(kmem_cache, 1, &memory);
}

struct kmem_cache *new_cache_memory(void)
{
    struct kmem_cache *s = slab_alloc_direct(kmem_cache, GFP_KERNEL, percpu_node());

    if (!s)
        return NULL;
    memset(s, 0, kmem_cache->object_size);
    for (unsigned n = 0; n < node_count(); n++) {
        s->node[n] = slab_alloc_direct(kmem_cache_node, GFP_KERNEL, (int)n);
        if (!s->node[n]) {
            free_cache_memory(s);
            return NULL;
        }
        memset(s->node[n], 0, node_bytes());
    }
    return s;
}

static void set_up_barns(struct kmem_cache *s)
{
    for (unsigned n = 0; n < node_count(); n++)
        for (unsigned i = 0; i < nr_barns; i++)
            s->node[n]->barn[i].wanted = s->size <= BARN_LINE ? s->barn_max / 4 : 0;
}

static void release(struct kmem_cache *s)
{
    if (s->index) {
        percpu_close(s->index);
        __atomic_store_n(&cache_of_index[s->index], NULL, __ATOMIC_RELEASE);
    }
    if (s->stats)
        kmem_os.unmap(s->stats, sizeof *s->stats);
    free_cache_memory(s);
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
    if (!cache_sizes(s))
        return false;
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
    static unsigned long made;

    if (s->index)
        percpu_open(s->index, s->magic);
    s->number = ++made;
    s->next = slab_caches;
    slab_caches = s;
}

struct kmem_cache *create_cache(struct kmem_cache *s, const char *name, unsigned size,
                                unsigned align, slab_flags_t flags, unsigned useroffset,
                                unsigned usersize, void (*ctor)(void *))
{
    if (!s)
        return NULL;
    s->useroffset = useroffset;
    s->usersize = usersize;
    if (!describe(s, name, size, align, flags, ctor) || !make_stats(s)) {
        release(s);
        return NULL;
    }
    give_index(s);
    set_up_barns(s);
    publish(s);
    return s;
}

unsigned kmem_cache_size(struct kmem_cache *s)
{
    return s->object_size;
}

/* ---- destroying ---- */

static void say_unreached(const struct kmem_cache *s)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o,
            "%s: kmem_cache_destroy: cache '%s' is kept: the system refuses membarrier(), "
            "without which what CPUs hold of it cannot be taken back\n",
            fault_subject, s->name);
    out_flush(&o);
}

/* Where in the list the cache is; one that is not there ends the process. */
static struct kmem_cache **find_cache(const struct kmem_cache *s)
{
    struct kmem_cache **at = &slab_caches;

    while (*at && *at != s)
        at = &(*at)->next;
    if (!*at)
        fault("kmem_cache_destroy: not a cache, or destroyed before", s);
    return at;
}

/* False: it is kept, as it still has objects, or could not be `reached`. */
static bool destroy(struct kmem_cache *s, bool *reached)
{
    struct kmem_cache **at = find_cache(s);

    *reached = true;
    if (s->refcount > 1) {
        s->refcount--;
        return true;
    }
    if (cache_shrink(s, reached) || !*reached)
        return false;
    *at = s->next;
    release(s);
    return true;
}

void kmem_cache_destroy(struct kmem_cache *s)
{
    bool destroyed, reached;

    if (!s)
        return;
    lock_take(&slab_mutex);
    destroyed = destroy(s, &reached);
    lock_drop(&slab_mutex);
    if (!destroyed && reached)
        cache_say_in_use(s);
    else if (!destroyed)
        say_unreached(s);
}

/* ---- the first of them ---- */

/* A cache in static memory: what caches are made of must be there first. */
static struct kmem_cache *boot_cache(unsigned which, const char *name, unsigned size)
{
    struct kmem_cache *s = (struct kmem_cache *)boot_caches[which];

    if (!describe(s, name, size, 64, SLAB_NO_SHEAVES | SLAB_NO_MERGE, NULL) || !make_stats(s))
        fault("cannot start: no room for cache", name);
    give_index(s);
    for (unsigned n = 0; n < node_count(); n++)
        s->node[n] = (struct kmem_cache_node *)boot_nodes[which][n];
    publish(s);
    return s;
}

void caches_start(void)
{
    kmem_cache = boot_cache(0, "kmem_cache",
                            (unsigned)(sizeof(struct kmem_cache) + node_count() * sizeof(void *)));
    kmem_cache_node = boot_cache(1, "kmem_cache_node", node_bytes());
}
