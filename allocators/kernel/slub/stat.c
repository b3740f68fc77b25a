#include "stat.h"

#include <unistd.h>

#include "out.h"
#include "slub.h"

static const char *const names[] = {
#define ITEM(name, help) #name,
    STAT_ITEMS(ITEM)
#undef ITEM
};

const char *stat_name(enum stat_item item)
{
    return names[item];
}

unsigned long cache_stat(const struct kmem_cache *s, enum stat_item item)
{
    return s->stats ? __atomic_load_n(&s->stats->count[item], __ATOMIC_RELAXED) : 0;
}

/* %-17s and %6lu of the original. */
static void put_name(struct out *o, const char *name)
{
    size_t n = 0;

    for (; name[n]; n++)
        ;
    out_put(o, "%s", name);
    for (; n < 17; n++)
        out_put(o, " ");
}

static void put_number(struct out *o, size_t value, unsigned width)
{
    unsigned digits = 1;

    for (size_t v = value; v >= 10; v /= 10)
        digits++;
    out_put(o, " ");
    for (; digits < width; digits++)
        out_put(o, " ");
    out_put(o, "%u", value);
}

/* As in the kernel, free objects are counted in the partial slabs only. */
static void put_cache(struct out *o, struct kmem_cache *s)
{
    size_t objects = 0, slabs = 0, free = 0;

    for (unsigned i = 0; i < node_count(); i++) {
        struct kmem_cache_node *n = s->node[i];

        lock_take(&n->list_lock);
        slabs += __atomic_load_n(&n->nr_slabs, __ATOMIC_RELAXED);
        objects += __atomic_load_n(&n->total_objects, __ATOMIC_RELAXED);
        for (struct slab *slab = n->partial.first; slab; slab = slab->next)
            free += slab->objects - slab->inuse;
        lock_drop(&n->list_lock);
    }
    put_name(o, s->name);
    put_number(o, objects - free, 6);
    put_number(o, objects, 6);
    put_number(o, s->size, 6);
    put_number(o, s->objects, 4);
    put_number(o, (size_t)1 << s->order, 4);
    out_put(o, " : tunables    0    0    0 : slabdata");
    put_number(o, slabs, 6);
    put_number(o, slabs, 6);
    put_number(o, 0, 6);
    out_put(o, "\n");
}

static void put_stats(struct out *o, struct kmem_cache *s)
{
    out_put(o, "# %s:", s->name);
    for (unsigned i = 0; i < NR_SLUB_STAT_ITEMS; i++)
        if (cache_stat(s, i))
            out_put(o, " %s %u", stat_name(i), (size_t)cache_stat(s, i));
    out_put(o, "\n");
}

void kmem_slabinfo(int fd)
{
    struct out o = out_to_fd(fd);

    slub_start();
    lock_take(&slab_mutex);
    out_put(&o, "slabinfo - version: 2.1\n"
                "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
                " : tunables <limit> <batchcount> <sharedfactor>"
                " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        put_cache(&o, s);
    if (kmem_config.stats)
        for (struct kmem_cache *s = slab_caches; s; s = s->next)
            put_stats(&o, s);
    lock_drop(&slab_mutex);
    out_flush(&o);
}
