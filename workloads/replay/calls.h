/*
 * The allocator's calls, sampled from where they should have begun when the replay is paced: there
 * a call that waited for a slow one before it counts as slow itself.
 */
#ifndef HEAPMARK_REPLAY_CALLS_H
#define HEAPMARK_REPLAY_CALLS_H

#include "workloads/replay/player.h"

/* True when this call is to be sampled from due_ns; then it is due. */
HM_INLINE bool is_late_sample(struct worker *w, const struct player *p, bool timed)
{
    return timed && p->samples_due && HM_UNLIKELY(w->sampler.left == 1);
}

HM_INLINE void *call_malloc(struct worker *w, struct player *p, size_t size, bool timed)
{
    if (!is_late_sample(w, p, timed))
        return op_malloc(w, size, timed);
    void *block = op_malloc(w, size, false);
    sampled_since(w, OP_MALLOC, p->due_ns);
    return block;
}

HM_INLINE void *call_calloc(struct worker *w, struct player *p, size_t size, bool timed)
{
    if (!is_late_sample(w, p, timed))
        return op_calloc(w, 1, size, timed);
    void *block = op_calloc(w, 1, size, false);
    sampled_since(w, OP_CALLOC, p->due_ns);
    return block;
}

HM_INLINE void *call_realloc(struct worker *w, struct player *p, void *block, size_t size,
                             bool timed)
{
    if (!is_late_sample(w, p, timed))
        return op_realloc(w, block, size, timed);
    void *moved = op_realloc(w, block, size, false);
    sampled_since(w, OP_REALLOC, p->due_ns);
    return moved;
}

HM_INLINE void *call_aligned(struct worker *w, struct player *p, size_t alignment, size_t size,
                             bool timed)
{
    if (!is_late_sample(w, p, timed))
        return op_aligned(w, alignment, size, timed);
    void *block = op_aligned(w, alignment, size, false);
    sampled_since(w, OP_MALLOC, p->due_ns);
    return block;
}

HM_INLINE void call_free(struct worker *w, struct player *p, void *block, bool timed)
{
    if (!is_late_sample(w, p, timed)) {
        op_free(w, block, timed);
        return;
    }
    op_free(w, block, false);
    sampled_since(w, OP_FREE, p->due_ns);
}

#endif
