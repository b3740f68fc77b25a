/*
 * What the drain's parts share: the rounds that read what threads have written (drain.c), and the
 * blocks that this becomes (drain_blocks.c). Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_DRAIN_BLOCKS_H
#define HEAPMARK_TRACE_DRAIN_BLOCKS_H

#include "workloads/trace/block_file.h"
#include "workloads/trace/drain.h"
#include "workloads/trace/stream.h"

/* A process on its way into its trace. */
struct source {
    struct raw_process *process;
    struct stream *streams; /* by thread */
    uint32_t stream_count, stream_capacity;
    uint32_t entries; /* in the block that is being made */
    struct stream_clock clock;
    uint64_t end_tick; /* up to which the block reaches */
    struct block_file file;
    bool open, failed, finished;
};

struct drain {
    struct raw_header *header;
    struct drain_hooks hooks;
    struct source **sources; /* by process */
    uint32_t source_count;
    uint64_t written; /* bytes of finished traces */
    uint64_t limit;   /* where the segments end that can be looked at */
};

/* Opens the trace's file, if it is not open. 0, -ENOMEM, or -errno of the file. */
int drain_blocks_open(struct drain *drain, struct source *source);

/*
 * Writes what the source's streams hold as a block, and gives back the segments that it came from.
 * 0 or -ENOMEM: a full disk ends the recording, and is no error of the drain's.
 */
int drain_blocks_write(struct drain *drain, struct source *source);

/* Nobody writes into the source's segments any more: all go back. */
void drain_blocks_give_all(const struct drain *drain, struct source *source);

#endif
