/* What is said of a cache that is to be destroyed and still has objects: which. */
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "out.h"
#include "slab.h"

/* So many objects are named, and one more is looked for. */
enum { NAMED_MAX = 16 };

struct in_use {
    struct kmem_cache *s;
    const void *objects[NAMED_MAX + 1];
    unsigned count;
    uint8_t
        free[MAX_OBJS_PER_SLAB / 8 + 1]; /* of one slab: a bit for each object on its free list */
};

/* False: it was there before, so that the list runs in a circle. */
static bool mark_free(struct in_use *u, size_t object)
{
    uint8_t bit = (uint8_t)(1u << object % 8), *marks = &u->free[object / 8];
    bool first = !(*marks & bit);

    *marks |= bit;
    return first;
}

static void mark_free_list(struct in_use *u, struct slab *slab)
{
    const void *before = slab->freelist;
    size_t at;

    memset(u->free, 0, slab->fresh / 8 + 1);
    for (void *o = slab->freelist; o; before = o, o = get_link(u->s, o)) {
        at = (uintptr_t)o - (uintptr_t)slab_base(slab);
        if (!slab_reaches(u->s, slab, at) || !object_starts_at(u->s, at) ||
            !mark_free(u, at / u->s->size))
            fault("free list of a slab is damaged at object", before);
    }
}

static void find_objects(struct in_use *u, struct slab *slab)
{
    for (; slab && u->count <= NAMED_MAX; slab = slab->next) {
        mark_free_list(u, slab);
        for (unsigned i = 0; i < slab->fresh && u->count <= NAMED_MAX; i++)
            if (!(u->free[i / 8] & 1u << i % 8))
                u->objects[u->count++] = slab_base(slab) + (size_t)i * u->s->size;
    }
}

/* Nobody else uses the cache. What is written is collected first: a pipe's reader may allocate. */
void cache_say_in_use(struct kmem_cache *s)
{
    struct out o = out_to_fd(STDERR_FILENO);
    struct in_use u = {.s = s};

    for (unsigned n = 0; n < node_count(); n++) {
        lock_take(&s->node[n]->list_lock);
        find_objects(&u, s->node[n]->full.first);
        find_objects(&u, s->node[n]->partial.first);
        lock_drop(&s->node[n]->list_lock);
    }
    out_put(&o,
            "%s: kmem_cache_destroy: cache '%s' still has objects, free them first:", fault_subject,
            s->name);
    for (unsigned i = 0; i < u.count && i < NAMED_MAX; i++)
        out_put(&o, " %p", u.objects[i]);
    out_put(&o, u.count > NAMED_MAX ? " ...\n" : "\n");
    out_flush(&o);
}
