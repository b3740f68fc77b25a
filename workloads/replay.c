/*
 * replay: runs a recorded program's allocator calls again, one worker for each recorded thread,
 * truly at the same time. A thread waits only where the recording proves that it must: before it
 * ends an object that another thread makes, before it starts when another one starts it, and where
 * it waited for another one's end. See trace/program.h for the words, and for why a replay cannot
 * deadlock.
 *
 * A pass runs the whole trace; then every thread frees what the recording left, so that each pass
 * begins with nothing. Each block is stamped when it is made and checked when it ends.
 */
#include "include/workload.h"
#include "trace/program.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

enum { TRACE };

static const struct workload_option options[] = {
    [TRACE] = {"trace", OPTION_TRACE, NULL, 0, 0, NULL, "recorded trace to replay"},
    {.name = NULL},
};

/*
 * A shared slot holds the object's address, with the pass's parity in bit 0, so that a taker knows
 * this pass's object from the one before and nobody needs to clear slots. Blocks are aligned to
 * more than 2 by every allocator.
 */
typedef _Atomic uintptr_t shared_slot;

struct player {
    const uint64_t *words, *leftovers;
    void **local;
    shared_slot *shared;
    uint64_t calls;          /* of one pass */
    int64_t live_bytes_peak; /* the recording's, known without counting; it stands with worker 0 */
    uintptr_t parity;
    bool crossing; /* the trace has more than one thread */
};

/* ---- what crosses threads -------------------------------------------------------------------- */

HM_INLINE void publish(struct player *p, uint32_t slot, void *block)
{
    atomic_store_explicit(&p->shared[slot], (uintptr_t)block | p->parity, memory_order_release);
}

/*
 * Some 100 us of spinning cover a hand-over between threads that both run. A longer wait is a
 * thread that has nothing to do now, as in the recording: it must not take a CPU from the others,
 * so it looks again every 50 us. Publishers pay nothing for sleepers.
 */
enum { SPINS_BEFORE_SLEEP = 4096, SLEEP_NS = 50000 };

static __attribute__((noinline)) uintptr_t await_slow(struct player *p, uint32_t slot)
{
    unsigned spins = 0;
    uintptr_t value;
    while (((value = atomic_load_explicit(&p->shared[slot], memory_order_acquire)) & 1) !=
           p->parity) {
        if (spins < SPINS_BEFORE_SLEEP)
            worker_relax(&spins);
        else
            nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    }
    return value;
}

HM_INLINE void *await(struct player *p, uint32_t slot)
{
    uintptr_t value = atomic_load_explicit(&p->shared[slot], memory_order_acquire);
    if (HM_UNLIKELY((value & 1) != p->parity))
        value = await_slow(p, slot);
    return (void *)(value & ~(uintptr_t)1);
}

/* ---- single operations ----------------------------------------------------------------------- */

HM_INLINE void *make(struct worker *w, size_t size, bool timed)
{
    void *block = op_malloc(w, size, timed);
    stamp_write(block, size);
    return block;
}

static bool is_zeroed(const void *block, size_t size)
{
    static const char zeroes[sizeof(uint64_t)];
    if (size == 0)
        return true;
    size_t ends = size < sizeof zeroes ? size : sizeof zeroes;
    return memcmp(block, zeroes, ends) == 0 &&
           memcmp((const char *)block + size - ends, zeroes, ends) == 0;
}

HM_INLINE void *make_zeroed(struct worker *w, size_t size, bool timed)
{
    void *block = op_calloc(w, 1, size, timed);
    if (HM_UNLIKELY(!is_zeroed(block, size)))
        worker_corrupt(w, block, size);
    stamp_write(block, size);
    return block;
}

HM_INLINE void *make_aligned(struct worker *w, size_t alignment, size_t size, bool timed)
{
    void *block = op_aligned(w, alignment, size, timed);
    if (HM_UNLIKELY((uintptr_t)block & (alignment - 1)))
        worker_corrupt(w, block, size);
    stamp_write(block, size);
    return block;
}

/* The old stamp depends on the address: it is checked before, the front of the contents after. */
HM_INLINE void *resize(struct worker *w, void *block, size_t old_size, size_t size, bool timed)
{
    stamp_check(w, block, old_size);
    uint64_t stamp = stamp_value(block, old_size), kept;
    void *moved = op_realloc(w, block, size, timed);
    if (old_size >= sizeof kept && size >= sizeof kept) {
        memcpy(&kept, moved, sizeof kept);
        if (HM_UNLIKELY(kept != stamp))
            worker_corrupt(w, moved, size);
    }
    stamp_write(moved, size);
    return moved;
}

HM_INLINE void end(struct worker *w, void *block, size_t size, bool timed)
{
    stamp_take(w, block, size);
    op_free(w, block, timed);
}

/* ---- the words ------------------------------------------------------------------------------- */

static inline uint32_t slot_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

HM_INLINE const uint64_t *resize_shared(struct worker *w, struct player *p, uint32_t slot,
                                        size_t old_size, const uint64_t *operands, bool timed)
{
    size_t size = operands[0];
    uint64_t place = operands[1];
    void *block = place & PROGRAM_OLD_SHARED ? await(p, slot) : p->local[slot];
    block = resize(w, block, old_size, size, timed);
    if (place & PROGRAM_NEW_SHARED)
        publish(p, slot_of(place), block);
    else
        p->local[slot_of(place)] = block;
    return operands + 2;
}

/* The words that only a trace of several threads has. */
HM_INLINE const uint64_t *play_crossing(struct worker *w, struct player *p, uint64_t code,
                                        size_t size, const uint64_t *next, bool timed)
{
    uint32_t slot = slot_of(code);
    switch ((enum program_op)(code & 15)) {
    case PROGRAM_SHARED_MALLOC: publish(p, slot, make(w, size, timed)); return next;
    case PROGRAM_SHARED_FREE: end(w, await(p, slot), size, timed); return next;
    case PROGRAM_SHARED_CALLOC: publish(p, slot, make_zeroed(w, size, timed)); return next;
    case PROGRAM_SHARED_ALIGNED:
        publish(p, slot, make_aligned(w, *next, size, timed));
        return next + 1;
    case PROGRAM_SHARED_REALLOC: return resize_shared(w, p, slot, size, next, timed);
    case PROGRAM_SIGNAL: publish(p, slot, NULL); return next;
    case PROGRAM_AWAIT: await(p, slot); return next;
    default: __builtin_unreachable(); /* trace_load() writes no other */
    }
}

/* All but the plain malloc and free. */
HM_INLINE const uint64_t *play_other(struct worker *w, struct player *p, uint64_t code, size_t size,
                                     const uint64_t *next, bool crossing, bool timed)
{
    if ((code & 15) == PROGRAM_WIDE) {
        size = code >> 4;
        code = *next++;
    }
    void **block = &p->local[slot_of(code)];
    switch ((enum program_op)(code & 15)) {
    case PROGRAM_MALLOC: *block = make(w, size, timed); return next;
    case PROGRAM_FREE: end(w, *block, size, timed); return next;
    case PROGRAM_CALLOC: *block = make_zeroed(w, size, timed); return next;
    case PROGRAM_ALIGNED: *block = make_aligned(w, *next, size, timed); return next + 1;
    case PROGRAM_REALLOC: *block = resize(w, *block, size, *next, timed); return next + 1;
    default:
        if (!crossing)
            __builtin_unreachable(); /* trace_load() gives such words to several threads only */
        return play_crossing(w, p, code, size, next, timed);
    }
}

/*
 * Runs words up to PROGRAM_END. This is the loop that is timed: a malloc or free costs two
 * well-predicted branches, where a jump table costs an indirect one.
 */
HM_INLINE void play(struct worker *w, struct player *p, const uint64_t *next, bool crossing,
                    bool timed)
{
    void **local = p->local;
    for (;;) {
        uint64_t code = *next++;
        size_t size = (uint32_t)code >> 4;
        unsigned op = code & 15;
        if (__builtin_expect(op == PROGRAM_FREE, 1))
            end(w, local[slot_of(code)], size, timed);
        else if (__builtin_expect(op == PROGRAM_MALLOC, 1))
            local[slot_of(code)] = make(w, size, timed);
        else if (op == PROGRAM_END)
            return;
        else
            next = play_other(w, p, code, size, next, crossing, timed);
    }
}

HM_INLINE void play_passes(struct worker *w, struct player *p, bool crossing, bool timed)
{
    for (uint64_t pass = 0; pass < w->work; pass++) {
        p->parity ^= 1;
        play(w, p, p->words, crossing, timed);
        if (crossing)
            worker_barrier(w); /* the next pass may overwrite slots only when all have been taken */
        play(w, p, p->leftovers, false, timed);
        if (crossing)
            worker_barrier(w);
    }
    w->ops += w->work * p->calls;
    worker_live(w, p->live_bytes_peak);
}

HM_INLINE void replay(struct worker *w, bool timed)
{
    struct player *p = w->state;
    if (p->crossing)
        play_passes(w, p, true, timed);
    else
        play_passes(w, p, false, timed);
}
WORKLOAD_INSTANCES(replay)

/* ---- setup ----------------------------------------------------------------------------------- */

static void setup_player(struct trial *trial, const struct program_header *program, uint32_t index,
                         shared_slot *shared)
{
    const struct program_thread *thread = &program_threads(program)[index];
    const uint64_t *words = program_words(program);
    struct player *p = trial_map(trial, sizeof *p);
    *p = (struct player){
        .words = words + thread->first_word,
        .leftovers = words + thread->first_leftover,
        .local = trial_map(trial, thread->local_slots * sizeof *p->local),
        .shared = shared,
        .calls = thread->calls,
        .live_bytes_peak = index == 0 ? (int64_t)program->live_bytes_peak : 0,
        .crossing = program->threads > 1,
    };
    trial_worker(trial, index)->state = p;
}

static int setup(struct trial *trial)
{
    size_t bytes;
    const struct program_header *program = trial_input(trial, &bytes);
    if (bytes < sizeof *program || program->magic != PROGRAM_MAGIC ||
        program->version != PROGRAM_VERSION || program->bytes != bytes) {
        trial_unsupported(trial, "the decoded trace is not of this version");
        return -ENOTSUP;
    }
    if (program->threads != trial_thread_count(trial)) {
        trial_unsupported(trial, "the trace has %u threads, and the trial %u", program->threads,
                          trial_thread_count(trial));
        return -ENOTSUP;
    }
    shared_slot *shared = trial_map(trial, program->shared_slots * sizeof *shared);
    for (uint32_t i = 0; i < program->threads; i++)
        setup_player(trial, program, i, shared);
    return 0;
}

const struct workload workload_replay = {
    .name = "replay",
    .summary = "a recorded program's allocator calls, thread by thread",
    .source = "the recorded program itself",
    .work_unit = "passes over the trace",
    .options = options,
    .setup = setup,
    .run = replay_plain,
    .run_timed = replay_timed,
};
