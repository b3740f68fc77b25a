/*
 * From the raw recording to traces, while the recorded programs run or afterwards.
 *
 * The drain looks into all segments in rounds. A round takes a time shortly before the present and
 * reads, in every thread, the records before that time: whatever any of them follows from is among
 * them or was in a round before (see raw.h). Some rounds make a block, with the events of each
 * thread by themselves: to put them in one order and to turn addresses into objects costs several
 * times as much as the recording itself, and is left to the reader.
 *
 * All that the drain must remember lies in the raw file. When it dies, another one goes on, and
 * only what stood in no block yet is read again. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_DRAIN_H
#define HEAPMARK_TRACE_DRAIN_H

#include "workloads/trace/raw.h"

#include <sys/types.h>

struct drain;

struct drain_hooks {
    /*
     * The file for the trace of a process, which the drain closes; `again` when it was made before.
     * -errno when there is none.
     */
    int (*file)(void *context, uint32_t process, bool again);
    void *context;
};

/* Takes the raw file, mapped whole at `header`. 0 or -ENOMEM. */
int drain_open(struct drain **out, struct raw_header *header, struct drain_hooks hooks);

enum { DRAIN_ROUND_EVENTS = 1 << 18 };

/*
 * Reads what is there, of each process until it has DRAIN_ROUND_EVENTS or a little more. Returns the
 * number of events read: after that many there may be more, and the caller comes again at once. Or
 * -errno when memory is short.
 */
int64_t drain_round(struct drain *drain);

/*
 * The process is over: reads its rest, finishes its file and forgets it. `status` as waitpid() gave
 * it, -1 when it is not known. *bytes is the trace's size; 0: nothing was recorded, and there may be no
 * file. *events is what a reader makes of the trace, which is none where all calls failed. It makes
 * another number where calls are missing (one event less for an unknown free, one more for a lost
 * one), where a thread's first call and the join of its parent, or the first calls of both, are closer
 * than 2 us (one more or less), and where the raw file was damaged. 0, or -errno of the file.
 */
int drain_finish(struct drain *drain, uint32_t process, int status, uint64_t *bytes,
                 uint64_t *events);

/* Why the process's trace could not be written on, as -errno; 0: it could, or its disk was full. */
int drain_failure(const struct drain *drain, uint32_t process);

void drain_release(struct drain *drain);

/* The rate of the recording's clock, from the two readings in the header. */
uint64_t raw_ticks_hz(const struct raw_header *header);

#endif
