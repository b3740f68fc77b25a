/*
 * kmem_cache_create(): a cache that exists and would do is shared, as in the kernel, so that few
 * slabs are half empty.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "out.h"
#include "slub.h"

enum { MERGE_SAME = SLAB_RECLAIM_ACCOUNT | SLAB_CACHE_DMA | SLAB_NO_SHEAVES };

/*
 * The kernel allows less than a word to be wasted, and asks for the alignment: sizes being whole words, they
 * must be the same, and `size` is a multiple of the alignment already.
 */
static bool mergeable(const struct kmem_cache *s, unsigned size, slab_flags_t flags)
{
    if ((s->flags & SLAB_NO_MERGE) || s->ctor || s->usersize)
        return false;
    return s->size == size && !((flags ^ s->flags) & MERGE_SAME);
}

static struct kmem_cache *find_mergeable(unsigned size, unsigned align, slab_flags_t flags)
{
    align = calculate_alignment(flags, align, size);
    size = align_up(align_up(size, sizeof(void *)), align);
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (mergeable(s, size, flags))
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

static struct kmem_cache *create(const char *name, unsigned size, unsigned align,
                                 slab_flags_t flags, unsigned useroffset, unsigned usersize,
                                 void (*ctor)(void *))
{
    bool may_merge = !(flags & SLAB_NO_MERGE) && !ctor && !usersize;
    struct kmem_cache *memory = new_cache_memory(), *s;

    lock_take(&slab_mutex);
    s = may_merge ? merge(size, align, flags) : NULL;
    if (!s) {
        s = create_cache(memory, name, size, align, flags, useroffset, usersize, ctor);
        memory = NULL;
    }
    lock_drop(&slab_mutex);
    free_cache_memory(memory);
    return s;
}

/* What is wrong with the arguments of kmem_cache_create(), and what was expected; NULL: nothing. */
static const char *wrong_argument(const char *name, unsigned size, unsigned align,
                                  unsigned useroffset, unsigned usersize)
{
    if (!name || !*name)
        return "it has no name";
    if (size == 0 || size > KMALLOC_MAX_SIZE)
        return "expected a size of 1 byte to 4 MiB";
    if (align & (align - 1) || align > PAGE_SIZE)
        return "expected an alignment of 0 or a power of two up to 4096";
    if (usersize > size || useroffset > size - usersize)
        return "expected usercopy within the object";
    return NULL;
}

static _Noreturn void panic(const char *name, const char *reason)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o, "%s: kmem_cache_create: cannot create the cache '%s' (SLAB_PANIC): %s\n",
            fault_subject, name ? name : "", reason);
    out_flush(&o);
    abort();
}

struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned size, unsigned align,
                                              slab_flags_t flags, unsigned useroffset,
                                              unsigned usersize, void (*ctor)(void *))
{
    struct kmem_cache *s = NULL;

    const char *wrong = wrong_argument(name, size, align, useroffset, usersize);

    slub_start();
    if (!wrong)
        s = create(name, size, align, flags, useroffset, usersize, ctor);
    if (!s && (flags & SLAB_PANIC))
        panic(name, wrong ? wrong : "there is no memory for it, or its objects are too large");
    return s;
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned size, unsigned align,
                                     slab_flags_t flags, void (*ctor)(void *))
{
    return kmem_cache_create_usercopy(name, size, align, flags, 0, 0, ctor);
}
