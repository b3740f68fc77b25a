#include "extents.h"

#include "../page/pool.h"

_Static_assert(sizeof(struct extent_cell) <= META_CELL_BYTES,
               "a cell of runs fits a record's cell");

static struct extent *last_run(struct extents *e)
{
    if (e->n == 0)
        return NULL;
    if (e->n <= EXTENTS_INLINE)
        return &e->first[e->n - 1];
    return &e->last->extent[(e->n - EXTENTS_INLINE - 1) % EXTENTS_IN_CELL];
}

/* Room for one more run; NULL: no memory. */
static struct extent *next_run(struct extents *e)
{
    size_t beyond = e->n - EXTENTS_INLINE;

    if (e->n < EXTENTS_INLINE)
        return &e->first[e->n];
    if (beyond % EXTENTS_IN_CELL == 0) {
        struct extent_cell *cell = meta_alloc();

        if (!cell)
            return NULL;
        if (e->last)
            e->last->next = cell;
        else
            e->more = cell;
        e->last = cell;
    }
    return &e->last->extent[beyond % EXTENTS_IN_CELL];
}

bool extents_add(struct extents *e, size_t frame, size_t count)
{
    struct extent *run = last_run(e);

    /* Zones adjoin, but each has a memfd of its own. */
    if (run && run->frame + run->count == frame && frame_zone(frame)->start != frame) {
        run->count += (uint32_t)count;
        return true;
    }
    if (!(run = next_run(e)))
        return false;
    *run = (struct extent){(uint32_t)frame, (uint32_t)count};
    e->n++;
    return true;
}

void extents_clear(struct extents *e)
{
    struct extent_cell *cell = e->more, *next;

    /* At once: a fork in a signal's handler finds either all runs or none. */
    __atomic_store_n(&e->n, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    *e = (struct extents){0};
    for (; cell; cell = next) {
        next = cell->next;
        meta_free(cell);
    }
}

const struct extent *extents_step(struct extents_walk *w)
{
    size_t i = w->i++, beyond = i - EXTENTS_INLINE;

    if (i >= w->of->n)
        return NULL;
    if (i < EXTENTS_INLINE)
        return &w->of->first[i];
    if (beyond > 0 && beyond % EXTENTS_IN_CELL == 0)
        w->cell = w->cell->next;
    return &w->cell->extent[beyond % EXTENTS_IN_CELL];
}

size_t extents_frame(const struct extents *e, size_t nth)
{
    struct extents_walk w = extents_walk(e);
    const struct extent *x;

    while ((x = extents_step(&w)) != NULL && nth >= x->count)
        nth -= x->count;
    return x->frame + nth;
}
