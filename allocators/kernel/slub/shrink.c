/* Everything that is free goes back: from CPUs to slabs, and empty slabs to the page layer. */
#include "barn.h"
#include "cpu.h"
#include "cpu_sheaf.h"
#include "node.h"

/* False: what lies in the blocks could not be reached. */
static bool flush_blocks(struct kmem_cache *s)
{
    bool reached;

    percpu_stop();
    reached = percpu_reachable();
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next) {
        sheaf_flush_cell(s, block_sheaf(b, s->index), block_slow(b, s->index));
        cpu_flush_cell(s, block_slow(b, s->index));
    }
    percpu_resume();
    return reached;
}

/*
 * Also by a thread that ends, while others make and destroy caches. Of one that is being destroyed the cells are
 * empty, so that no more than its path is read of it, whatever that is by now.
 */
void slub_drain_block(struct cpu_block *b)
{
    for (unsigned i = 1; i < PERCPU_CELLS / node_count(); i++) {
        struct kmem_cache *s = __atomic_load_n(&cache_of_index[i], __ATOMIC_ACQUIRE);

        if (s && s->path != PATH_DIRECT) {
            sheaf_flush_cell(s, block_sheaf(b, i), block_slow(b, i));
            cpu_flush_cell(s, block_slow(b, i));
        }
    }
}

/* All barns before any slab: sheaves of one node may hold objects that its CPUs got from another. */
static bool shrink_nodes(struct kmem_cache *s, enum what_is_left left)
{
    bool any = false;

    for (unsigned n = 0; n < node_count(); n++)
        barn_flush(s, s->node[n]);
    for (unsigned n = 0; n < node_count(); n++)
        any |= left == SORTED ? node_shrink(s, s->node[n]) : node_give_up_empty(s, s->node[n]);
    return any;
}

bool cache_shrink(struct kmem_cache *s, bool *reached)
{
    *reached = s->path == PATH_DIRECT || flush_blocks(s);
    return shrink_nodes(s, SORTED);
}

int kmem_cache_shrink(struct kmem_cache *s)
{
    bool reached, left = cache_shrink(s, &reached);

    return left || !reached;
}

void slub_drain_blocks(void)
{
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        slub_drain_block(b);
}

/* What sheaves are made of last: they come back from the others. */
void slub_shrink_slabs(enum what_is_left left)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (s->path != PATH_DIRECT)
            shrink_nodes(s, left);
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (s->path == PATH_DIRECT)
            shrink_nodes(s, left);
}

/* One stop for all caches. */
void slub_shrink_all(void)
{
    lock_take(&slab_mutex);
    percpu_stop();
    slub_drain_blocks();
    percpu_resume();
    slub_shrink_slabs(SORTED);
    lock_drop(&slab_mutex);
}
