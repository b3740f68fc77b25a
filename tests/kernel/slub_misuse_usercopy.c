/* Copies to and from the user of what lies outside of the part of an object that is open. */
#include "slub_misuse.h"

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "slub/slab.h"

static struct kmem_cache *user_cache(void)
{
    return kmem_cache_create_usercopy("user", 100, 0, 0, 16, 32, NULL);
}

static void usercopy_before(void)
{
    check_object_size((char *)kmem_cache_alloc(user_cache(), GFP_KERNEL) + 15, 4, true);
}

static void usercopy_behind(void)
{
    check_object_size((char *)kmem_cache_alloc(user_cache(), GFP_KERNEL) + 40, 9, false);
}

static void usercopy_overflow(void)
{
    check_object_size((char *)kmem_cache_alloc(user_cache(), GFP_KERNEL) + 20, SIZE_MAX - 4, true);
}

/* Of what is in no slab, too, some can only be wrong. */
static void usercopy_wraps_around(void)
{
    check_object_size(&(char){0}, SIZE_MAX, false);
}

static void usercopy_of_nothing(void)
{
    check_object_size(kmalloc(0, GFP_KERNEL), SIZE_MAX, true);
}

static void usercopy_null(void)
{
    check_object_size(NULL, 1, false);
}

/*
 * What lies in front of a slab's first object: where it is counted modulo the size of an object,
 * with this size and colour, it would be allowed.
 */
static void usercopy_in_front(void)
{
    struct kmem_cache *s = kmem_cache_create_usercopy("front", 48, 0, SLAB_NO_MERGE, 8, 16, NULL);
    struct slab *slab;

    do
        slab = slab_of(kmem_cache_alloc(s, GFP_KERNEL));
    while (s->path == PATH_SHEAF && slab->colour < 4);
    if (slab->colour)
        check_object_size(slab_base(slab) - 4, 12, true);
    else /* without sheaves nothing has a colour: the same of what was never handed out */
        check_object_size(slab_base(slab) + slab->fresh * s->size + 8, 12, true);
}

static void usercopy_never_handed_out(void)
{
    struct kmem_cache *s = kmem_cache_create_usercopy("fresh", 48, 0, SLAB_NO_MERGE, 8, 16, NULL);
    struct slab *slab = slab_of(kmem_cache_alloc(s, GFP_KERNEL));

    check_object_size(slab_base(slab) + slab->fresh * s->size + 8, 4, false);
}

static void usercopy_plain(void)
{
    struct kmem_cache *a = kmem_cache_create("plain", 100, 0, SLAB_NO_MERGE, NULL);

    check_object_size(kmem_cache_alloc(a, GFP_KERNEL), 1, true);
}

/* A cache whose objects may be copied whole is no model for one of the same size whose may not. */
static void usercopy_beside_an_open_one(void)
{
    struct kmem_cache *p;

    kmem_cache_create_usercopy("u", 64, 0, 0, 0, 64, NULL);
    p = kmem_cache_create("p", 64, 0, 0, NULL);
    check_object_size(kmem_cache_alloc(p, GFP_KERNEL), 1, true);
}

static void usercopy_kmalloc(void)
{
    check_object_size((char *)kmalloc(64, GFP_KERNEL) + 60, 5, true);
}

static void usercopy_malloc(void)
{
    check_object_size((char *)slub_malloc(64) + 60, 5, true);
}

static void usercopy_allowed(void)
{
    char *object = kmem_cache_alloc(user_cache(), GFP_KERNEL), here[4];

    check_object_size(object + 16, 32, true);
    check_object_size(object + 47, 1, false);
    check_object_size(object + 48, 0, true);
    check_object_size(kmalloc(64, GFP_KERNEL), 64, true);
    check_object_size(slub_malloc(64), 64, true);
    check_object_size(slub_malloc(5000), 5000, false);
    check_object_size(here, 4, true);
    check_object_size((void *)-4ul, 4, true); /* the last bytes that there are */
    check_object_size(kmalloc(0, GFP_KERNEL), 0, true);
    check_object_size(NULL, 0, false);
    went_on(object);
}

const struct misuse misuse_usercopy[] = {
    {FAULT(usercopy_before),
     "usercopy: exposure attempt: cache 'user': offset 15, size 4; allowed are 32 from 16"},
    {FAULT(usercopy_behind), "usercopy: overwrite attempt: cache 'user': offset 40, size 9"},
    {FAULT(usercopy_overflow), "usercopy: exposure attempt: cache 'user': offset 20, size"},
    {FAULT(usercopy_wraps_around),
     "usercopy: overwrite attempt: it wraps around the end of all addresses"},
    {FAULT(usercopy_of_nothing),
     "usercopy: exposure attempt: no memory, but NULL or ZERO_SIZE_PTR: '0x10', size"},
    {FAULT(usercopy_null), "usercopy: overwrite attempt: no memory, but NULL or ZERO_SIZE_PTR"},
    {FAULT(usercopy_in_front), "usercopy: exposure attempt: in a slab, but in no object"},
    {FAULT(usercopy_never_handed_out), "usercopy: overwrite attempt: in a slab, but in no object"},
    {FAULT(usercopy_plain), "cache 'plain': offset 0, size 1; allowed are 0 from 0"},
    {FAULT(usercopy_beside_an_open_one), "cache 'p': offset 0, size 1; allowed are 0 from 0"},
    {FAULT(usercopy_kmalloc), "cache 'kmalloc-64': offset 60, size 5"},
    {FAULT(usercopy_malloc), "cache 'malloc-64': offset 60, size 5; allowed are 64 from 0"},
    {FINE(usercopy_allowed), "slub: went on"},
    {0},
};
