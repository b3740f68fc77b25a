/*
 * Sheaves. A CPU has a main sheaf that malloc pops and free pushes, and a spare; a node has a barn of
 * full and empty ones. Full and empty sheaves change hands whole, one lock for all their objects.
 *
 * A cache starts with small sheaves and gets larger ones with its traffic, so that a cache that is
 * used now and then ties up next to nothing.
 */
#include "fault.h"
#include "slub.h"

#define MAIN_CELL(s)  PERCPU_PAIR_CELL((s)->index)
#define SPARE_CELL(s) (PERCPU_SLOW_CELL((s)->index) + offsetof(struct kmem_cache_cpu, spare))

unsigned nr_barns = 1;

/* What sheaves are made of: caches without sheaves. */
static struct kmem_cache *sheaf_caches[SHEAF_CLASSES];

enum {
    SHEAF_OBJECT_BYTES = 128 << 10, /* in a main sheaf, at most, if objects are large */
    SHEAF_OBJECT_MAX = 16 << 10,    /* bytes of an object; larger ones have no sheaves */
    SHEAF_GROWS_AFTER = 2,          /* exchanges, and one more for each of its smallest sizes */
    BARN_SHEAVES = 256,             /* full ones, whatever the knob says */
};

static unsigned sheaf_class_of(const struct sheaf *sheaf)
{
    unsigned class = 0;

    while (sheaf_class_capacity(class) < sheaf->capacity)
        class ++;
    return class;
}

void sheaves_start(void)
{
    static const char *const names[SHEAF_CLASSES] = {"sheaf-128",  "sheaf-256",  "sheaf-512",
                                                     "sheaf-1024", "sheaf-2048", "sheaf-4096",
                                                     "sheaf-8192"};

    for (unsigned i = 0; i < SHEAF_CLASSES; i++)
        sheaf_caches[i] = create_cache(names[i], SHEAF_BYTES_MIN << i, 64,
                                       SLAB_NO_SHEAVES | SLAB_NO_MERGE | SLAB_PANIC, 0, 0, NULL);
}

void sheaves_configure(struct kmem_cache *s, slab_flags_t flags)
{
    unsigned class = SHEAF_CLASSES - 1;
    size_t bytes;

    s->path = flags & SLAB_NO_SHEAVES ? PATH_DIRECT : PATH_CPU;
    if (s->path == PATH_DIRECT || !kmem_config.sheaves || s->size > SHEAF_OBJECT_MAX)
        return;
    s->path = PATH_SHEAF;
    while (class > 0 && (size_t)sheaf_class_capacity(class) * s->size > SHEAF_OBJECT_BYTES)
        class --;
    s->sheaf_class_max = class;
    s->sheaf_class = 0;
    bytes = (size_t)sheaf_class_capacity(class) * s->size;
    s->barn_max = (unsigned)((kmem_config.barn / nr_barns + bytes - 1) / bytes);
    if (s->barn_max > BARN_SHEAVES)
        s->barn_max = BARN_SHEAVES;
}

static unsigned sheaf_class(const struct kmem_cache *s)
{
    return __atomic_load_n(&s->sheaf_class, __ATOMIC_RELAXED);
}

static struct sheaf *new_sheaf(struct kmem_cache *s, gfp_t gfp)
{
    unsigned class = sheaf_class(s);
    struct kmem_cache *from = sheaf_caches[class];
    unsigned capacity = sheaf_class_capacity(class);
    struct sheaf *sheaf;
    void **memory;

    /* Doing without a sheaf is no failure, but each free then takes the lock of a node. */
    gfp = (gfp & (GFP_KERNEL | __GFP_HIGH)) | __GFP_NOWARN | __GFP_NORETRY;
    memory = slab_alloc_direct(from, gfp, percpu_node());
    if (!memory)
        return NULL;
    for (unsigned i = 0; i < PERCPU_AHEAD - 1; i++)
        memory[i] = memory;
    memory[PERCPU_AHEAD - 1] = NULL;
    sheaf = (struct sheaf *)(memory + PERCPU_AHEAD + capacity);
    sheaf->next = NULL;
    sheaf->capacity = capacity;
    sheaf->size = 0;
    stat(s, SHEAF_ALLOC);
    return sheaf;
}

static void free_sheaf(struct kmem_cache *s, struct sheaf *sheaf)
{
    struct kmem_cache *from = sheaf_caches[sheaf_class_of(sheaf)];
    void *memory = sheaf_memory(sheaf);

    stat(s, SHEAF_FREE);
    slabs_put(from, 1, &memory);
}

struct sheaf *sheaf_of_pair(void *top, void *end)
{
    struct sheaf *sheaf = end;

    if (end == PERCPU_NO_TOP || !end)
        return NULL;
    sheaf->size = (unsigned)((void **)top - sheaf_slots(sheaf));
    return sheaf;
}

static void flush_objects(struct kmem_cache *s, struct sheaf *sheaf)
{
    stat_add(s, SHEAF_FLUSH, sheaf->size);
    slabs_put(s, sheaf->size, sheaf_slots(sheaf));
    sheaf->size = 0;
}

/* ---- the barn ---- */

static struct node_barn *barn_of(struct kmem_cache *s, int node)
{
    return &s->node[node]->barn[percpu_number() & (nr_barns - 1)];
}

static struct sheaf *pop(struct sheaf **list, unsigned *count, unsigned *idle)
{
    struct sheaf *sheaf = *list;

    if (sheaf) {
        *list = sheaf->next;
        __atomic_store_n(count, *count - 1, __ATOMIC_RELAXED); /* looked at without the lock, too */
        if (*count < *idle)
            *idle = *count;
    }
    return sheaf;
}

static void push(struct sheaf **list, unsigned *count, struct sheaf *sheaf)
{
    sheaf->next = *list;
    *list = sheaf;
    __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

/* Larger sheaves from now on, if this size had its share of traffic. Threads may count in vain. */
static void grow_sheaves(struct kmem_cache *s)
{
    unsigned traffic, class = sheaf_class(s);

    if (class >= s->sheaf_class_max)
        return;
    traffic = __atomic_load_n(&s->sheaf_traffic, __ATOMIC_RELAXED) + 1;
    if (traffic >= SHEAF_GROWS_AFTER + (2u << class)) {
        traffic = 0;
        __atomic_store_n(&s->sheaf_class, class + 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&s->sheaf_traffic, traffic, __ATOMIC_RELAXED);
}

/* Is the sheaf smaller than those the cache should have by now? */
static bool outgrown(const struct kmem_cache *s, const struct sheaf *sheaf)
{
    return sheaf->capacity < sheaf_class_capacity(sheaf_class(s));
}

enum taker { OWN_CPU, OTHER_CPU, LAST_RESORT };

/* Whether to look: the barn has a full sheaf for such a taker. Refusing wears off. */
static bool barn_serves(struct node_barn *barn, enum taker taker)
{
    unsigned full = __atomic_load_n(&barn->nr_full, __ATOMIC_RELAXED), wanted;

    if (taker != OTHER_CPU || full == 0)
        return full != 0;
    wanted = __atomic_load_n(&barn->wanted, __ATOMIC_RELAXED);
    if (full > wanted)
        return true;
    __atomic_store_n(&barn->wanted, wanted - 1, __ATOMIC_RELAXED);
    return false;
}

static void count_wanted(struct kmem_cache *s, struct node_barn *barn)
{
    unsigned wanted = __atomic_load_n(&barn->wanted, __ATOMIC_RELAXED);

    if (wanted < s->barn_max / 2)
        __atomic_store_n(&barn->wanted, wanted + 1, __ATOMIC_RELAXED);
}

/* A full sheaf for an empty one, which may be NULL; NULL: there is none, and `empty` stays. */
static struct sheaf *barn_get_full(struct kmem_cache *s, struct node_barn *barn, enum taker taker,
                                   struct sheaf **empty)
{
    struct sheaf *full;

    if (!barn_serves(barn, taker))
        return NULL;
    if (!lock_take_soon_here(&barn->lock))
        return NULL;
    full = pop(&barn->sheaves_full, &barn->nr_full, &barn->idle_full);
    if (full && *empty && barn->nr_empty < s->barn_max) {
        push(&barn->sheaves_empty, &barn->nr_empty, *empty);
        *empty = NULL;
    }
    if (full && taker == OWN_CPU)
        count_wanted(s, barn);
    lock_drop(&barn->lock);
    return full;
}

/* The same, from the CPU's own barn and then from the others of the node. */
static struct sheaf *barns_get_full(struct kmem_cache *s, int node, enum taker others,
                                    struct sheaf **empty)
{
    unsigned first = percpu_number();
    struct sheaf *full = NULL;

    for (unsigned i = 0; i < nr_barns && !full; i++)
        full = barn_get_full(s, &s->node[node]->barn[(first + i) & (nr_barns - 1)],
                             i ? others : OWN_CPU, empty);
    stat(s, full ? BARN_GET : BARN_GET_FAIL);
    return full;
}

/* False: no room. */
static bool barn_put_full(struct kmem_cache *s, struct node_barn *barn, struct sheaf *full)
{
    bool room;

    lock_take_here(&barn->lock);
    room = barn->nr_full < s->barn_max;
    if (room)
        push(&barn->sheaves_full, &barn->nr_full, full);
    lock_drop(&barn->lock);
    stat(s, room ? BARN_PUT : BARN_PUT_FAIL);
    return room;
}

/* NULL: there is none. */
static struct sheaf *barn_get_empty(struct node_barn *barn)
{
    struct sheaf *empty;

    if (!__atomic_load_n(&barn->nr_empty, __ATOMIC_RELAXED))
        return NULL;
    lock_take_here(&barn->lock);
    empty = pop(&barn->sheaves_empty, &barn->nr_empty, &barn->idle_empty);
    lock_drop(&barn->lock);
    return empty;
}

static void barn_put_empty(struct kmem_cache *s, struct node_barn *barn, struct sheaf *empty)
{
    bool room;

    lock_take_here(&barn->lock);
    room = barn->nr_empty < s->barn_max && !outgrown(s, empty);
    if (room)
        push(&barn->sheaves_empty, &barn->nr_empty, empty);
    lock_drop(&barn->lock);
    if (!room)
        free_sheaf(s, empty);
}

/* A sheaf that nobody needs. Once it is in a barn it is somebody else's, who may empty or free it. */
static void put_away(struct kmem_cache *s, struct sheaf *sheaf)
{
    struct node_barn *barn = barn_of(s, percpu_node());

    if (sheaf->size && barn_put_full(s, barn, sheaf))
        return;
    if (sheaf->size)
        flush_objects(s, sheaf);
    barn_put_empty(s, barn, sheaf);
}

/* Takes the `n` sheaves that were put there first off a list. */
static struct sheaf *cut(struct sheaf **list, unsigned *count, unsigned n)
{
    struct sheaf *tail;

    for (unsigned left = *count - n; left > 0; left--)
        list = &(*list)->next;
    tail = *list;
    *list = NULL;
    __atomic_store_n(count, *count - n, __ATOMIC_RELAXED);
    return tail;
}

enum whose_sheaves { ALL_SHEAVES, IDLE_SHEAVES };

static void flush_one(struct kmem_cache *s, struct node_barn *barn, enum whose_sheaves whose)
{
    bool all = whose == ALL_SHEAVES;
    struct sheaf *full, *empty, *next;

    lock_take_here(&barn->lock);
    full = cut(&barn->sheaves_full, &barn->nr_full, all ? barn->nr_full : barn->idle_full);
    empty = cut(&barn->sheaves_empty, &barn->nr_empty, all ? barn->nr_empty : barn->idle_empty);
    barn->idle_full = barn->nr_full;
    barn->idle_empty = barn->nr_empty;
    lock_drop(&barn->lock);
    for (; full; full = next) {
        next = full->next;
        flush_objects(s, full);
        free_sheaf(s, full);
    }
    for (; empty; empty = next) {
        next = empty->next;
        free_sheaf(s, empty);
    }
}

void barn_flush(struct kmem_cache *s, struct kmem_cache_node *n)
{
    for (unsigned i = 0; i < nr_barns; i++)
        flush_one(s, &n->barn[i], ALL_SHEAVES);
}

void barn_flush_idle(struct kmem_cache *s, struct kmem_cache_node *n)
{
    for (unsigned i = 0; i < nr_barns; i++)
        if (__atomic_load_n(&n->barn[i].nr_full, __ATOMIC_RELAXED) ||
            __atomic_load_n(&n->barn[i].nr_empty, __ATOMIC_RELAXED))
            flush_one(s, &n->barn[i], IDLE_SHEAVES);
}

/* ---- the CPU's sheaves ---- */

static struct sheaf *take_spare(struct kmem_cache *s)
{
    void *spare = NULL;

    return percpu_exchange(SPARE_CELL(s), NULL, &spare) ? spare : NULL;
}

static struct sheaf *take_main(struct kmem_cache *s)
{
    struct cpu_pair old, none = {PERCPU_NO_TOP, PERCPU_NO_TOP};

    return percpu_swap(MAIN_CELL(s), none, &old) ? sheaf_of_pair(old.first, old.second) : NULL;
}

/* The sheaf becomes the spare; what was it is put away. */
static void keep(struct kmem_cache *s, struct sheaf *sheaf)
{
    void *old = sheaf;

    percpu_exchange(SPARE_CELL(s), sheaf, &old);
    if (old)
        put_away(s, old);
}

/* The cheap half of finding double frees: the object is the last one that was freed. */
static void check_top(struct sheaf *sheaf, const void *object)
{
    if (unlikely(sheaf->size && sheaf_slots(sheaf)[sheaf->size - 1] == object))
        fault("free: object was freed before", object);
}

/* The sheaf becomes the main sheaf; the one that was it, the spare. `freed` lies on top of the new. */
static void install(struct kmem_cache *s, struct sheaf *sheaf, const void *freed)
{
    struct cpu_pair old, pair = {sheaf_slots(sheaf) + sheaf->size, sheaf};
    struct sheaf *was;

    if (!percpu_swap(MAIN_CELL(s), pair, &old)) {
        put_away(s, sheaf);
        return;
    }
    was = sheaf_of_pair(old.first, old.second);
    if (!was)
        return;
    check_top(was, freed);
    if (was->size == 0 && outgrown(s, was))
        free_sheaf(s, was);
    else
        keep(s, was);
}

/* `empty`, which may be NULL, or a larger one in its place if it is outgrown and there is memory. */
static struct sheaf *grown_sheaf(struct kmem_cache *s, gfp_t gfp, struct sheaf *empty)
{
    struct sheaf *larger = empty && !outgrown(s, empty) ? NULL : new_sheaf(s, gfp);

    if (!larger)
        return empty;
    if (empty)
        free_sheaf(s, empty);
    return larger;
}

/* A sheaf with objects in it from the slabs, in place of `empty`, which may be NULL. */
static struct sheaf *refill(struct kmem_cache *s, gfp_t gfp, struct sheaf *empty)
{
    grow_sheaves(s);
    empty = grown_sheaf(s, gfp, empty);
    if (!empty)
        return NULL;
    empty->size = slabs_take(s, gfp, percpu_node(), empty->capacity, sheaf_slots(empty));
    stat_add(s, SHEAF_REFILL, empty->size);
    if (empty->size)
        return empty;
    free_sheaf(s, empty);
    return NULL;
}

/*
 * A sheaf with objects for `empty`, which may be NULL. What barns of other CPUs keep for themselves is
 * taken when there is nothing else.
 */
static struct sheaf *exchange_empty(struct kmem_cache *s, gfp_t gfp, struct sheaf *empty)
{
    struct sheaf *full = barns_get_full(s, percpu_node(), OTHER_CPU, &empty);

    if (full) {
        if (empty)
            free_sheaf(s, empty);
        return full;
    }
    full = refill(s, gfp, empty);
    empty = NULL; /* filled, or freed */
    return full ? full : barns_get_full(s, percpu_node(), LAST_RESORT, &empty);
}

void *sheaf_alloc(struct kmem_cache *s, gfp_t gfp)
{
    struct sheaf *sheaf, *full;
    void *object;

    if (!percpu_ready(gfp))
        return slab_alloc_direct(s, gfp, percpu_node());
    sheaf = take_spare(s);
    if (sheaf && sheaf->size) {
        stat(s, SHEAF_SWAP);
        grow_sheaves(s);
        full = sheaf;
    } else {
        full = exchange_empty(s, gfp, sheaf);
    }
    if (!full)
        return slab_alloc_direct(s, gfp, percpu_node());
    stat(s, ALLOC_SLOWPATH);
    object = sheaf_slots(full)[--full->size];
    install(s, full, NULL);
    return object;
}

/*
 * An empty sheaf in exchange for `full`, which may be NULL. It is there before the full one goes to the
 * barn: without memory for one, all objects of a sheaf go to their slabs, and it serves again. Otherwise a
 * CPU could be left with a full main sheaf alone, and take the node's lock for each object. NULL: the CPU has
 * no sheaf at all, nor gets one.
 */
static struct sheaf *exchange_full(struct kmem_cache *s, struct sheaf *full, gfp_t gfp,
                                   const void *freed)
{
    struct sheaf *empty;

    if (full)
        grow_sheaves(s);
    empty = grown_sheaf(s, gfp, barn_get_empty(barn_of(s, percpu_node())));
    if (empty) {
        if (full)
            put_away(s, full);
        return empty;
    }
    if (!full && (full = take_main(s)) == NULL)
        return NULL;
    check_top(full, freed);
    flush_objects(s, full);
    return full;
}

void sheaf_free(struct kmem_cache *s, struct slab *slab, void *object, gfp_t gfp)
{
    struct sheaf *sheaf;

    stat(s, FREE_SLOWPATH);
    if (slab_nid(slab) != percpu_node() || !percpu_ready(gfp)) {
        free_to_slab(s, slab, object, false);
        return;
    }
    sheaf = take_spare(s);
    if (sheaf)
        check_top(sheaf, object);
    if (sheaf && sheaf->size < sheaf->capacity)
        stat(s, SHEAF_SWAP);
    else
        sheaf = exchange_full(s, sheaf, gfp, object);
    if (!sheaf) {
        free_to_slab(s, slab, object, false);
        return;
    }
    sheaf_slots(sheaf)[sheaf->size++] = object;
    install(s, sheaf, object);
}

void sheaf_flush_cell(struct kmem_cache *s, struct cpu_sheaf *cell, struct kmem_cache_cpu *c)
{
    struct sheaf *main = sheaf_of_pair(cell->top, cell->end), *spare = c->spare;

    cell->top = cell->end = PERCPU_NO_TOP;
    c->spare = NULL;
    if (main) {
        flush_objects(s, main);
        free_sheaf(s, main);
    }
    if (spare) {
        flush_objects(s, spare);
        free_sheaf(s, spare);
    }
}
