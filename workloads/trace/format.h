/*
 * The .hmt file: docs/trace-format.md tells it in full. All numbers are little-endian.
 *
 *   struct trace_file_header, the command line, FNV-1a 64 of both
 *   blocks: struct trace_block_header, one zstd frame
 *   a block header of zero events: the end
 *
 * A block's content is TRACE_COLUMNS columns one after the other, each a string of varints
 * (LEB128), which compress better apart than mixed.
 *
 * There are two kinds of traces. In an ordered one, events stand in their global order and name
 * objects by slots: it is the faster one to read. In a recorded one, each block holds what all
 * threads did in a span of time, thread by thread, with addresses: it is the cheaper one to write.
 * Readers make the same events of both.
 */
#ifndef HEAPMARK_TRACE_FORMAT_H
#define HEAPMARK_TRACE_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TRACE_MAGIC "\x89HMT\r\n\x1a\n" /* like PNG's: shows what text-mode transfers destroy */

enum {
    TRACE_VERSION = 2,
    TRACE_COMMAND_BYTES_MAX = 4096,
    TRACE_BLOCK_MAGIC = 0x4b4c4248,    /* "HBLK" */
    TRACE_BLOCK_EVENTS_MAX = 65536,    /* of an ordered trace, */
    TRACE_BLOCK_ENTRIES_MAX = 1 << 21, /* of a recorded one: mostly as many, but some a thread */
    TRACE_BLOCK_BYTES_MAX = 64 << 20,  /* unpacked */
};

enum trace_column {
    COLUMN_OP,     /* one byte an event: op, flags; then what the flags announce */
    COLUMN_TIME,   /* ticks since the event before */
    COLUMN_SIZE,   /* sizes, alignments */
    COLUMN_OBJECT, /* slots or addresses, threads started and joined */
    COLUMN_RUN,    /* recorded traces: whose events follow, and how many */
    COLUMN_EXTRA,  /* CPUs and return addresses */
    TRACE_COLUMNS,
    TRACE_COLUMNS_1 = COLUMN_RUN, /* in version 1 */
};

/* In the op byte, above the op. */
enum {
    OP_MASK = 15,
    OP_OTHER_THREAD = 16, /* ordered: the thread follows */
    OP_ODD_ADDRESS = 16,  /* recorded: the address is no multiple of 16; its low bits follow */
    OP_MOVED = 32,        /* ordered: the realloc gave another address */
    OP_CPU = 64,          /* another CPU than this thread's before: COLUMN_EXTRA has it, its node */
    OP_STACK = 128,       /* COLUMN_EXTRA has the return addresses */
};

/* Ops of recorded traces that stand beside those of enum trace_op. */
enum { RECORDED_REALLOC_BEGIN = 8, RECORDED_REALLOC_FAILED = 9 };

enum { TRACE_STACK_MAX = 62, TRACE_SAMPLE_MAX = 1000000 };

struct trace_file_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes; /* with the command line and the checksum */
    uint32_t flags;        /* enum trace_flag */
    uint32_t threads;
    uint64_t ticks_hz;   /* of the times in the events */
    int64_t recorded_at; /* seconds since 1970 */
    uint64_t events;     /* from here to duration_ticks: 0 in the file of a recorded trace, and */
    uint64_t objects;    /* known to a reader when it has come to the end */
    uint64_t slots;      /* most objects live at one time */
    uint64_t live_bytes_peak;
    uint64_t live_bytes_end;
    uint64_t duration_ticks; /* time of the last event */
    uint64_t failed_calls;   /* allocations that returned NULL: no events */
    uint64_t null_frees;     /* free(NULL): no events */
    uint64_t unknown_frees;  /* of addresses that were never seen allocated: no events */
    uint64_t lost_frees;     /* objects whose address was handed out again unfreed: freed there */
    int32_t exit_status;     /* as waitpid() gave it */
    uint32_t command_bytes;  /* arguments, each ended by a 0 byte */

    /* Since version 2. */
    uint32_t sample;      /* one object in so many was recorded; 1: all; 0: not recorded at all */
    uint32_t stack_depth; /* most return addresses of an allocation; 0: none were recorded */
    uint32_t pid, parent_pid;
    uint64_t start_ns;    /* of time 0, after the whole recording's beginning */
    uint64_t slack_ticks; /* clocks of two threads may have differed by so much */

    uint32_t source;        /* enum trace_source: what it was imported from */
    uint32_t lacks;         /* enum trace_lack: what that did not say */
    uint64_t front_events;  /* so many at the front make what lived where the trace was cut out */
    uint64_t skipped_lines; /* of the source, which could not be used */
    uint64_t reserved;      /* 0 */
};

enum { TRACE_HEADER_BYTES_1 = offsetof(struct trace_file_header, sample) };

enum trace_flag {
    TRACE_FORKED = 1,    /* children of fork() called the allocator, and were not recorded */
    TRACE_REPLACED = 2,  /* the program called exec(): what came after is not in this trace */
    TRACE_TRUNCATED = 4, /* recording stopped early: the disk was full, or the size limit reached */
    TRACE_CRASHED = 8,   /* the program ended by a signal */
    TRACE_RECORDED = 16, /* the kind: see above */
    TRACE_STATUS_UNKNOWN = 32, /* nobody waited for the process: exit_status says nothing */
    TRACE_PARTIAL = 64,        /* recording was started or stopped while the program ran */
    TRACE_CPUS = 128,          /* events say which CPU they were on */
    TRACE_FLAGS_ALL = 255,
};

/* Numbers of the file format, in the order in which importers are tried. */
enum trace_source {
    TRACE_SOURCE_NONE,
    TRACE_SOURCE_TEXT,
    TRACE_SOURCE_MTRACE,
    TRACE_SOURCE_HEAPTRACK,
    TRACE_SOURCE_LTRACE,
    TRACE_SOURCE_KMEM,
    TRACE_SOURCE_KMEM_PAGES,
    TRACE_SOURCE_COUNT
};

enum trace_lack {
    TRACE_LACKS_TIMES = 1,       /* an event is a tick */
    TRACE_LACKS_THREADS = 2,     /* all are the first one's */
    TRACE_LACKS_CALLS = 4,       /* which function allocated: calloc and aligned read as malloc */
    TRACE_LACKS_REALLOCS = 8,    /* they read as a free and a malloc */
    TRACE_LACKS_IDENTITY = 16,   /* which of several equal objects was freed: the youngest */
    TRACE_LACKS_FINE_TIMES = 32, /* times are far coarser than the events are apart */
    TRACE_LACKS_ALL = 63,
};

struct trace_block_header_1 {
    uint32_t magic;
    uint32_t events;
    uint32_t packed_bytes;
    uint32_t column_bytes[TRACE_COLUMNS_1];
    uint32_t reserved; /* 0 */
    uint64_t checksum; /* FNV-1a 64 of this header up to here, and of the frame */
};

struct trace_block_header {
    uint32_t magic;
    uint32_t events; /* in a recorded trace of each thread's entries, of which some are no event */
    uint32_t packed_bytes;
    uint32_t column_bytes[TRACE_COLUMNS];
    uint32_t frame_sum;  /* trace_frame_sum() of the frame; 0 in the end block */
    uint64_t time_first; /* times in the block count from here */
    uint64_t time_end;   /* no event of the block is later; none of those that follow is earlier */
    uint64_t checksum;   /* FNV-1a 64 of this header up to here */
};

/* FNV-1a, 64 bits (Fowler, Noll, Vo): finds damage, not malice. Start with TRACE_FNV_BASIS. */
#define TRACE_FNV_BASIS 0xcbf29ce484222325u

static inline uint64_t trace_fnv(uint64_t hash, const void *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

#define TRACE_FRAME_FACTOR 0x9e3779b97f4a7c15u /* odd: no change of a word is lost */

/*
 * Of a block's frame, eight bytes at a time, because FNV-1a would take as long as packing does.
 * zstd's own checksum would be of the content: damage that unpacks to the same passes it.
 */
static inline uint32_t trace_frame_sum(const void *frame, size_t count)
{
    const unsigned char *at = frame;
    uint64_t sum = count, word;
    for (; count >= sizeof word; count -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * TRACE_FRAME_FACTOR;
        sum ^= sum >> 32;
    }
    word = 0;
    memcpy(&word, at, count);
    sum = (sum ^ word) * TRACE_FRAME_FACTOR;
    sum ^= sum >> 32;
    return (uint32_t)(sum * TRACE_FRAME_FACTOR >> 32);
}

static inline uint64_t trace_block_checksum(const struct trace_block_header *block)
{
    return trace_fnv(TRACE_FNV_BASIS, block, offsetof(struct trace_block_header, checksum));
}

/* A time in other units than the trace's ticks; what 64 bits cannot hold ends there. */
static inline uint64_t trace_scaled_time(uint64_t time, double factor)
{
    double scaled = (double)time * factor;
    return scaled < 0x1p64 ? (uint64_t)scaled : UINT64_MAX;
}

/* Neighbouring addresses lie on both sides: small differences become small numbers. */
static inline uint64_t trace_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t trace_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

#endif
