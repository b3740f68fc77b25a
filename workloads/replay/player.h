/*
 * A player: the thread that plays one stream of words of a replay program (trace/program.h). What
 * it waited for, when it passed its marks and how late it was is kept here and judged afterwards,
 * so that the loop itself does no more than note it.
 */
#ifndef HEAPMARK_REPLAY_PLAYER_H
#define HEAPMARK_REPLAY_PLAYER_H

#include "include/workload.h"
#include "workloads/trace/program.h"

#include <stdatomic.h>

/* The address of an object that passes from its maker to its taker, with bit 0 set; 0: empty. */
typedef _Atomic uintptr_t shared_slot;

/* How much of each block is used: in the order of the option's choices. */
enum touch { TOUCH_PAGES, TOUCH_FIRST, TOUCH_ALL, TOUCH_NONE };

/* Ahead of time. Never a fault; a CPU that has no such instruction takes it for none. */
HM_INLINE void fetch_for_writing(const void *line)
{
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
}

struct player {
    const struct program_header *program;
    const struct program_player *part;
    uint64_t *buffer; /* of a streamed program: the chunk that is being played */
    void **local;
    shared_slot *shared;
    enum touch touch;
    unsigned spins;   /* before a waiting thread gives up its CPU */
    bool is_crossing; /* there are other players */

    /* Paced. */
    bool samples_due;        /* samples count from due_ns */
    double recorded_to_real; /* time in the replay over time in the recording */
    uint64_t due_ns;         /* when the next event should begin */

    /* Of the last run of the body; the times are the marks' of its last pass. */
    uint64_t pass_ns; /* its beginning */
    uint64_t wait_ns, idle_ns, read_ns, active_ns, late_ns;
    uint64_t *mark_ns;
    uint32_t mark;
    int64_t mark_live_bytes; /* while curves are summed up */
};

/* The whole replay, once for each touch: plain and timed. */
void replay_play(struct worker *worker);
void replay_play_timed(struct worker *worker);

/* Tells the row how true the run was to the recording: docs/replay.md defines the figures. Scratch
 * memory is mapped in setup, since nothing may grow between the parts of a trial. */
struct fidelity_mark;
struct fidelity_mark *fidelity_setup(struct trial *trial, const struct program_header *program);
void fidelity_measure(struct trial *trial, const struct program_header *program,
                      struct fidelity_mark *scratch);

#endif
