/*
 * The raw recording: what the recorder, inside the programs, leaves for `heapmark record`, which
 * drains it while they run (drain.h).
 *
 * One sparse file, mapped MAP_SHARED into every recorded process, so that what was written stays
 * whatever way a process ends. It never travels: same machine, same build, deleted at the end.
 *
 *   0      struct raw_header (one page)
 *   4096   RAW_PROCESSES_MAX of struct raw_process
 *          segments, small and large, carved off the end with one atomic add:
 *            struct raw_segment, then records of 16 bytes, written by one thread alone
 *
 * A segment that was carved off and has got its pages is announced to the drain, on a list, before its
 * thread writes there. So who looks into the list after the time of a record knows the segments of all
 * that it follows from, however long another thread is at carving off one of its own.
 *
 * A segment goes round: a thread takes it (from a list of free ones, or else from the end of the
 * file), fills it and marks it as full; the drain reads it and, once its records stand in the
 * trace, puts it on the list again. So the memory that is written stays the same and stays in the
 * caches. When the drain falls behind, waits or has died, threads carve off new segments: they never
 * wait.
 *
 * A record is there when it carries the segment's lap, which grows with each round. One that does
 * not was never finished, or never begun, or is left from a lap before. A page of zeros where a
 * segment should begin was carved off but not used.
 *
 * Times. An allocation carries the time after it returned, a free the time before it began, a
 * realloc both (BEGIN and END), so that sorting by time never shows an address in use twice. A
 * record holds the low 32 bits of its time; an EPOCH record brings the high ones when they change.
 * In a process of one thread, calls that follow closely on one another may carry one time.
 * Records are stored before the caller can pass on what they tell of (a new block, a freed address),
 * so that of two records, one of which follows from the other, a reader never sees the later alone.
 */
#ifndef HEAPMARK_TRACE_RAW_H
#define HEAPMARK_TRACE_RAW_H

#include "workloads/trace/identity.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define RAW_MAGIC       "hm-raw\n"        /* which layout it is, RAW_VERSION tells */
#define RAW_MAPS_SUFFIX ".maps"           /* RAW.PROCESS.maps: its /proc/self/maps, with stacks */
#define RAW_MAPS_NEW    ".new"            /* behind it while it is written */
#define RAW_ENV         "HEAPMARK_RECORD" /* the raw file's absolute path, in the programs' environment */

enum {
    RAW_VERSION = 10,
    RAW_PAGE_BYTES = 4096,
    RAW_SEGMENT_BYTES_SMALL = RAW_PAGE_BYTES,      /* a thread's first: many never need more */
    RAW_SEGMENT_BYTES_LARGE = 16 * RAW_PAGE_BYTES, /* small enough to stay in the caches */
    RAW_PROCESSES_MAX = 8192,
    RAW_THREADS_MAX = 65535, /* of a process, as in a trace */
    RAW_STACK_MAX = 62,
    RAW_LOST_MAX = 6, /* are named; all are counted */
    RAW_LOST_PATH_BYTES = 248,
    RAW_COMMAND_BYTES = 2048,
};

#define RAW_WIDE   UINT32_MAX /* a size that does not fit: the WIDE record before has it */
#define RAW_NOBODY UINT32_MAX /* no thread */

enum raw_op {
    RAW_NONE,
    RAW_MALLOC,        /* address, size */
    RAW_CALLOC,        /* address, size: count times size */
    RAW_FREE,          /* address */
    RAW_REALLOC_BEGIN, /* old address */
    RAW_REALLOC_END,   /* new address, 0 when it failed; new size */
    RAW_JOIN,          /* the joined thread's pthread_t; size: when the call began, always WIDE */
    RAW_EPOCH,         /* `payload` is time >> 32 of the records that follow */
    RAW_WIDE_SIZE,     /* `payload` is the size of the next record that says RAW_WIDE */
    RAW_CPU,           /* `payload` is the CPU, and above bit 32 its node, from here on */
    RAW_STACK,         /* two more return addresses of the next allocation: address, `payload` */
    RAW_NOTHING,       /* reserved for what then had to go elsewhere; readers pass over it */
    RAW_ALIGNED = 64,  /* plus log2 of the alignment: address, size */
};

/*
 * head: address << 16 | low byte of the lap << 8 | raw_op. payload: size << 32 | low half of the
 * time, unless said otherwise.
 */
struct raw_record {
    _Atomic uint64_t payload;
    _Atomic uint64_t head; /* written last */
};

enum raw_segment_state {
    RAW_SEGMENT_NONE = 0,
    RAW_SEGMENT_FREE = 0x65657266,
    RAW_SEGMENT_USED = 0x64657375, /* its thread may write more */
    RAW_SEGMENT_FULL = 0x6c6c7566,
    RAW_SEGMENT_GONE = 0x656e6f67, /* all but its first page went back to a full disk */
};

enum raw_mark_flag {
    RAW_MET = 1,    /* a reader has met the thread in what stands in the trace */
    RAW_JOINED = 2, /* the trace tells that the thread was joined */
};

#define RAW_CONSUMED UINT32_MAX /* all records, and what the segment counts */

/* How far a segment has been brought into the trace. */
struct raw_mark {
    uint32_t commit;   /* with which it begins to hold */
    uint32_t consumed; /* records from the front; RAW_CONSUMED: the segment is needed no more */
    uint32_t flags;    /* enum raw_mark_flag, of its thread */
};

struct raw_segment {
    _Atomic uint32_t state; /* written last when it is taken: the rest holds from then on */
    uint32_t bytes;         /* this header included; never changes */
    uint32_t lap;           /* 1 to 255 and round again */
    uint32_t process;       /* index of struct raw_process */
    uint32_t thread;        /* as the process's threads first called; RAW_NOBODY: see raw_command */
    uint32_t sequence;      /* of this thread's segments, from 0 */
    uint32_t parent;        /* the thread that started this one; RAW_NOBODY: not known */
    uint32_t seen;          /* the drain's: it knows of this lap, */
    uint64_t self;          /* pthread_self() */
    uint64_t null_frees;    /* free(NULL) while this segment was in use */
    uint64_t failed_calls;  /* allocations that returned NULL */
    uint64_t created;       /* just before the thread was started; 0: not known */
    uint64_t started;       /* when it ran, and so had its pthread_t; 0: not known */
    uint32_t next;          /* on the list of free ones, or of new ones: page number of the next */
    uint32_t listed;        /* and of the segment */
    struct raw_mark marks[2]; /* the drain's: see commit.h */
    uint32_t padding[6];
};

/* In place of records: what a process that is not the first one was started as. */
struct raw_command {
    uint32_t bytes;                /* 0: not known */
    char words[RAW_COMMAND_BYTES]; /* as in struct raw_header */
};

enum raw_flag {
    RAW_FORKED = 1,      /* a child of fork() called the allocator, and is not recorded */
    RAW_REPLACED = 2,    /* the program replaced itself with exec() */
    RAW_NO_SPACE = 4,    /* no space, or the trace could not be written: recording stopped early */
    RAW_TOO_LONG = 8,    /* the mapping was full: recording stopped early */
    RAW_FORBIDDEN = 16,  /* it may not make a system call that recording needs: stopped early */
    RAW_SIZE_LIMIT = 32, /* the trace reached its size limit */
    RAW_LEFT = 64,       /* recording ended before the process did */
    RAW_SHUT = 128,      /* the program shut itself off from the clock: recording stopped early */
    RAW_MANY_THREADS = 256, /* more than RAW_THREADS_MAX called: the later ones are not recorded */
};

/* What stands in a trace. */
struct raw_tally {
    uint64_t bytes;                    /* of the file that count */
    uint64_t entries, events;          /* events as a reader counts them: see drain_finish() */
    uint64_t end_tick;                 /* time up to which they reach */
    uint64_t null_frees, failed_calls; /* of segments that are needed no more */
};

/* One image that a process runs: exec() begins another one. */
struct raw_process {
    _Atomic uint32_t pid; /* 0: not begun */
    uint32_t parent_pid;
    _Atomic uint32_t flags;                    /* enum raw_flag */
    _Atomic uint32_t threads;                  /* that have a segment */
    _Atomic uint64_t null_frees, failed_calls; /* of threads that had no segment */
    uint64_t birth, clock, space;              /* see identity.h */
    _Atomic uint32_t identified;               /* they are there; written behind them */

    /* The drain's, kept here so that another one can go on if it dies. */
    uint64_t base_ticks;         /* time 0 of the trace */
    uint32_t began;              /* base_ticks is set */
    uint32_t finished;           /* the trace is whole */
    _Atomic uint32_t commits;    /* see commit.h */
    struct raw_tally tallies[2]; /* the one that holds and the next one, in turn */
};

/* Why a program cannot be recorded. */
enum raw_lost_why {
    RAW_LOST_KIND,  /* static, setuid, of another architecture */
    RAW_LOST_REACH, /* the recorder's library or the raw file is out of its reach */
    RAW_LOST_ROOM,  /* the kernel takes its environment, but not with the recorder's variables */
};

/* A process that became a program which cannot be recorded. */
struct raw_lost {
    _Atomic uint32_t pid; /* 0: vacant */
    uint32_t why;         /* enum raw_lost_why */
    char path[RAW_LOST_PATH_BYTES];
};

enum raw_level {
    RAW_OFF,   /* nothing is recorded */
    RAW_FREES, /* only what ends: objects that were recorded do not live on by mistake */
    RAW_ALL,
};

enum raw_option {
    RAW_CPUS = 1, /* CPU and node are recorded */
    RAW_FOLLOW = 2,
    RAW_CONFINED = 4, /* `heapmark record` itself runs under seccomp, so a container's, say */
};

struct raw_header {
    char magic[8];
    uint32_t version;
    uint32_t is_tsc;      /* 1: times are TSC cycles; 0: nanoseconds of CLOCK_MONOTONIC */
    uint64_t file_bytes;  /* the sparse file's size: recording ends there */
    uint32_t options;     /* enum raw_option */
    uint32_t sample;      /* one object in so many is recorded; 1: all */
    uint32_t stack_depth; /* return addresses of each allocation; 0: none */
    uint32_t time_shift;  /* a tick of the trace is 2^time_shift ticks of the recording */
    uint64_t start_ticks, start_ns, end_ticks, end_ns; /* two readings of both clocks */
    int64_t started_at;                                /* seconds since 1970 */
    uint64_t size_max;                                 /* of all traces together; 0: none */
    uint32_t ever_partial; /* recording did not begin with the program, or paused */
    uint32_t command_bytes;
    char command[RAW_COMMAND_BYTES]; /* each ended by a 0 byte; if not all fit: "", the program */
    struct identity first;           /* the program's; pid 0 until it runs */
    _Atomic uint32_t refused;        /* processes that found the table full, and are not recorded */
    _Atomic uint32_t lost_count;     /* the first of them are in `lost` */
    _Atomic uint32_t confined; /* programs have put filters on themselves: see recorder_confine.c */
    _Atomic uint32_t left_out; /* children that they forked then, which are not recorded */
    struct raw_lost lost[RAW_LOST_MAX];
    _Alignas(64) union {
        struct {
            _Atomic uint32_t level;  /* enum raw_level */
            _Atomic uint32_t coarse; /* counts about milliseconds */
        };
        _Atomic uint64_t control; /* both: read with every call, as is */
    };
    _Alignas(64) _Atomic uint64_t next; /* where the next segment is carved off */
    _Atomic uint64_t fresh; /* page number of the segment that was announced last; 0: none is new */
    _Atomic uint64_t cut;   /* from here on there was no space for segments; 0: there always was */
    _Atomic uint64_t
        reserved; /* up to here the file has its disk blocks: may be touched as it is */
    _Atomic uint32_t processes; /* that have an entry */
    _Alignas(64) _Atomic uint64_t free_small,
        free_large; /* page number, a count of changes above */
};

#define RAW_FIRST_SEGMENT \
    (RAW_PAGE_BYTES + (uint64_t)RAW_PROCESSES_MAX * sizeof(struct raw_process))

_Static_assert(sizeof(struct raw_segment) == 128, "a round number, so that records stay aligned");
_Static_assert(RAW_FIRST_SEGMENT % RAW_PAGE_BYTES == 0, "segments begin with a page");
_Static_assert(sizeof(struct raw_header) <= RAW_PAGE_BYTES, "");
_Static_assert(sizeof(struct raw_segment) + sizeof(struct raw_command) <= RAW_SEGMENT_BYTES_SMALL,
               "the smallest segment holds a command line");

/*
 * Tells the kernel about a mapping of the file's first `bytes`, RAW_FIRST_SEGMENT at least. Of what lies in
 * front of the segments few pages are ever used: without the second advice the kernel would make as many as it
 * reads ahead around each that is touched, at a recording's start, and take them away at its end (1.7 and 0.8 ms
 * in place of 0.1, where a disk reads 8 MiB ahead). Segments are used to the last page: those it should make together.
 */
static inline void raw_advise(struct raw_header *header, size_t bytes)
{
    madvise(header, bytes, MADV_DONTDUMP);
    madvise(header, RAW_FIRST_SEGMENT, MADV_RANDOM);
}

static inline struct raw_process *raw_process(struct raw_header *header, uint32_t index)
{
    return (struct raw_process *)((char *)header + RAW_PAGE_BYTES) + index;
}

static inline struct identity raw_process_identity(const struct raw_process *process)
{
    return (struct identity){process->pid, process->birth, process->clock, process->space};
}

static inline struct identity raw_identity(struct raw_header *header, uint32_t index)
{
    return raw_process_identity(raw_process(header, index));
}

/*
 * An entry for a process, or NULL when there is none left, which is counted. The pid takes it, in one
 * step, so that a process that is killed here leaves none behind that tells nothing.
 */
static inline struct raw_process *raw_enter(struct raw_header *header, uint32_t pid)
{
    for (uint32_t index = header->processes; index < RAW_PROCESSES_MAX; index++) {
        struct raw_process *process = raw_process(header, index);
        uint32_t vacant = 0, count = header->processes;
        if (!atomic_compare_exchange_strong(&process->pid, &vacant, pid))
            continue;
        while (count <= index &&
               !atomic_compare_exchange_weak(&header->processes, &count, index + 1))
            continue;
        return process;
    }
    atomic_fetch_add(&header->refused, 1);
    return NULL;
}

/* Counts a lost process and leaves its program's name, the end of one that is too long. */
static inline struct raw_lost *raw_lost_enter(struct raw_header *header, uint32_t pid,
                                              const char *path, enum raw_lost_why why)
{
    size_t length = strlen(path);
    if (length >= RAW_LOST_PATH_BYTES)
        path += length - (RAW_LOST_PATH_BYTES - 1);
    atomic_fetch_add(&header->lost_count, 1);
    for (struct raw_lost *lost = header->lost; lost < header->lost + RAW_LOST_MAX; lost++) {
        uint32_t vacant = 0;
        if (!atomic_compare_exchange_strong(&lost->pid, &vacant, pid))
            continue;
        lost->why = why;
        strcpy(lost->path, path);
        return lost;
    }
    return NULL;
}

/* The process stayed what it was. `lost` is what raw_lost_enter() gave. */
static inline void raw_lost_withdraw(struct raw_header *header, struct raw_lost *lost)
{
    atomic_fetch_sub(&header->lost_count, 1);
    if (lost != NULL)
        atomic_store(&lost->pid, 0);
}

static inline struct raw_record *raw_records(struct raw_segment *segment)
{
    return (struct raw_record *)(segment + 1);
}

static inline struct raw_command *raw_command(struct raw_segment *segment)
{
    return (struct raw_command *)(segment + 1);
}

static inline uint32_t raw_record_count(const struct raw_segment *segment)
{
    return (uint32_t)((segment->bytes - sizeof *segment) / sizeof(struct raw_record));
}

static inline _Atomic uint64_t *raw_free_list(struct raw_header *header, uint32_t bytes)
{
    return bytes == RAW_SEGMENT_BYTES_SMALL ? &header->free_small : &header->free_large;
}

static inline uint32_t raw_page_of(const struct raw_header *header,
                                   const struct raw_segment *segment)
{
    return (uint32_t)((size_t)((const char *)segment - (const char *)header) / RAW_PAGE_BYTES);
}

/*
 * Tells the drain of a segment that was carved off and has its pages. The list is a stack: any thread
 * pushes one, the drain takes all.
 */
static inline void raw_announce(struct raw_header *header, struct raw_segment *segment)
{
    uint64_t top = atomic_load_explicit(&header->fresh, memory_order_relaxed);
    do
        segment->next = (uint32_t)top;
    while (!atomic_compare_exchange_weak_explicit(&header->fresh, &top,
                                                  raw_page_of(header, segment),
                                                  memory_order_release, memory_order_relaxed));
}

/*
 * The free lists are stacks (Treiber's): any thread of any process pops, the drain alone pushes.
 * The count of changes in the upper half makes a pop fail whose first segment came back meanwhile.
 */
static inline void raw_give(struct raw_header *header, struct raw_segment *segment)
{
    _Atomic uint64_t *list = raw_free_list(header, segment->bytes);
    uint64_t page = raw_page_of(header, segment);
    uint64_t top = atomic_load_explicit(list, memory_order_relaxed);
    atomic_store_explicit(&segment->state, RAW_SEGMENT_FREE, memory_order_relaxed);
    do
        segment->next = (uint32_t)top;
    while (!atomic_compare_exchange_weak_explicit(list, &top, ((top >> 32) + 1) << 32 | page,
                                                  memory_order_release, memory_order_relaxed));
}

/* A free segment, or NULL. `mapped_bytes` of the file can be seen by the caller. */
static inline struct raw_segment *raw_take(struct raw_header *header, uint32_t bytes,
                                           uint64_t mapped_bytes)
{
    _Atomic uint64_t *list = raw_free_list(header, bytes);
    uint64_t top = atomic_load_explicit(list, memory_order_acquire);
    struct raw_segment *segment;
    do {
        uint64_t offset = (uint64_t)(uint32_t)top * RAW_PAGE_BYTES;
        if (offset == 0 || offset + bytes > mapped_bytes)
            return NULL;
        segment = (struct raw_segment *)((char *)header + offset);
    } while (!atomic_compare_exchange_weak_explicit(list, &top,
                                                    ((top >> 32) + 1) << 32 | segment->next,
                                                    memory_order_acquire, memory_order_acquire));
    return segment;
}

static inline uint64_t raw_now(bool is_tsc)
{
#if defined(__x86_64__)
    if (is_tsc)
        return __builtin_ia32_rdtsc();
#endif
    (void)is_tsc;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec -
           (uint64_t)identity_clock_ahead;
}

#endif
