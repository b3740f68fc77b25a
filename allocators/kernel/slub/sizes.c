/*
 * The kernel's calculation of what a cache is like: how far its objects lie apart, how many pages a slab
 * has, how much is kept.
 */
#include "../page/topology.h"
#include "debug.h"
#include "slub.h"

/* The kernel's is always 3, which would leave a slab with one to three of the objects above 8 KiB. */
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

unsigned objects_in(size_t bytes, unsigned size)
{
    size_t n = bytes / size;

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
    most = objects_in(PAGE_SIZE << max_order(size), size);
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

unsigned calculate_alignment(slab_flags_t flags, unsigned align, unsigned size)
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

bool cache_sizes(struct kmem_cache *s)
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
    s->magic = cell_magic(s->size);
    order = slab_calculate_order(s->size, topology_online());
    if (order < 0)
        return false;
    s->order = (unsigned)order;
    s->objects = objects_in(PAGE_SIZE << s->order, s->size);
    s->order_min = order_for(s->size);
    set_limits(s);
    return true;
}
