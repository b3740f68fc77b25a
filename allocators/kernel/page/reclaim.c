/*
 * Shrinkers run one thread at a time. Who finds another at it does not queue behind its hooks, which
 * may take locks of their own, but waits a little for the memory that comes of it.
 */
#include "reclaim.h"

#include <errno.h>

#include "pool.h"

enum { SHRINK_BATCH = 128, FIRST_SHARE_LOG2 = 3 };

struct lock reclaim_lock;
static struct shrinker *shrinkers = &lazy_shrinker;

int register_shrinker(struct shrinker *s)
{
    int error = 0;

    lock_take(&reclaim_lock);
    for (struct shrinker *other = shrinkers; other; other = other->next)
        if (other == s)
            error = -EEXIST;
    if (!error) {
        s->next = shrinkers;
        shrinkers = s;
    }
    lock_drop(&reclaim_lock);
    return error;
}

void unregister_shrinker(struct shrinker *s)
{
    lock_take(&reclaim_lock);
    for (struct shrinker **at = &shrinkers; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    lock_drop(&reclaim_lock);
}

static unsigned long shrink_one(struct shrinker *s, gfp_t gfp, int node, unsigned round)
{
    struct shrink_control sc = {.gfp_mask = gfp, .nid = node};
    unsigned long freeable = s->count_objects(s, &sc), freed = 0;
    unsigned long wanted =
        round < FIRST_SHARE_LOG2 ? freeable >> (FIRST_SHARE_LOG2 - round) : freeable;

    if (freeable == 0)
        return 0;
    wanted = wanted * 4 / (s->seeks ? s->seeks : DEFAULT_SEEKS);
    if (wanted < SHRINK_BATCH)
        wanted = SHRINK_BATCH;
    for (unsigned long scanned = 0; scanned < wanted; scanned += sc.nr_scanned) {
        sc.nr_to_scan = wanted - scanned < SHRINK_BATCH ? wanted - scanned : SHRINK_BATCH;
        sc.nr_scanned = sc.nr_to_scan;

        unsigned long n = s->scan_objects(s, &sc);

        if (n == SHRINK_STOP || sc.nr_scanned == 0)
            break;
        freed += n;
    }
    return freed;
}

unsigned long reclaim(gfp_t gfp, int node, unsigned round)
{
    unsigned long freed = 0;

    if (!lock_try(&reclaim_lock))
        return 0;
    in_reclaim = true;
    __atomic_add_fetch(&pool.reclaims, 1, __ATOMIC_RELAXED);
    for (struct shrinker *s = shrinkers; s; s = s->next)
        freed += shrink_one(s, gfp, node, round);
    in_reclaim = false;
    lock_drop(&reclaim_lock);
    return freed;
}
