/*
 * The recorder's log: one stream of records per thread, written straight into the mapped file.
 *
 * Nothing is shared between threads on the path: each fills its own segment. The path makes no
 * system call but one for each new segment, and calls nothing that could allocate.
 *
 * A child of fork() must not write into its parent's segments. `log_guard` lies in a page that the
 * kernel zeroes in every such child (MADV_WIPEONFORK), whichever way it was forked; the child then
 * begins a recording of its own in the same mapping, so that it needs neither a descriptor nor a
 * path. A child of vfork() shares its parent's memory, and its calls are rightly the parent's.
 */
#ifndef HEAPMARK_TRACE_RECORDER_LOG_H
#define HEAPMARK_TRACE_RECORDER_LOG_H

#include "workloads/trace/raw.h"

#include <limits.h>

#define HIDDEN      __attribute__((visibility("hidden")))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct log_thread {
    /* All that most calls look at lies in one cache line. */
    _Alignas(64) struct raw_record *cursor; /* the next record, when log_fits() */
    struct raw_record *last;                /* of the segment */
    uint64_t epoch;                         /* high half of the time that the segment knows */
    uint64_t lap;                           /* of the segment, where a record's head has it */
    uint64_t control; /* log_control() when log_claim() may be used; 0: never */
    uint64_t now;     /* the last time that was read, */
    uint32_t left;    /* which so many more calls may carry, */
    uint32_t coarse;  /* while the header's `coarse` is this */

    uint64_t since; /* a time that was read, */
    uint32_t calls; /* and the calls after it, up to the last one that may carry `now` */

    struct raw_segment *segment;
    uint64_t created; /* when it was about to be started; 0: not known */
    uint64_t started; /* when it ran; 0: not known */
    uint32_t thread, sequence;
    uint32_t parent; /* thread that started this one, plus 1; 0: not known */
    uint32_t cpu;    /* the last one that was written down, plus 1 */
    uint32_t busy;   /* inside log_reserve_slow(): a signal handler's calls go unrecorded there */
};

struct log_guard {
    _Alignas(RAW_PAGE_BYTES) _Atomic uint64_t recording; /* LOG_RECORDING, or 0 */
    _Atomic uint64_t saving_modules;                     /* a thread is inside log_save_modules() */
    char rest[RAW_PAGE_BYTES - 2 * sizeof(uint64_t)];
};

/* A cursor that fits no segment, nor does what log_advance() makes of it. */
#define LOG_NOWHERE ((struct raw_record *)sizeof(struct raw_record))

/* No level has this bit. */
#define LOG_RECORDING (UINT64_C(1) << 31)

extern HIDDEN __thread struct log_thread log_thread __attribute__((tls_model("initial-exec")));
extern HIDDEN struct log_guard log_guard;
extern HIDDEN struct raw_header *log_header; /* an empty one before there is a recording */
extern HIDDEN char log_raw_path[PATH_MAX];   /* kept: the environment is the program's to change */
extern HIDDEN bool log_is_tsc;
extern HIDDEN bool log_is_plain; /* every object, without CPUs and stacks */
extern HIDDEN bool log_is_alone; /* the process has never had another thread */

/* Filters that the program has put on itself: from then on no system call is made but its own. */
extern HIDDEN _Atomic uint32_t log_confined;

/*
 * The program is about to put a filter on itself: what needs system calls is done now. It counts also where
 * nothing is recorded (any more), as exec() goes by it. False: it is a child of vfork(), and this is not for
 * its parent. To be taken back if it fails.
 */
HIDDEN bool log_confine(void);

/* The program is about to shut itself off from the clock: its recording ends here. */
HIDDEN void log_shut(void);

/* Of the raw file in this process. */
HIDDEN uint64_t log_mapped_bytes(void);

/* Begins to record if this is the process's first call. False: not recorded, or no more. */
HIDDEN bool log_start(void);

/*
 * A record in a new segment or epoch, after `taken`, the one that was reserved and would not do.
 * NULL: no space.
 */
HIDDEN struct raw_record *log_reserve_slow(uint64_t now, struct raw_record *taken);

/* What is to be recorded now. To be asked before a time is read. */
static inline enum raw_level log_level(void)
{
    if (UNLIKELY(!atomic_load_explicit(&log_guard.recording, memory_order_relaxed)) && !log_start())
        return RAW_OFF;
    return (enum raw_level)atomic_load_explicit(&log_header->level, memory_order_relaxed);
}

enum {
    LOG_CALLS_A_TIME = 16,    /* that may carry one reading of the clock, */
    LOG_DENSE_TICKS = 1 << 13 /* if as many before took no longer: 3 us or so */
};

/* The clock was read: how many calls after this one may carry the time. */
static inline void log_share(struct log_thread *t, uint64_t now)
{
    t->now = now;
    if (!log_is_alone || ++t->calls < LOG_CALLS_A_TIME)
        return;
    t->left = t->calls = now - t->since < LOG_DENSE_TICKS ? LOG_CALLS_A_TIME - 1 : 0;
    t->since = now;
}

/*
 * To read the clock costs more than all the rest. Between threads it gives the order, and must be
 * read with every call; a process's only thread has its order anyway, so calls that follow closely
 * on one another share a reading. When `coarse`, which counts milliseconds, has gone on, the program
 * did something else meanwhile, and the next call reads the clock.
 */
static inline uint64_t log_now(void)
{
    struct log_thread *t = &log_thread;
    uint32_t coarse = atomic_load_explicit(&log_header->coarse, memory_order_relaxed);
    if (t->left > 0 && t->coarse == coarse) {
        t->left--;
        return t->now;
    }
    uint64_t now = raw_now(log_is_tsc);
    t->calls -= t->left; /* which did not come while they might */
    t->left = 0;
    t->coarse = coarse;
    log_share(t, now);
    return now;
}

/* There is, or is about to be, another thread. */
static inline void log_not_alone(void)
{
    log_is_alone = false;
    log_thread.left = 0;
}

/* One instruction, so that a signal handler that comes at any moment gets another record. */
static inline struct raw_record *log_advance(struct log_thread *t)
{
#if defined(__x86_64__)
    uint64_t at = sizeof(struct raw_record);
    __asm__ volatile("xaddq %0, %1" : "+r"(at), "+m"(t->cursor)::"cc");
    return (struct raw_record *)at;
#else
    return __atomic_fetch_add(&t->cursor, sizeof(struct raw_record), __ATOMIC_RELAXED);
#endif
}

/*
 * Whether a record that was reserved lies in the thread's segment. Since then a signal handler may
 * have taken another segment, before or behind the one that the record is from: so both bounds
 * count. They come from one load, lest one be the old segment's. The lower one is a large
 * segment's; what lies below a small one is no record of this thread, whose first one it is.
 */
static inline bool log_fits(const struct log_thread *t, const struct raw_record *record)
{
    const uint64_t room = RAW_SEGMENT_BYTES_LARGE - sizeof(struct raw_segment);
    struct raw_record *const volatile *last = &t->last;
    return (uintptr_t)*last - (uintptr_t)record < room;
}

static inline struct raw_record *log_reserve(uint64_t now)
{
    struct log_thread *t = &log_thread;
    struct raw_record *record = log_advance(t);
    if (UNLIKELY(!log_fits(t, record) || now >> 32 != t->epoch))
        return log_reserve_slow(now, record);
    return record;
}

static inline void log_fill(struct raw_record *record, enum raw_op op, uint64_t address,
                            uint64_t payload)
{
    atomic_store_explicit(&record->payload, payload, memory_order_relaxed);
    atomic_store_explicit(&record->head, address << 16 | log_thread.lap | op, memory_order_release);
}

static inline uint64_t log_payload(uint64_t size, uint64_t now)
{
    return size << 32 | (uint32_t)now;
}

/* Writes a call down, with the present time; log_level() has allowed it. */
HIDDEN void log_write(enum raw_op op, uint64_t address, uint64_t size);

/*
 * Whether this process is recorded, the level, and the count of milliseconds, in one word. As long
 * as it stays the same, so does what a thread has found out the last time.
 */
static inline uint64_t log_control(void)
{
    return atomic_load_explicit(&log_header->control, memory_order_relaxed) ^
           atomic_load_explicit(&log_guard.recording, memory_order_relaxed);
}

/* Writes down that a thread has been joined; the call began at a time of raw_now(). */
HIDDEN void log_write_join(uint64_t self, uint64_t began);

/*
 * The short way for nearly all calls: true when the call has been written down. False: it takes the
 * long way, log_level() and log_write(). Nothing is called here, so that the exported functions
 * that it is inlined into keep little on the stack.
 */
static inline __attribute__((always_inline)) bool log_claim(enum raw_op op, uint64_t address,
                                                            uint64_t size)
{
    struct log_thread *t = &log_thread;
    if (UNLIKELY(log_control() != t->control || size >= RAW_WIDE))
        return false;
    uint64_t now = t->now;
    if (t->left > 0) {
        t->left--;
    } else {
        now = raw_now(true);
        log_share(t, now);
    }
    struct raw_record *record = log_advance(t);
    if (UNLIKELY(!log_fits(t, record)))
        return false;
    if (UNLIKELY(now >> 32 != t->epoch)) {
        log_fill(record, RAW_NOTHING, 0, 0); /* readers wait for each record in its turn */
        return false;
    }
    log_fill(record, op, address, log_payload(size, now));
    return true;
}

/*
 * Before an allocation is written down when log_is_plain does not hold: its CPU and stack, as they
 * are wanted. `frame` is the frame of the call that the program made. False: not in the sample.
 */
HIDDEN bool log_describe(uint64_t address, const void *frame);

/* The CPU and stack alone, as they are wanted, of a call on an object of the sample. */
HIDDEN void log_describe_call(const void *frame);

/* The CPU alone, as it is wanted, of a free. */
HIDDEN void log_describe_free(void);

/* Gets the memory that describing calls needs, as far as it does. */
HIDDEN void log_describe_begin(void);

/* Whether the object at the address is in the sample; it is taken out of it. */
HIDDEN bool log_leave_sample(uint64_t address);

/* Puts an object into the sample that is in it already under another address. False: there is no room. */
HIDDEN bool log_stay_in_sample(uint64_t address);

/* Counted, but no events. */
HIDDEN void log_count_failed(void);
HIDDEN void log_count_null_free(void);

/* This thread's number plus 1, which it is given if it has none; 0: nothing is recorded. */
HIDDEN uint32_t log_thread_number(void);

/*
 * At the process's start, before the first exec(): finds out what the programs that come next are to
 * be given, from the environment that this one was started with. Not in a child of vfork().
 */
HIDDEN void log_exec_begin(void);

/* Finds out what this program was started as, and puts that into a segment of no thread. */
HIDDEN void log_read_command(void);
HIDDEN void log_put_command(struct raw_segment *segment);

/* Copies the list of the process's modules to a file; again from time to time: it may load more. */
HIDDEN void log_save_modules(uint32_t process);

#endif
