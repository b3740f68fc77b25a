/*
 * One slab: its place, making it, giving it up, and its objects, which belong to the list_lock of its node.
 */
#ifndef KMEM_SLUB_SLAB_H
#define KMEM_SLUB_SLAB_H

#include "link.h"
#include "slub.h"

static inline void *slab_address(const struct slab *slab)
{
    return page_address((const struct page *)slab);
}

static inline size_t slab_bytes(const struct slab *slab)
{
    return PAGE_SIZE << page_order((const struct page *)slab);
}

/* Where the first object starts. */
static inline char *slab_base(const struct slab *slab)
{
    return (char *)slab_address(slab) + slab->colour;
}

static inline int slab_nid(const struct slab *slab)
{
    return page_to_node((const struct page *)slab);
}

static inline struct kmem_cache_node *node_of(const struct kmem_cache *s, const struct slab *slab)
{
    return s->node[slab_nid(slab)];
}

/* The slab around an object; NULL: the address is in no slab. */
static inline struct slab *slab_of(const void *object)
{
    size_t frame;
    unsigned state;

    if (!in_page_pool(object))
        return NULL;
    frame = virt_to_frame(object);
    state = frame_state(frame);
    if (!frame_is_used(state) || !(state & PAGE_IS_SLAB))
        return NULL;
    return (struct slab *)frame_to_page(frame_head(frame, state));
}

/* Is `at`, counted from slab_base(), in an object that may be in use? In front of it `at` wraps around. */
static inline bool slab_reaches(const struct kmem_cache *s, const struct slab *slab, size_t at)
{
    return at < (size_t)__atomic_load_n(&slab->fresh, __ATOMIC_RELAXED) * s->size;
}

/*
 * Is `at`, counted from slab_base() and inside the slab, a multiple of the size? By D. Lemire, O. Kaser and
 * N. Kurz, "Faster remainder by direct computation" (2019), exact for 32 bits.
 */
static inline bool object_starts_at(const struct kmem_cache *s, size_t at)
{
    return at * s->magic < s->magic;
}

/* Ends the process unless `object` is the start of one that may be in use. */
void check_object(const struct kmem_cache *s, const struct slab *slab, const void *object,
                  const char *interior);

/*
 * Does the object hold a link, as one on a free list does? In caches without sheaves: from those whose objects
 * leave without it (clear_link()), so that only a free one does, or who wrote that very word.
 */
static inline bool looks_free(const struct kmem_cache *s, const struct slab *slab,
                              const void *object)
{
    const void *link = get_link(s, object);
    size_t at = (uintptr_t)link - (uintptr_t)slab_base(slab);

    return unlikely(!link) || (unlikely(slab_reaches(s, slab, at)) && object_starts_at(s, at));
}

/* What the table of frames holds for the slab; 0: there is no cell, or free could not tell where objects start. */
uint16_t slab_cell(const struct kmem_cache *s, const struct slab *slab);

/* On no list yet, nothing in use; NULL: out of memory. No lock is held. */
struct slab *new_slab(struct kmem_cache *s, gfp_t gfp, int node);
/* A slab on no list, or so many linked by next, with nothing in use. No lock is held. */
void give_up_slab(struct kmem_cache *s, struct slab *slab);
void give_up_slabs(struct kmem_cache *s, struct slab *slabs);

static inline bool slab_exhausted(const struct slab *slab)
{
    return !slab->freelist && slab->fresh == slab->objects;
}

/*
 * Of objects up to so many bytes malloc asks for lines ahead of their use (rseq_x86_64.h). A line of a page that
 * nobody has touched yet takes far longer to ask for in vain than any other, so that fresh ones are
 * taken a page at a time.
 */
#define SLAB_PAGEWISE_MAX (PERCPU_SMALL - 1)

/*
 * Up to `count` objects into the slots below `end`, downwards: those of the free list, then fresh ones, of small
 * ones those that begin in the first one's page. The number taken.
 */
unsigned slab_take(const struct kmem_cache *s, struct slab *slab, unsigned count, void **end);
/* All of the free list as a list; without one some fresh objects, linked: a page of them at most. */
void *slab_take_list(struct kmem_cache *s, struct slab *slab);
/*
 * Frees the first of `count` objects, which lies in `slab`, and those that follow as long as they do, too. The
 * number freed, at least 1. Ends the process at one that is none, or is seen to be free.
 */
unsigned slab_put(const struct kmem_cache *s, struct slab *slab, unsigned count, void **p);

#endif
