/*
 * The recorder's log: one stream of records per thread, written straight into the mapped file.
 *
 * Nothing is shared between threads on the path: each fills its own segment. The path makes no
 * system call but one for each new segment, and calls nothing that could allocate.
 *
 * A child of fork() must not write into its parent's segments. `log_guard` lies in a page that the
 * kernel zeroes in every such child (MADV_WIPEONFORK), whichever way it was forked; a child of
 * vfork() shares its parent's memory, and there recording goes on, rightly.
 */
#ifndef HEAPMARK_TRACE_RECORDER_LOG_H
#define HEAPMARK_TRACE_RECORDER_LOG_H

#include "workloads/trace/raw.h"

#include <stddef.h>

#define HIDDEN      __attribute__((visibility("hidden")))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct log_thread {
    struct raw_record *cursor, *end; /* in the current segment; equal: none, or full */
    uint64_t epoch;                  /* high half of the time that the segment knows */
    struct raw_segment *segment;
    uint32_t thread, sequence;
    uint32_t busy; /* inside log_reserve_slow(): a signal handler's calls go unrecorded there */
};

struct log_guard {
    _Alignas(RAW_PAGE_BYTES) _Atomic uint32_t recording;
    char rest[RAW_PAGE_BYTES - sizeof(uint32_t)];
};

extern HIDDEN __thread struct log_thread log_thread __attribute__((tls_model("initial-exec")));
extern HIDDEN struct log_guard log_guard;
extern HIDDEN bool log_is_tsc;

/* Begins to record if this is the first call. False: this process is not recorded, or no more. */
HIDDEN bool log_start(void);

/* A record in a new segment or epoch. NULL: no space. */
HIDDEN struct raw_record *log_reserve_slow(uint64_t now);

/* To be asked before a time is read. */
static inline bool log_is_on(void)
{
    return LIKELY(atomic_load_explicit(&log_guard.recording, memory_order_relaxed)) || log_start();
}

static inline uint64_t log_now(void)
{
    return raw_now(log_is_tsc);
}

static inline struct raw_record *log_reserve(uint64_t now)
{
    struct log_thread *t = &log_thread;
    if (UNLIKELY(t->cursor == t->end || now >> 32 != t->epoch))
        return log_reserve_slow(now);
    return t->cursor++;
}

static inline void log_fill(struct raw_record *record, enum raw_op op, uint64_t address,
                            uint64_t payload)
{
    atomic_store_explicit(&record->payload, payload, memory_order_relaxed);
    atomic_store_explicit(&record->head, address << 8 | op, memory_order_release);
}

static inline uint64_t log_payload(uint64_t size, uint64_t now)
{
    return size << 32 | (uint32_t)now;
}

/* A call with a size that does not fit a record. */
HIDDEN void log_write_wide(enum raw_op op, uint64_t address, uint64_t size);

/* Writes a call down, with the present time. */
static inline void log_write(enum raw_op op, uint64_t address, uint64_t size)
{
    if (!log_is_on())
        return;
    if (UNLIKELY(size >= RAW_WIDE)) {
        log_write_wide(op, address, size);
        return;
    }
    uint64_t now = log_now();
    struct raw_record *record = log_reserve(now);
    if (LIKELY(record != NULL))
        log_fill(record, op, address, log_payload(size, now));
}

/* Counted, but no events. */
HIDDEN void log_count_failed(void);
HIDDEN void log_count_null_free(void);

#endif
