/*
 * The frames of an area, in order, as runs that are contiguous in one memfd: what one call can map.
 * Most areas have a few; a scattered one has a chain of cells.
 */
#ifndef KMEM_EXTENTS_H
#define KMEM_EXTENTS_H

#include "../page/page.h"
#include "meta.h"

struct extent {
    uint32_t frame, count;
};

enum { EXTENTS_INLINE = 6, EXTENTS_IN_CELL = META_CELL_BYTES / sizeof(struct extent) - 1 };

struct extent_cell {
    struct extent_cell *next;
    struct extent extent[EXTENTS_IN_CELL];
};

struct extents {
    size_t n;
    struct extent first[EXTENTS_INLINE];
    struct extent_cell *more, *last;
};

/* Adds frames behind the others, to the last run if they continue it. False: no memory. */
bool extents_add(struct extents *e, size_t frame, size_t count);

/* Forgets the runs, and gives their cells back. */
void extents_clear(struct extents *e);

/* A walk over all runs: for (i = extents_walk(e); (x = extents_step(&i)) != NULL;) */
struct extents_walk {
    const struct extents *of;
    const struct extent_cell *cell;
    size_t i;
};

static inline struct extents_walk extents_walk(const struct extents *e)
{
    return (struct extents_walk){.of = e, .cell = e->more};
}

const struct extent *extents_step(struct extents_walk *w);

/* The frame of the area's nth page; the area must have so many. */
size_t extents_frame(const struct extents *e, size_t nth);

#endif
