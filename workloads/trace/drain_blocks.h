/*
 * What the drain's parts share: the rounds that read what threads have written (drain.c), and the
 * blocks that this becomes (drain_blocks.c). Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_DRAIN_BLOCKS_H
#define HEAPMARK_TRACE_DRAIN_BLOCKS_H

#include "workloads/trace/assistant.h"
#include "workloads/trace/block_file.h"
#include "workloads/trace/drain.h"
#include "workloads/trace/stream.h"

/* A process on its way into its trace. */
struct source {
    struct raw_process *process;
    struct raw_command *command; /* NULL: none was left */
    struct stream *streams;      /* by thread */
    uint32_t stream_count, stream_capacity;
    uint32_t entries; /* in the block that is being made */
    struct stream_clock clock;
    uint64_t end_tick; /* up to which the block reaches */
    struct block_file file;
    bool open, failed, finished;
    bool over; /* the process is: its segments are not needed any more */

    /* The block on its way into the file, from when it is sealed until it has been awaited. */
    bool is_sealed;
    struct trace_block_header header;
    uint64_t offset_max;
    int error;
    int failure;                      /* what the first write that failed said, -errno */
    struct raw_tally written, sealed; /* without it, and with it */
};

struct drain {
    struct raw_header *header;
    struct drain_hooks hooks;
    struct source **sources; /* by process */
    uint32_t source_count;
    struct raw_segment **segments; /* all that were carved off, in use and free */
    size_t segment_count, segment_capacity;
    uint64_t written; /* bytes of finished traces */
    struct assistant assistant;
};

/* Opens the trace's file, if it is not open. 0, -ENOMEM, or -errno of the file. */
int drain_blocks_open(struct drain *drain, struct source *source);

/*
 * Writes what the source's streams hold as a block, and gives back the segments that it came from.
 * 0 or -ENOMEM: a full disk ends the recording, and is no error of the drain's. `ahead`: the block is
 * packed while the next one is read, and nothing of it is sure before the next call.
 */
int drain_blocks_write(struct drain *drain, struct source *source, bool ahead);

/*
 * The block that was sealed, if there is one, is in the file, the raw file says so, and the segments
 * that it came from are given back, but for those of a process that is over. 0 or -ENOMEM: then this
 * drain is of no more use.
 */
int drain_blocks_settle(struct drain *drain, struct source *source);

#endif
