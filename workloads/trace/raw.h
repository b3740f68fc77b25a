/*
 * The raw recording: what the recorder, inside the program, leaves for the converter.
 *
 * One sparse file, mapped MAP_SHARED into the program, so that what was written stays whatever way
 * the program ends. It never travels: same machine, same build, deleted after conversion.
 *
 *   0      struct raw_header (one page)
 *   4096   segments, each a multiple of the page, carved off the end with one atomic add:
 *            struct raw_segment, then records of 16 bytes, written by one thread alone
 *
 * A record that is all zero was never finished, or never begun: readers skip it. A page of zeros
 * where a segment should begin was carved off but not used: readers skip it too.
 *
 * Times. An allocation carries the time after it returned, a free the time before it began, a
 * realloc both (BEGIN and END), so that sorting by time never shows an address in use twice. A
 * record holds the low 32 bits of its time; an EPOCH record brings the high ones when they change.
 */
#ifndef HEAPMARK_TRACE_RAW_H
#define HEAPMARK_TRACE_RAW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define RAW_MAGIC "hm-raw\1"
#define RAW_ENV   "HEAPMARK_RECORD" /* the raw file's absolute path, in the program's environment */

enum {
    RAW_VERSION = 1,
    RAW_PAGE_BYTES = 4096,
    RAW_SEGMENT_MAGIC = 0x68736567,
    RAW_SEGMENT_BYTES_MIN = RAW_PAGE_BYTES, /* a thread's first segment: many never need more */
    RAW_SEGMENT_BYTES_MAX =
        64 * RAW_PAGE_BYTES, /* each next one is four times larger, up to this */
};

#define RAW_WIDE UINT32_MAX /* a size that does not fit: the WIDE record before has it */

enum raw_op {
    RAW_NONE,
    RAW_MALLOC,        /* address, size */
    RAW_CALLOC,        /* address, size: count times size */
    RAW_FREE,          /* address */
    RAW_REALLOC_BEGIN, /* old address, new size */
    RAW_REALLOC_END,   /* new address, 0 when it failed; size as in BEGIN */
    RAW_SPAWN,         /* the new thread's pthread_t; 0 when it could not start */
    RAW_JOIN,          /* the joined thread's pthread_t */
    RAW_EPOCH,         /* `payload` is time >> 32 of the records that follow */
    RAW_WIDE_SIZE,     /* `payload` is the size of the next record that says RAW_WIDE */
    RAW_ALIGNED = 64,  /* plus log2 of the alignment: address, size */
};

/* head: address << 8 | raw_op. payload: size << 32 | low half of the time, unless said otherwise. */
struct raw_record {
    _Atomic uint64_t payload;
    _Atomic uint64_t head; /* written last: non-zero means that the payload is there */
};

struct raw_segment {
    uint32_t magic;
    uint32_t bytes;    /* this header included */
    uint32_t thread;   /* in the order in which threads first called */
    uint32_t sequence; /* of this thread's segments, from 0 */
    uint64_t self;     /* pthread_self() */
    uint32_t is_main;
    uint32_t padding;
    uint64_t null_frees;   /* free(NULL) while this segment was in use */
    uint64_t failed_calls; /* allocations that returned NULL */
    uint64_t reserved[2];
};

enum raw_flag {
    RAW_FORKED = 1,      /* a child of fork() called the allocator: not recorded */
    RAW_REPLACED = 2,    /* the program replaced itself with exec(): the new one is not recorded */
    RAW_NO_SPACE = 4,    /* the disk was full: recording stopped early */
    RAW_TOO_LONG = 8,    /* the mapping was full: recording stopped early */
    RAW_OLD_KERNEL = 16, /* no MADV_POPULATE_WRITE: nothing could be recorded */
};

struct raw_header {
    char magic[8];
    uint32_t version;
    uint32_t is_tsc;          /* 1: times are TSC cycles; 0: nanoseconds of CLOCK_MONOTONIC */
    uint64_t file_bytes;      /* the sparse file's size: recording ends there */
    _Atomic uint64_t next;    /* where the next segment begins */
    _Atomic uint32_t threads; /* threads that have a segment */
    _Atomic uint32_t claimed; /* pid of the one process that is recorded; 0: none yet */
    _Atomic uint32_t flags;   /* enum raw_flag */
    uint32_t padding;
    _Atomic uint64_t cut; /* from here on there was no space for segments; 0: there always was */
};

static inline uint64_t raw_now(bool is_tsc)
{
#if defined(__x86_64__)
    if (is_tsc)
        return __builtin_ia32_rdtsc();
#endif
    (void)is_tsc;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
