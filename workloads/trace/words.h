/*
 * Puts the words of a replay program into the chunks of its file, a lane for each player. Control
 * plane only; not thread-safe.
 */
#ifndef HEAPMARK_TRACE_WORDS_H
#define HEAPMARK_TRACE_WORDS_H

#include "workloads/trace/program.h"

struct lane {
    uint64_t *words; /* the chunk that is being filled; NULL: none yet */
    uint32_t used;
    uint64_t chunk, first_chunk;
};

struct words {
    int fd;
    uint64_t head_bytes; /* where chunk 0 lies */
    uint64_t chunks;     /* numbers that have been given */
    struct lane *lanes;
};

/* A group of words that are not to be parted, at most 8. 0, -ENOMEM, or -errno of the file. */
int words_put(struct words *words, uint32_t lane, const uint64_t *group, unsigned count);

/* Nothing more comes. 0 or -errno of the file. */
int words_finish(struct words *words, uint32_t lanes);

#endif
