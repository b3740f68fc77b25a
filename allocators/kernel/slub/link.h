/* The link in a free object. */
#ifndef KMEM_SLUB_LINK_H
#define KMEM_SLUB_LINK_H

#include "types.h"

static inline void **link_of(const struct kmem_cache *s, const void *object)
{
    return (void **)((char *)object + s->offset);
}

/* A link is stored mangled with the cache's key and its own address. */
static inline void *get_link(const struct kmem_cache *s, const void *object)
{
    void **at = link_of(s, object);

    return percpu_mangle(*at, at, s->random);
}

static inline void set_link(const struct kmem_cache *s, void *object, void *link)
{
    void **at = link_of(s, object);

    *at = percpu_mangle(link, at, s->random);
}

static inline void clear_link(const struct kmem_cache *s, void *object)
{
    *link_of(s, object) = NULL;
}

#endif
