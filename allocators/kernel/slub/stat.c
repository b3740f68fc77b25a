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
static void add_node(struct cache_figures *f, struct kmem_cache_node *n)
{
    lock_take(&n->list_lock);
    f->slabs += __atomic_load_n(&n->nr_slabs, __ATOMIC_RELAXED);
    f->objects += __atomic_load_n(&n->total_objects, __ATOMIC_RELAXED);
    for (struct slab *slab = n->partial.first; slab; slab = slab->next)
        f->free += slab->objects - slab->inuse;
    lock_drop(&n->list_lock);
}

/* One field of a line, as its readers split that at blanks. */
static void copy_name(char *to, const char *name)
{
    enum { DELETE = 0x7f };

    for (; *name; name++)
        *to++ = (unsigned char)*name > ' ' && *name != DELETE ? *name : '_';
    *to = '\0';
}

/* Under slab_mutex. */
static void copy_figures(const struct kmem_cache *s, struct cache_figures *f)
{
    *f = (struct cache_figures){.number = s->number,
                                .size = s->size,
                                .slab_objects = s->objects,
                                .slab_pages = (size_t)1 << s->order};
    copy_name(f->name, s->name);
    for (unsigned i = 0; i < node_count(); i++)
        add_node(f, s->node[i]);
    for (unsigned i = 0; i < NR_SLUB_STAT_ITEMS; i++)
        f->count[i] = cache_stat(s, i);
}

bool next_cache(struct cache_figures *f)
{
    struct kmem_cache *s;

    lock_take(&slab_mutex);
    for (s = slab_caches; s && f->number && s->number >= f->number; s = s->next)
        ;
    if (s)
        copy_figures(s, f);
    lock_drop(&slab_mutex);
    return s != NULL;
}

void count_free_objects(size_t *objects, size_t *bytes)
{
    *objects = *bytes = 0;
    lock_take(&slab_mutex);
    for (struct kmem_cache *s = slab_caches; s; s = s->next) {
        struct cache_figures f;

        copy_figures(s, &f);
        *objects += f.free;
        *bytes += f.free * f.size;
    }
    lock_drop(&slab_mutex);
}

static void put_cache(struct out *o, const struct cache_figures *f)
{
    put_name(o, f->name);
    put_number(o, f->objects - f->free, 6);
    put_number(o, f->objects, 6);
    put_number(o, f->size, 6);
    put_number(o, f->slab_objects, 4);
    put_number(o, f->slab_pages, 4);
    out_put(o, " : tunables    0    0    0 : slabdata");
    put_number(o, f->slabs, 6);
    put_number(o, f->slabs, 6);
    put_number(o, 0, 6);
    out_put(o, "\n");
}

static void put_stats(struct out *o, const struct cache_figures *f)
{
    out_put(o, "# %s:", f->name);
    for (unsigned i = 0; i < NR_SLUB_STAT_ITEMS; i++)
        if (f->count[i])
            out_put(o, " %s %u", stat_name(i), (size_t)f->count[i]);
    out_put(o, "\n");
}

void kmem_slabinfo(int fd)
{
    struct out o = out_to_fd(fd);

    slub_start();
    out_put(&o, "slabinfo - version: 2.1\n"
                "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
                " : tunables <limit> <batchcount> <sharedfactor>"
                " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    for (struct cache_figures f = {0}; next_cache(&f);)
        put_cache(&o, &f);
    if (kmem_config.stats)
        for (struct cache_figures f = {0}; next_cache(&f);)
            put_stats(&o, &f);
    out_flush(&o);
}
