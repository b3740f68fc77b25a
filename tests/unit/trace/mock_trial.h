/*
 * A stand-in for the measured process, in which the replay workload runs under test: the calls of
 * workload.h with threads, but without pinning, clocks or a process of its own. A corrupt block or
 * a failed allocation is noted and ends the calling thread's part by abort().
 */
#ifndef HEAPMARK_TESTS_MOCK_TRIAL_H
#define HEAPMARK_TESTS_MOCK_TRIAL_H

#include "workloads/trace/load.h"

#include "include/workload.h"

struct mock_result {
    uint64_t ops;
    uint64_t live_bytes_peak;
    uint64_t wall_ns;
    uint64_t wait_ns, idle_ns; /* of all players */
    uint32_t figures_known;    /* bits of enum figure */
    uint64_t figures[FIGURE_COUNT];
};

/* Of the replay workload, in its own order; the trace itself is `input`. */
struct mock_params {
    uint64_t mode, speed, touch;
};

/* An allocator call, as the watcher sees it. */
struct mock_call {
    enum op op;
    uint32_t worker;
    size_t size; /* 0 for a free */
};

struct mock_run {
    const struct trace_input *input;
    struct mock_params params;
    uint64_t passes;
    bool timed;
    uint64_t seed; /* above 0: the threads dawdle at random */
    bool shares_cpus;
    uint64_t stall_ns; /* paced and timed: each part's first sampled free takes that long */

    /* Timed runs: room for calls, in the order in which they were made; NULL: not wanted. */
    struct mock_call *calls;
    size_t calls_max, call_count;
    uint64_t samples;      /* of sampled_since(), in both parts, */
    uint64_t late_ns_max;  /* the latest end after it was due, */
    uint64_t late_samples; /* and how many were `late_ns` or more after it */
    uint64_t late_ns;

    /* Timed: this worker's first call lasts until another one waits for something. */
    bool holds;
    uint32_t held_worker;

    unsigned char *freed; /* timed: 16 bytes, the front of the block freed last; NULL: unwanted */
};

/*
 * Runs the passes of a decoded trace twice: as warm-up and as measured part would. The result is
 * the second part's. 0, or what setup said.
 */
int mock_replay(struct mock_run *run, struct mock_result *result);

/* The fidelity figures of players that have passed their marks, one for each of the program's. */
struct program_header;
struct player;
void mock_fidelity(const struct program_header *program, struct player *players,
                   struct mock_result *result);

#endif
