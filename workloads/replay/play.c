/*
 * Plays words. The loop is compiled once for each way of touching, alone and with other players,
 * plain and timed, so that none of them asks at run time what it is.
 */
#include "workloads/replay/calls.h"
#include "workloads/replay/touch.h"
#include "workloads/replay/wait.h"

#include <assert.h>

/* What the loop is compiled for. */
struct kind {
    enum touch touch;
    bool crossing, timed;
};

/*
 * The parts of a word, each read from where it stands: that is one instruction, while a word that is
 * taken apart in registers costs two or three, and has to be kept there across the call.
 */
HM_INLINE enum program_op op_at(const uint64_t *word)
{
    return (enum program_op)((const unsigned char *)word)[0];
}

HM_INLINE uint32_t slot_at(const uint64_t *word)
{
    uint32_t slot;
    memcpy(&slot, (const char *)word + sizeof slot, sizeof slot);
    return slot;
}

/* Of a local malloc or free. trace_load() gives odd sizes words of their own: others fit 16 bits. */
HM_INLINE size_t plain_size_at(const uint64_t *word)
{
    uint16_t size;
    static_assert(2 * STAMP_PAGE_BYTES <= UINT16_MAX, "where odd sizes begin");
    memcpy(&size, (const char *)word + 1, sizeof size);
    if (stamp_is_odd(size))
        __builtin_unreachable();
    return size;
}

/* ---- single operations ----------------------------------------------------------------------- */

HM_INLINE void *make(struct worker *w, struct player *p, size_t size, struct kind k)
{
    void *block = call_malloc(w, p, size, k.timed);
    touch_new(block, size, k.touch);
    return block;
}

HM_INLINE void *make_zeroed(struct worker *w, struct player *p, size_t size, struct kind k)
{
    void *block = call_calloc(w, p, size, k.timed);
    if (HM_UNLIKELY(!is_zeroed(block, size, k.touch)))
        worker_corrupt(w, block, size);
    touch_new(block, size, k.touch);
    return block;
}

HM_INLINE void *make_aligned(struct worker *w, struct player *p, size_t alignment, size_t size,
                             struct kind k)
{
    void *block = call_aligned(w, p, alignment, size, k.timed);
    if (HM_UNLIKELY((uintptr_t)block & (alignment - 1)))
        worker_corrupt(w, block, size);
    touch_new(block, size, k.touch);
    return block;
}

/* The old stamp depends on the address: it is checked before, the front of the contents after. */
HM_INLINE void *resize(struct worker *w, struct player *p, void *block, size_t old_size,
                       size_t size, struct kind k)
{
    touch_check(w, block, old_size, k.touch);
    uint64_t stamp = stamp_value(block, old_size);
    void *moved = call_realloc(w, p, block, size, k.timed);
    if (k.touch != TOUCH_NONE && old_size >= sizeof stamp && size >= sizeof stamp &&
        HM_UNLIKELY(!has_first(moved, size, stamp)))
        worker_corrupt(w, moved, size);
    touch_new(moved, size, k.touch);
    return moved;
}

HM_INLINE void end(struct worker *w, struct player *p, void *block, size_t size, struct kind k)
{
    touch_last(w, block, size, k.touch);
    call_free(w, p, block, k.timed);
}

/* ---- words that are no calls ----------------------------------------------------------------- */

static const uint64_t *open_chunk(struct worker *w, struct player *p, uint64_t chunk)
{
    if (p->buffer == NULL)
        return program_chunk(p->program, chunk);
    uint64_t begin_ns = worker_now_ns();
    worker_input(w, p->buffer, PROGRAM_CHUNK_BYTES,
                 p->program->head_bytes + chunk * PROGRAM_CHUNK_BYTES);
    p->read_ns += worker_now_ns() - begin_ns;
    return p->buffer;
}

static __attribute__((noinline)) const uint64_t *control(struct worker *w, struct player *p,
                                                         uint64_t code, const uint64_t *next)
{
    if (program_size(code) == PROGRAM_NEXT)
        return open_chunk(w, p, program_slot(code));
    p->mark_ns[p->mark++] = worker_now_ns();
    return next;
}

/* A thread that has not begun yet is not waiting: its player is idle. */
static __attribute__((noinline)) void await_thread(struct player *p, uint32_t slot,
                                                   enum program_wait wait)
{
    uint64_t before_ns = p->wait_ns;
    replay_take(p, slot);
    if (wait == PROGRAM_WAIT_START) {
        p->idle_ns += p->wait_ns - before_ns;
        p->wait_ns = before_ns;
    }
}

/* ---- the words ------------------------------------------------------------------------------- */

HM_INLINE const uint64_t *resize_shared(struct worker *w, struct player *p, uint32_t slot,
                                        size_t old_size, const uint64_t *operands, struct kind k)
{
    size_t size = operands[0];
    uint64_t place = operands[1];
    void *block = place & PROGRAM_OLD_SHARED ? replay_take(p, slot) : p->local[slot];
    block = resize(w, p, block, old_size, size, k);
    if (place & PROGRAM_NEW_SHARED)
        replay_publish(p, program_slot(place), block);
    else
        p->local[program_slot(place)] = block;
    return operands + 2;
}

/* The words that only a program of several players has. */
HM_INLINE const uint64_t *play_crossing(struct worker *w, struct player *p, uint64_t code,
                                        size_t size, const uint64_t *next, struct kind k)
{
    uint32_t slot = program_slot(code);
    switch (program_op(code)) {
    case PROGRAM_SHARED_MALLOC: replay_publish(p, slot, make(w, p, size, k)); return next;
    case PROGRAM_SHARED_FREE:
        end(w, p, touch_fetch(replay_take(p, slot), k.touch), size, k);
        return next;
    case PROGRAM_SHARED_CALLOC: replay_publish(p, slot, make_zeroed(w, p, size, k)); return next;
    case PROGRAM_SHARED_ALIGNED:
        replay_publish(p, slot, make_aligned(w, p, *next, size, k));
        return next + 1;
    case PROGRAM_SHARED_REALLOC: return resize_shared(w, p, slot, size, next, k);
    case PROGRAM_SIGNAL: replay_publish(p, slot, NULL); return next;
    case PROGRAM_AWAIT: await_thread(p, slot, (enum program_wait)size); return next;
    default: __builtin_unreachable(); /* trace_load() writes no other */
    }
}

/* All but the plain malloc and free. */
HM_INLINE const uint64_t *play_other(struct worker *w, struct player *p, uint64_t code,
                                     const uint64_t *next, struct kind k)
{
    size_t size = program_size(code);
    if (program_op(code) == PROGRAM_WIDE) {
        size = *next++;
        code = *next++;
    }
    void **block = &p->local[program_slot(code)];
    switch (program_op(code)) {
    case PROGRAM_ODD_MALLOC: *block = make(w, p, size, k); return next;
    case PROGRAM_ODD_FREE: end(w, p, *block, size, k); return next;
    case PROGRAM_CALLOC: *block = make_zeroed(w, p, size, k); return next;
    case PROGRAM_ALIGNED: *block = make_aligned(w, p, *next, size, k); return next + 1;
    case PROGRAM_REALLOC: *block = resize(w, p, *block, size, *next, k); return next + 1;
    case PROGRAM_CONTROL: return control(w, p, code, next);
    case PROGRAM_PACE: replay_pace(p, program_rest(code)); return next;
    default:
        if (!k.crossing)
            __builtin_unreachable(); /* trace_load() gives such words to several players only */
        return play_crossing(w, p, code, size, next, k);
    }
}

HM_INLINE bool is_op(const uint64_t *word, enum program_op op)
{
    return __builtin_expect(op_at(word) == op, 1);
}

HM_INLINE void play_malloc(struct worker *w, struct player *p, void **local, const uint64_t *word,
                           struct kind k)
{
    void *block = make(w, p, plain_size_at(word), k);
    local[slot_at(word)] = block;
}

HM_INLINE void play_free(struct worker *w, struct player *p, void **local, const uint64_t *word,
                         struct kind k)
{
    end(w, p, local[slot_at(word)], plain_size_at(word), k);
}

/*
 * Plays words up to PROGRAM_END and returns the one behind it. This is the loop that is timed. A
 * free falls through to a malloc, and that jumps back to the free: of what is left besides the
 * calls, jumps that are taken cost the most, and a jump table would cost an indirect one.
 */
HM_INLINE const uint64_t *play(struct worker *w, struct player *p, const uint64_t *next,
                               struct kind k)
{
    void **local = p->local;
    for (;;) {
        if (is_op(next, PROGRAM_FREE))
            play_free(w, p, local, next++, k);
        if (is_op(next, PROGRAM_MALLOC))
            play_malloc(w, p, local, next++, k);
        else if (op_at(next) == PROGRAM_FREE)
            play_free(w, p, local, next++, k);
        else if (op_at(next) == PROGRAM_END)
            return next + 1;
        else
            next = play_other(w, p, *next, next + 1, k);
    }
}

/*
 * A pass: the trace, then the frees of what it left, so that each pass begins with nothing. Slots
 * that are handed on are empty at its end, but objects of the next pass must not meet those of this
 * one, nor the frees of what was left the trace that others still play.
 */
HM_INLINE void play_pass(struct worker *w, struct player *p, struct kind k)
{
    bool samples_due = k.timed && p->program->is_paced && !w->sampler.is_timeline;
    p->mark = 0;
    p->pass_ns = p->due_ns = worker_now_ns(); /* no word tells when the events of time 0 are due */
    const uint64_t *next = open_chunk(w, p, p->part->first_chunk);
    for (int part = 0; part < 2; part++) {
        p->samples_due = samples_due && part == 0; /* what was left has no time to be freed at */
        next = play(w, p, next, k);
        if (part == 0)
            p->active_ns += worker_now_ns() - p->pass_ns;
        if (k.crossing)
            worker_barrier(w);
    }
}

HM_INLINE void play_passes(struct worker *w, struct kind k)
{
    struct player *p = w->state;
    p->wait_ns = p->idle_ns = p->read_ns = p->active_ns = p->late_ns = 0;
    for (uint64_t pass = 0; pass < w->work; pass++)
        play_pass(w, p, k);
    w->ops += w->work * p->part->calls;
    if (w->index == 0) /* known without counting */
        worker_live(w, (int64_t)p->program->live_bytes_peak);
}

/* ---- the kinds ------------------------------------------------------------------------------- */

#define KIND(name, ...)                                          \
    static __attribute__((noinline)) void name(struct worker *w) \
    {                                                            \
        play_passes(w, (struct kind){__VA_ARGS__});              \
    }
#define KINDS(touch)                              \
    KIND(alone_##touch, touch, false, false)      \
    KIND(alone_timed_##touch, touch, false, true) \
    KIND(crossing_##touch, touch, true, false)    \
    KIND(crossing_timed_##touch, touch, true, true)

KINDS(TOUCH_PAGES)
KINDS(TOUCH_FIRST)
KINDS(TOUCH_ALL)
KINDS(TOUCH_NONE)

#define BY_TOUCH(kind)                                                        \
    {                                                                         \
        [TOUCH_PAGES] = kind##TOUCH_PAGES, [TOUCH_FIRST] = kind##TOUCH_FIRST, \
        [TOUCH_ALL] = kind##TOUCH_ALL, [TOUCH_NONE] = kind##TOUCH_NONE,       \
    }

static void (*const kinds[2][2][4])(struct worker *w) = {
    {BY_TOUCH(alone_), BY_TOUCH(alone_timed_)},
    {BY_TOUCH(crossing_), BY_TOUCH(crossing_timed_)},
};

void replay_play(struct worker *w)
{
    const struct player *p = w->state;
    kinds[p->is_crossing][false][p->touch](w);
}

void replay_play_timed(struct worker *w)
{
    const struct player *p = w->state;
    kinds[p->is_crossing][true][p->touch](w);
}
