/*
 * A process that grows while free objects lie idle takes those first. Sheaves keep what is freed for their own
 * cache: good as long as it is wanted again, a waste once the program has turned to other sizes. So whenever so
 * much fresh memory was taken, each barn gives back the sheaves that nobody took out since the time before: the
 * fewest that lay there meanwhile, which is the working set of a depot in Bonwick and Adams, "Magazines and
 * Vmem" (2001), by growth instead of by time. A process that does not grow pays nothing.
 */
#include "slub.h"

enum { LOOK_AFTER = 128 /* frames */ };

static size_t grown; /* frames since the last look, more or less: counted without a lock */

static void flush_idle(void)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        for (unsigned n = 0; n < node_count() && s->path == PATH_SHEAF; n++)
            barn_flush_idle(s, s->node[n]);
}

void slub_grew(const struct page *page, gfp_t gfp)
{
    size_t frames;

    if (!page_was_absent(page))
        return;
    frames = __atomic_load_n(&grown, __ATOMIC_RELAXED) + page_frames(page);
    __atomic_store_n(&grown, frames, __ATOMIC_RELAXED);
    /* Whoever makes a cache holds the mutex already: the next one who grows looks. */
    if (frames < LOOK_AFTER || !gfpflags_allow_blocking(gfp) || !lock_try(&slab_mutex))
        return;
    __atomic_store_n(&grown, 0, __ATOMIC_RELAXED);
    flush_idle();
    lock_drop(&slab_mutex);
}
