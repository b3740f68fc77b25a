#include "zonelist.h"

static size_t take_from_zone(struct zone *z, gfp_t gfp, unsigned order, enum zone_kind highest,
                             enum urgency u)
{
    size_t frame;

    if (z->start == z->end || !lock_take_for(&z->lock, gfp))
        return NO_FRAME;
    frame = zone_take(z, gfp, order, highest, u);
    lock_drop(&z->lock);
    return frame;
}

size_t take_anywhere(int node, gfp_t gfp, unsigned order, enum urgency u)
{
    enum zone_kind highest = highest_zone(gfp), lowest = lowest_zone(highest);
    unsigned nodes = gfp & __GFP_THISNODE ? 1 : page_globals.nodes;

    for (unsigned nth = 0; nth < nodes; nth++)
        for (int kind = (int)highest; kind >= (int)lowest; kind--) {
            struct zone *z = node_zone(node_by_distance(node, nth), (enum zone_kind)kind);
            size_t frame = take_from_zone(z, gfp, order, highest, u);

            if (frame != NO_FRAME)
                return frame;
        }
    return NO_FRAME;
}

bool node_is_below_high(int node, gfp_t gfp)
{
    enum zone_kind highest = highest_zone(gfp);

    for (enum zone_kind kind = lowest_zone(highest); kind <= highest; kind++) {
        struct zone *z = node_zone(node, kind);

        if (z->start != z->end && !zone_is_below(z, WMARK_HIGH, highest))
            return false;
    }
    return true;
}

size_t node_free_frames(int node, gfp_t gfp)
{
    enum zone_kind highest = highest_zone(gfp);
    size_t frames = 0;

    for (enum zone_kind kind = lowest_zone(highest); kind <= highest; kind++) {
        struct zone *z = node_zone(node, kind);

        lock_take(&z->lock);
        frames += zone_free_frames(z);
        lock_drop(&z->lock);
    }
    return frames;
}
