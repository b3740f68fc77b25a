/*
 * The contract between heapmark and the measured process: one shared memory object, spec in,
 * result out, both versioned; no text is parsed. The parent fills the spec before it spawns the
 * child; the child alone writes the result; the parent reads it after the child has ended, in
 * whatever way it ended.
 */
#ifndef HEAPMARK_TRIAL_SPEC_H
#define HEAPMARK_TRIAL_SPEC_H

#include "include/workload.h"
#include "trial/clock.h"
#include "trial/histogram.h"

#include <stdatomic.h>

enum {
    TRIAL_MAGIC = 0x686d7431,
    TRIAL_VERSION = 5,
    TRIAL_THREADS_MAX = 1024,
    TRIAL_PARAMS_MAX = 16,
    TRIAL_NODES_MAX = 64,
    TRIAL_FLAGS_MAX = 128,
    TRIAL_SHARED_FD = 3,   /* where the child finds the shared memory object */
    TRIAL_INPUT_FD = 4,    /* and a decoded trace, if the workload takes one */
    TRIAL_SIGNAL_FD = 5,   /* an eventfd that the child adds 1 to when it has finished a turn */
    TRIAL_LISTENER_FD = 6, /* a socket that takes the listener of an exact peak */
    TRIAL_TURNS_MAX = 10000,
    TRIAL_POINTS_MAX = 512, /* of a timeline */
    TRIAL_ANY_CPU = -1,
};

/* How a trial can end. The names are part of the CSV contract. */
#define TRIAL_STATUSES(X)               \
    X(OK, "ok")                         \
    X(CRASHED, "crashed")               \
    X(TIMEOUT, "timeout")               \
    X(OOM, "oom")                       \
    X(CORRUPT, "corrupt")               \
    X(PRELOAD_FAILED, "preload-failed") \
    X(UNSUPPORTED, "unsupported")

enum trial_status {
    TRIAL_RUNNING, /* still running, or ended without a word: the parent decides what it was */
#define X(NAME, text) TRIAL_##NAME,
    TRIAL_STATUSES(X)
#undef X
        TRIAL_STATUS_COUNT
};

/* Where the trial was when it ended. */
enum trial_stage {
    STAGE_START,
    STAGE_SETUP,
    STAGE_WARMUP,
    STAGE_MEASURED,
    STAGE_SAMPLED,
    STAGE_END,
    STAGE_WAITING, /* for its turn, asleep */
    STAGE_TIMELINE,
};

enum trial_mempolicy {
    MEMPOLICY_DEFAULT,
    MEMPOLICY_LOCAL,
    MEMPOLICY_INTERLEAVE,
    MEMPOLICY_BIND,
    MEMPOLICY_PREFERRED
};

struct trial_spec {
    uint32_t magic, version, shared_bytes;
    char workload[32];
    uint64_t params[TRIAL_PARAMS_MAX];
    uint64_t seed;
    /* Iterations of each part; 0 skips it. With turns, work_measured is that of one turn. */
    uint64_t work_warmup, work_measured, work_sampled, work_timeline;
    uint32_t threads;
    uint32_t spins;     /* how long a barrier spins before it sleeps; 0 where threads share CPUs */
    uint32_t mempolicy; /* enum trial_mempolicy */
    uint32_t turns;     /* 0: the measured part is one piece, and nobody is waited for */
    uint32_t is_callgrind;                 /* runs under valgrind: collect over the measured part */
    uint32_t has_exact_peak;               /* stops before each call that may give memory back */
    uint64_t nodes;                        /* bit mask for interleave, bind and preferred */
    uint64_t allocator_dev, allocator_ino; /* the file whose malloc must answer */
    uint64_t input_bytes;                  /* size of the decoded trace, 0 when there is none */
    struct clock_scale clock;
    int32_t cpus[TRIAL_THREADS_MAX]; /* CPU of each thread, or TRIAL_ANY_CPU */
};

struct trial_result {
    uint32_t status; /* enum trial_status */
    uint32_t stage;  /* enum trial_stage */
    char detail[256];
    char flags[TRIAL_FLAGS_MAX]; /* words separated by spaces */
    uint64_t harness_bytes;
    uint64_t ops, wall_ns;
    uint64_t cpu_user_ns, cpu_sys_ns;
    uint64_t live_bytes_peak;
    uint64_t rss_bytes_base, rss_bytes_peak, rss_bytes_end, rss_bytes_purged; /* 0: not available */
    uint64_t faults_minor, faults_major;
    uint64_t switches_voluntary, switches_involuntary;
    uint64_t instructions;  /* by the CPU's counter; 0: it has none for us */
    uint32_t point_count;   /* of the timeline */
    uint32_t figures_known; /* bits of enum figure */
    uint64_t figures[FIGURE_COUNT];
    struct histogram latency[OP_COUNT]; /* in ticks of spec.clock */
};

/*
 * Turns: the parent adds 1 to `released` and wakes the child, which runs a turn and adds 1 to its
 * eventfd. Set-up and warm-up come before the first release, what follows the measured part after
 * one release more than there are turns; so of several trials at most one runs at a time. The word
 * lies alone in its line: a parent that writes it disturbs nothing that is measured.
 */
struct trial_gate {
    alignas(128) _Atomic uint32_t released;
};

struct trial_turn {
    uint64_t wall_ns, cpu_ns, ops;
};

struct trial_point {
    uint64_t t_ns, calls, live_bytes, rss_bytes;
};

/* The turns and the timeline's points follow it, as many as the spec says: a trial without them
 * does not carry their pages. */
struct trial_shared {
    struct trial_spec spec;
    struct trial_result result;
    struct trial_gate gate;
};

static inline struct trial_turn *trial_turns(struct trial_shared *shared)
{
    return (struct trial_turn *)(shared + 1);
}

static inline struct trial_point *trial_points(struct trial_shared *shared)
{
    return (struct trial_point *)(trial_turns(shared) + shared->spec.turns);
}

static inline size_t trial_shared_bytes(const struct trial_spec *spec)
{
    size_t points = spec->work_timeline > 0 ? TRIAL_POINTS_MAX : 0;
    return sizeof(struct trial_shared) + spec->turns * sizeof(struct trial_turn) +
           points * sizeof(struct trial_point);
}

#endif
