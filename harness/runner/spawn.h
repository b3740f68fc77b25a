/*
 * Runs trials in fresh processes and says how each ended, whatever happened to it: preload,
 * environment, deadline, memory limit, captured output. The parent side of trial/spec.h. One thread.
 */
#ifndef HEAPMARK_RUNNER_SPAWN_H
#define HEAPMARK_RUNNER_SPAWN_H

#include "job/contender.h"
#include "trial/spec.h"

/* To run a trial under callgrind. */
struct callgrind_run {
    const char *program; /* valgrind's path */
    const char *tool;    /* callgrind's own, NULL: through valgrind's launcher */
    const char *out;     /* the file that it writes, again for every trial */
};

struct trial_request {
    const struct contender *contender;
    uint32_t pad_bytes; /* random padding of the environment */
    int input_fd;       /* decoded trace, or -1 */
    uint64_t timeout_ns, memory_limit_bytes;
    const struct callgrind_run *callgrind; /* NULL: as it is */
    bool has_exact_peak; /* the peak is read before each call that may give memory back: no times */
};

struct trial_outcome {
    enum trial_status status;
    char detail[512];            /* empty when the status is ok */
    struct trial_shared *shared; /* valid until the seat's next trial; meaningful by its stage */
};

/*
 * The memory that parent and children share, and the program to start; one for all trials of a
 * run. Each seat is for one process at a time. 0 or -errno after an error was said.
 */
struct spawner;
int spawner_open(struct spawner **spawner);
void spawner_close(struct spawner *spawner);

/* Makes sure that there are that many seats (1 at first). 0 or -errno, said. */
int spawner_reserve(struct spawner *spawner, uint32_t seats);

/* The spec of a seat's next trial, zeroed but for magic, version and clock. seat < seats. */
struct trial_spec *spawner_spec(struct spawner *spawner, uint32_t seat, struct clock_scale clock);

/*
 * Runs the trial of a seat. Always fills the outcome; 0, -EINTR when the user interrupted (the
 * child is gone, the outcome is void), or -errno when no process could be started (said).
 */
int spawner_run(struct spawner *spawner, uint32_t seat, const struct trial_request *request,
                struct trial_outcome *outcome);

/* Where a turn stood: its place in its round, and when it was released. */
struct turn_place {
    uint32_t position;
    uint64_t start_ns; /* since the first release */
};

/* Trials that take turns; all arrays have `count` members, one for each seat from 0. */
struct turn_group {
    const struct trial_request *requests;
    uint32_t count;
    uint32_t turns;                 /* of each; every spec says the same */
    uint64_t seed;                  /* of the order in each round */
    struct trial_outcome *outcomes; /* out */
    struct turn_place *places;      /* out: that of seat s in round r is at s * turns + r */
};

/*
 * Runs the group: all its processes live at the same time, and one at a time is released. Each sets
 * up and warms up alone; then come `turns` rounds, in each of which everybody has one turn in an
 * order of its own; then each ends alone. One that ends before its time leaves the others to go on.
 * A deadline counts only the time in which its process was released. Returns as spawner_run().
 */
int spawner_run_turns(struct spawner *spawner, const struct turn_group *group);

/* Set by the signal handlers for SIGINT and SIGTERM, installed by spawner_open(). */
extern volatile int spawner_interrupted;

/* The CSV name of a status. */
const char *trial_status_name(enum trial_status status);

#endif
