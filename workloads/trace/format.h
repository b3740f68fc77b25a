/*
 * The .hmt file: docs/trace-format.md tells it in full. All numbers are little-endian.
 *
 *   struct trace_file_header, the command line, FNV-1a 64 of both
 *   blocks: struct trace_block_header, one zstd frame
 *   a block header of zero events: the end
 *
 * A block's content is TRACE_COLUMNS columns one after the other, each a string of varints
 * (LEB128), which compress better apart than mixed.
 */
#ifndef HEAPMARK_TRACE_FORMAT_H
#define HEAPMARK_TRACE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC "\x89HMT\r\n\x1a\n" /* like PNG's: shows what text-mode transfers destroy */

enum {
    TRACE_VERSION = 1,
    TRACE_COMMAND_BYTES_MAX = 4096,
    TRACE_BLOCK_MAGIC = 0x4b4c4248, /* "HBLK" */
    TRACE_BLOCK_EVENTS_MAX = 65536,
    TRACE_BLOCK_BYTES_MAX = 4 << 20, /* unpacked; an event never takes more than 43 bytes */
};

enum trace_column {
    COLUMN_OP,     /* one byte an event: op, flags; then the thread if it is another one */
    COLUMN_TIME,   /* ticks since the event before */
    COLUMN_SIZE,   /* sizes, alignments */
    COLUMN_OBJECT, /* slots, threads started and joined */
    TRACE_COLUMNS
};

/* In the op byte, above the op. */
enum { OP_MASK = 15, OP_OTHER_THREAD = 16, OP_MOVED = 32 };

struct trace_file_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes; /* with the command line and the checksum */
    uint32_t flags;        /* enum trace_flag */
    uint32_t threads;
    uint64_t ticks_hz;   /* of the times in the events */
    int64_t recorded_at; /* seconds since 1970 */
    uint64_t events;
    uint64_t objects;
    uint64_t slots; /* most objects live at one time */
    uint64_t live_bytes_peak;
    uint64_t live_bytes_end;
    uint64_t duration_ticks; /* time of the last event */
    uint64_t failed_calls;   /* allocations that returned NULL: no events */
    uint64_t null_frees;     /* free(NULL): no events */
    uint64_t unknown_frees;  /* of addresses that were never seen allocated: no events */
    uint64_t lost_frees;     /* objects whose address was handed out again unfreed: freed there */
    int32_t exit_status;     /* as waitpid() gave it */
    uint32_t command_bytes;  /* arguments, each ended by a 0 byte */
};

enum trace_flag {
    TRACE_FORKED = 1,    /* children of fork() called the allocator: not in this trace */
    TRACE_REPLACED = 2,  /* the program called exec(): what came after is not in this trace */
    TRACE_TRUNCATED = 4, /* recording stopped early: the disk or the recording was full */
    TRACE_CRASHED = 8,   /* the program ended by a signal */
};

struct trace_block_header {
    uint32_t magic;
    uint32_t events;
    uint32_t packed_bytes;
    uint32_t column_bytes[TRACE_COLUMNS];
    uint32_t reserved; /* 0 */
    uint64_t checksum; /* FNV-1a 64 of this header up to here, and of the frame */
};

/* FNV-1a, 64 bits (Fowler, Noll, Vo): finds damage, not malice. Start with TRACE_FNV_BASIS. */
#define TRACE_FNV_BASIS 0xcbf29ce484222325u

static inline uint64_t trace_fnv(uint64_t hash, const void *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

static inline uint64_t trace_block_checksum(const struct trace_block_header *block,
                                            const void *packed)
{
    uint64_t hash =
        trace_fnv(TRACE_FNV_BASIS, block, offsetof(struct trace_block_header, checksum));
    return trace_fnv(hash, packed, block->packed_bytes);
}

#endif
