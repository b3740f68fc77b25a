/*
 * A process that grows while free objects lie idle takes those first. Sheaves keep what is freed for their own
 * cache: good as long as it is wanted again, a waste once the program has turned to other sizes. So whenever so
 * much fresh memory was taken, each barn gives back the sheaves that nobody took out since the time before: the
 * fewest that lay there meanwhile, which is the working set of a depot in Bonwick and Adams, "Magazines and
 * Vmem" (2001), by growth instead of by time. A process that does not grow pays nothing, but that every few
 * seconds somebody looks, lest what it keeps after a peak be kept for ever. Then those of the CPU's own sheaves
 * that are as they were go as well: by growth they took the slabs of sizes away that came again (memory of cc1
 * 1.11, of lua 1.02).
 */
#include "barn.h"
#include "cpu_sheaf.h"
#include "node.h"

enum { LOOK_AFTER = 128 /* frames */ };

static size_t grown; /* frames since the last look, more or less: counted without a lock */
static bool looked;  /* since the last window ended; under slab_mutex */

static void flush_idle(void)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        for (unsigned n = 0; n < node_count() && s->path == PATH_SHEAF; n++)
            barn_flush_idle(s, s->node[n]);
}

static void flush_idle_of_cpu(void)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (s->path == PATH_SHEAF)
            sheaf_flush_idle(s);
}

void slub_grew_by(size_t frames, gfp_t gfp)
{
    size_t all;

    if (frames == 0)
        return;
    all = __atomic_load_n(&grown, __ATOMIC_RELAXED) + frames;
    __atomic_store_n(&grown, all, __ATOMIC_RELAXED);
    /* If somebody makes a cache just now, the next one who grows looks. */
    if (all < LOOK_AFTER || !gfpflags_allow_blocking(gfp) || !lock_try(&slab_mutex))
        return;
    __atomic_store_n(&grown, 0, __ATOMIC_RELAXED);
    looked = true;
    flush_idle();
    lock_drop(&slab_mutex);
}

void slub_grew(const struct page *page, gfp_t gfp)
{
    slub_grew_by(page_was_absent(page) ? page_frames(page) : 0, gfp);
}

static void give_up_idle_slabs(void)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        for (unsigned n = 0; n < node_count(); n++)
            node_give_up_idle(s, s->node[n]);
}

/* Sheaves first: they are objects of the slabs. Where the process grew, barns were looked at more often than that. */
void slub_window_over(void)
{
    if (!lock_try(&slab_mutex))
        return;
    flush_idle_of_cpu();
    if (!looked)
        flush_idle();
    looked = false;
    give_up_idle_slabs();
    lock_drop(&slab_mutex);
}
