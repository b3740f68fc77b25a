/*
 * One thread of the raw recording on its way into a block: its segments, and the columns that its
 * events have been put into. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_STREAM_H
#define HEAPMARK_TRACE_STREAM_H

#include "workloads/trace/format.h"
#include "workloads/trace/raw.h"

struct piece {
    struct raw_segment *segment;
    uint32_t at;       /* records that have been read */
    uint32_t consumed; /* that a drain before this one has brought into the trace */
};

/* How far a stream was read: in its pieces, and whether a join of its thread was. */
struct place {
    uint32_t first, at;
    bool joined;
};

struct stream_column {
    unsigned char *bytes;
    size_t used, capacity;
};

struct stream {
    bool begun; /* a segment of the thread was seen */
    uint32_t thread;
    uint32_t parent; /* RAW_NOBODY: not known */
    uint64_t self, first_time;
    uint64_t created;     /* before the thread was started; 0: not known */
    uint64_t started;     /* when it ran; 0: not known */
    uint64_t joined_at;   /* as far as is known; UINT64_MAX: not yet */
    uint64_t met_at;      /* by a reader: see drain_blocks.c. UINT64_MAX: not yet; 0: long ago */
    struct piece *pieces; /* by sequence; those before `first` have been read */
    uint32_t first, count, capacity;
    struct place sealed; /* up to where the block that was sealed last reaches */
    uint32_t next_sequence;
    uint64_t epoch, wide, cpu;
    bool new_cpu, announced; /* the trace has the stream's parent */
    bool over;               /* the process is */
    uint32_t stack_depth;
    uint64_t stack[TRACE_STACK_MAX + 2];

    /* Since the block began. */
    uint32_t entries, events; /* a realloc is two entries, and one event or, when it failed, none */
    uint64_t time, address;
    struct stream_column columns[TRACE_COLUMNS];
};

/* What is the same for all streams of a process while a block is made. */
struct stream_clock {
    uint64_t base_ticks, time_first;
    unsigned time_shift;
};

/* The thread of a process for which pthread_join() had waited at a time; RAW_NOBODY: not known. */
typedef uint32_t stream_find_joined(void *context, uint64_t self, uint64_t time);

/* Adds a segment of the thread, of which so many records stand in the trace. 0 or -ENOMEM. */
int stream_add(struct stream *stream, struct raw_segment *segment, uint32_t consumed);

/* True when there is a record to read, whose time is then *time. */
bool stream_peek(const struct stream *stream, uint64_t *time);

/* Where a look ahead stands: at a record that was not read yet, and of what time it is. */
struct stream_ahead {
    uint32_t piece, at;
    uint64_t epoch, time;
};

/* At the record that is read next; its time is not known yet. */
struct stream_ahead stream_ahead(const struct stream *stream);

/* Moves on by so many records, or a few more to one that has a time; false: there are not as many. */
bool stream_move_ahead(const struct stream *stream, struct stream_ahead *ahead, uint32_t records);

/* The process is over: what is missing will not come, and is passed over from here on. */
void stream_end(struct stream *stream);

/* Reads the records before `end`, up to one that is not finished. 0 or -ENOMEM. */
int stream_read(struct stream *stream, const struct stream_clock *clock, uint64_t end,
                stream_find_joined *find_joined, void *context);

/* A block begins. */
void stream_begin_block(struct stream *stream);

void stream_release(struct stream *stream);

#endif
