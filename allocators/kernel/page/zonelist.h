/* The zones that may serve an allocation, by its flags: those of one node, and of all in order of distance. */
#ifndef KMEM_ZONELIST_H
#define KMEM_ZONELIST_H

#include "zone.h"

static inline enum zone_kind highest_zone(gfp_t gfp)
{
    if (gfp & __GFP_DMA)
        return ZONE_DMA;
    return gfp & __GFP_HIGHMEM && pool.config.backing == BACKING_PRIVATE ? ZONE_HIGHMEM
                                                                         : ZONE_NORMAL;
}

/*
 * Private memory cannot stand in for frames that are to be mapped twice, and memfds cannot stand in
 * for memory that a forked child inherits: HIGHMEM and the others serve each other in no direction.
 */
static inline enum zone_kind lowest_zone(enum zone_kind highest)
{
    return highest == ZONE_HIGHMEM ? ZONE_HIGHMEM : ZONE_DMA;
}

/* One block of the first zone that has one, or NO_FRAME. No lock is held. */
size_t take_anywhere(int node, gfp_t gfp, unsigned order, enum urgency u);

/* Has none of the node's zones that `gfp` allows as much free as the high watermark says? */
bool node_is_below_high(int node, gfp_t gfp);

/* Of the node's zones that `gfp` allows, all together. */
size_t node_free_frames(int node, gfp_t gfp);

#endif
