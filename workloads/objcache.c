/*
 * objcache: objects of one type with a constructor, as a kernel caches them. Bonwick's observation:
 * if every user hands an object back in the state in which it got it, the constructor need run
 * once for each object's memory and not once for each allocation. An allocator with object caches
 * (kmem_cache_create and its constructor) saves it; any other pays it every time. How much there
 * is to save is the parameter ctor: so many list heads are initialised, each two stores.
 *
 * The sizes are those of Linux 6.18 on x86-64, from /sys/kernel/slab/NAME/object_size. Of the
 * three, Linux itself gives only the inode a constructor.
 *
 *      object:   | head 0 | head 1 | ............. | last head |      16 bytes each
 *                | stamp  | constructed, of which  | stamp     |      while it is in use
 *                         | one is checked in turn |                  the last head
 *
 * A constructed list head is an empty list: both its words hold its own address. The user of an
 * object links it into a list through its first and its last head, so to speak, and unlinks it
 * before the free.
 */
#include "workloads/kernel_ops.h"

#include <errno.h>

enum { OBJECT, CTOR, OBJECTS };

static const char *const objects[] = {"fs_struct", "task_struct", "inode", NULL};

static const struct {
    unsigned size, align;
    slab_flags_t flags;
} types[] = {
    {64, 0, SLAB_HWCACHE_ALIGN},
    {5952, 64, 0},
    {616, 0, SLAB_RECLAIM_ACCOUNT},
};

static const struct workload_option options[] = {
    [OBJECT] = {"object", OPTION_CHOICE, "inode", 0, 0, objects, "type of the objects"},
    [CTOR] = {"ctor", OPTION_COUNT, "100", 0, 1000000, NULL,
              "list heads that the constructor initialises; 0: no constructor"},
    [OBJECTS] = {"objects", OPTION_COUNT, "500", 1, 10000000, NULL, "live objects of each thread"},
    {.name = NULL},
};

enum { DRAWS = 1 << 15 };

struct list_head {
    struct list_head *next, *prev;
};

struct objcache {
    const struct kernel_ops *ops; /* NULL: the adapter */
    struct kmem_cache *cache;     /* one for all threads */
    size_t size;
    size_t last;        /* the last list head's number */
    size_t constructed; /* so many are in a known state when an object is allocated */
    void **objects;     /* this thread's */
    uint32_t *draws;    /* which of them is replaced next */
};

/* ---- the constructor ------------------------------------------------------------------------- */

/* A constructor is told nothing but the object. */
static struct {
    uint64_t steps; /* list heads to initialise; beyond the object's end it begins again */
    size_t heads;
} constructor;

HM_INLINE void list_init(struct list_head *head)
{
    head->next = head->prev = head;
    __asm__ volatile("" ::: "memory"); /* each one is done, also those that come round again */
}

static void construct(void *object)
{
    struct list_head *heads = object;
    size_t at = 0;
    for (uint64_t left = constructor.steps; left > 0; left--) {
        list_init(&heads[at]);
        at = at + 1 < constructor.heads ? at + 1 : 0;
    }
}

/* Scattered over all that are constructed, without a division. */
HM_INLINE size_t head_of_turn(const struct objcache *c, uint64_t turn)
{
    return (size_t)(((uint32_t)turn * 2654435769u * (uint64_t)c->constructed) >> 32);
}

HM_INLINE void check_constructed(struct worker *w, const struct objcache *c, const void *object,
                                 size_t number)
{
    const struct list_head *head = (const struct list_head *)object + number;
    if (HM_UNLIKELY(head->next != head || head->prev != head))
        worker_wrong(w,
                     "byte %zu of an object of %zu bytes at %p is not as the constructor left it",
                     number * sizeof *head, c->size, object);
}

/* ---- the life of an object ------------------------------------------------------------------- */

HM_INLINE void *object_alloc(struct worker *w, const struct objcache *c, bool native, bool timed)
{
    void *object;
    uint64_t begin = sample_begin(w, timed);
    if (native) {
        object = c->ops->kmem_cache_alloc(c->cache, GFP_KERNEL);
    } else {
        object = malloc(c->size);
        if (object != NULL)
            construct(object);
    }
    sample_end(w, OP_MALLOC, begin);
    return op_checked(w, object, c->size);
}

HM_INLINE void *object_make(struct worker *w, const struct objcache *c, uint64_t turn, bool native,
                            bool timed)
{
    void *object = object_alloc(w, c, native, timed);
    struct list_head *heads = object;
    if (c->constructed > 0) {
        check_constructed(w, c, object, 0);
        check_constructed(w, c, object, head_of_turn(c, turn));
    }
    heads[0].next = heads[c->last].next = (void *)stamp_value(object, c->size);
    worker_live(w, (int64_t)c->size);
    return object;
}

/* The stamps go, and with them what a second owner of the object would look for. */
HM_INLINE void object_end(struct worker *w, const struct objcache *c, void *object, bool native,
                          bool timed)
{
    struct list_head *heads = object;
    void *stamp = (void *)stamp_value(object, c->size);
    if (HM_UNLIKELY(heads[0].next != stamp || heads[c->last].next != stamp))
        worker_corrupt(w, object, c->size);
    list_init(&heads[0]);
    list_init(&heads[c->last]);
    worker_live(w, -(int64_t)c->size);
    uint64_t begin = sample_begin(w, timed);
    if (native)
        c->ops->kmem_cache_free(c->cache, object);
    else
        free(object);
    sample_end(w, OP_FREE, begin);
}

HM_INLINE void replace_objects(struct worker *w, bool native, bool timed)
{
    const struct objcache *c = w->state;
    const uint64_t count = trial_param(w->trial, OBJECTS);
    for (uint64_t i = 0; i < count; i++)
        c->objects[i] = object_make(w, c, i, native, timed);
    for (uint64_t i = 0; i < w->work; i++) {
        void **object = &c->objects[c->draws[i % DRAWS]];
        object_end(w, c, *object, native, timed);
        *object = object_make(w, c, i, native, timed);
    }
    for (uint64_t i = 0; i < count; i++)
        object_end(w, c, c->objects[i], native, timed);
    w->ops += 2 * (w->work + count);
}

HM_INLINE void objcache(struct worker *w, bool timed)
{
    if (((const struct objcache *)w->state)->ops != NULL)
        replace_objects(w, true, timed);
    else
        replace_objects(w, false, timed);
}
WORKLOAD_INSTANCES(objcache)

/* ---- setup ----------------------------------------------------------------------------------- */

static void setup_worker(struct trial *trial, uint32_t index, const struct objcache *shared)
{
    uint64_t rng = trial_seed(trial) + index, count = trial_param(trial, OBJECTS);
    struct objcache *c = trial_map(trial, sizeof *c);
    *c = *shared;
    c->objects = trial_map(trial, count * sizeof *c->objects);
    c->draws = trial_map(trial, DRAWS * sizeof *c->draws);
    for (uint32_t i = 0; i < DRAWS; i++)
        c->draws[i] = (uint32_t)rng_below(&rng, count);
    trial_worker(trial, index)->state = c;
}

static int setup(struct trial *trial)
{
    uint64_t type = trial_param(trial, OBJECT), steps = trial_param(trial, CTOR);
    struct objcache c = {.ops = kernel_ops_find(trial, KERNEL_CACHES), .size = types[type].size};
    size_t heads = c.size / sizeof(struct list_head);
    c.last = heads - 1;
    c.constructed = steps < heads ? steps : heads;
    constructor.steps = steps;
    constructor.heads = heads;
    if (c.ops != NULL)
        c.cache = c.ops->kmem_cache_create("objcache", types[type].size, types[type].align,
                                           types[type].flags, steps > 0 ? construct : NULL);
    if (c.ops != NULL && c.cache == NULL) {
        trial_unsupported(trial, "kmem_cache_create refused objects of %zu bytes", c.size);
        return -ENOTSUP;
    }
    for (uint32_t i = 0; i < trial_thread_count(trial); i++)
        setup_worker(trial, i, &c);
    return 0;
}

const struct workload workload_objcache = {
    .name = "objcache",
    .summary = "kernel objects with a constructor: what does caching constructed objects save?",
    .source = "Bonwick 1994, The Slab Allocator: An Object-Caching Kernel Memory Allocator",
    .work_unit = "replacements",
    .options = options,
    .setup = setup,
    .run = objcache_plain,
    .run_timed = objcache_timed,
};
