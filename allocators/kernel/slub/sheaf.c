/*
 * A cache starts with small sheaves and gets larger ones with its traffic, so that a cache that is
 * used now and then ties up next to nothing.
 */
#include "sheaf.h"

#include "../os.h"
#include "node.h"

/* What sheaves are made of: caches without sheaves. NULL where the start was refused the memory for one. */
static struct kmem_cache *sheaf_caches[SHEAF_CLASSES];

enum {
    SHEAF_OBJECT_BYTES = 128 << 10, /* in a sheaf that is not of the smallest class */
    SHEAF_OBJECT_MAX = 32 << 10,    /* bytes of an object; larger ones have no sheaves */
    SHEAF_GROWS_AFTER = 2,          /* exchanges and two, four, eight and so on, times the weight */
    SHEAF_WEIGHT_BYTES = 128,       /* of an object, for 1 beside that of the smallest */
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

    for (unsigned i = 0; i < SHEAF_CLASSES; i++) {
        sheaf_caches[i] = create_cache(new_cache_memory(), names[i], SHEAF_BYTES_MIN << i, 64,
                                       SLAB_NO_SHEAVES | SLAB_NO_MERGE, 0, 0, NULL);
        /* They come and go by the thousand objects, and most of a size only until a cache has grown. */
        if (sheaf_caches[i] && kmem_config.min_partial == CONFIG_AUTO)
            sheaf_caches[i]->min_partial = 1;
    }
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

struct sheaf *sheaf_new(struct kmem_cache *s, gfp_t gfp)
{
    unsigned class = sheaf_class(s);
    struct kmem_cache *from = sheaf_caches[class];
    unsigned capacity = sheaf_class_capacity(class);
    struct sheaf *sheaf;
    void **memory;

    /* Doing without a sheaf is no failure, but each free then takes the lock of a node. */
    gfp = (gfp & (GFP_KERNEL | __GFP_HIGH)) | __GFP_NOWARN | __GFP_NO_RECLAIM;
    memory = from ? slab_alloc_direct(from, gfp, percpu_node()) : NULL;
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

void sheaf_destroy(struct kmem_cache *s, struct sheaf *sheaf)
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

void sheaf_empty(struct kmem_cache *s, struct sheaf *sheaf)
{
    stat_add(s, SHEAF_FLUSH, sheaf->size);
    slabs_put(s, sheaf->size, sheaf_slots(sheaf));
    sheaf->size = 0;
}

/* How much of the count wears off in the time since the last exchange, which is now. */
static uint64_t worn_off(struct kmem_cache *s, unsigned each_ms)
{
    unsigned now = (unsigned)os_now_ms();
    int elapsed = (int)(now - __atomic_load_n(&s->sheaf_traffic_ms, __ATOMIC_RELAXED));

    if (elapsed <= 0) /* others may have looked at the clock later */
        return 0;
    __atomic_store_n(&s->sheaf_traffic_ms, now, __ATOMIC_RELAXED);
    return (uint64_t)elapsed * each_ms;
}

/*
 * What larger sheaves save is one exchange in so many calls; what they cost is memory, by the size of the objects.
 * So it takes exchanges that come fast enough to be felt: threads that allocate and free at random go on to
 * exchange one now and then, and would all have the largest in the end. Threads may count in vain; calls that must not
 * enter the operating system count without a look at the clock, as time wears it off with the next one that may.
 */
void sheaves_grow(struct kmem_cache *s, gfp_t gfp)
{
    unsigned class = sheaf_class(s), weight = s->size / SHEAF_WEIGHT_BYTES + 1;
    unsigned traffic = __atomic_load_n(&s->sheaf_traffic, __ATOMIC_RELAXED);
    uint64_t off;

    if (class >= s->sheaf_class_max)
        return;
    off = gfpflags_allow_blocking(gfp) ? worn_off(s, weight) : 0;
    traffic = (traffic > off ? traffic - (unsigned)off : 0) + 1;
    if (traffic >= weight * (SHEAF_GROWS_AFTER + (2u << class))) {
        traffic = 0;
        __atomic_store_n(&s->sheaf_class, class + 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&s->sheaf_traffic, traffic, __ATOMIC_RELAXED);
}

bool sheaf_outgrown(const struct kmem_cache *s, const struct sheaf *sheaf)
{
    return sheaf->capacity < sheaf_class_capacity(sheaf_class(s));
}
