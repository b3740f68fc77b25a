/*
 * Runs one trial in a fresh process and says how it ended, whatever happened to it: preload,
 * environment, deadline, memory limit, captured output. The parent side of trial/spec.h.
 */
#ifndef HEAPMARK_RUNNER_SPAWN_H
#define HEAPMARK_RUNNER_SPAWN_H

#include "job/contender.h"
#include "trial/spec.h"

struct trial_request {
    const struct contender *contender;
    uint32_t pad_bytes; /* random padding of the environment */
    int input_fd;       /* decoded trace, or -1 */
    uint64_t timeout_ns, memory_limit_bytes;
};

struct trial_outcome {
    enum trial_status status;
    char detail[512];                  /* empty when the status is ok */
    const struct trial_result *result; /* valid until the next trial; meaningful by its stage */
};

/*
 * The memory that parent and child share, and the program to start; one for all trials of a run.
 * 0 or -errno after an error was said.
 */
struct spawner;
int spawner_open(struct spawner **spawner);
void spawner_close(struct spawner *spawner);

/* The spec of the next trial, zeroed but for magic, version, size and clock. */
struct trial_spec *spawner_spec(struct spawner *spawner, struct clock_scale clock);

/*
 * Runs the trial of spawner_spec(). Always fills the outcome; 0, -EINTR when the user interrupted
 * (the child is gone, the outcome is void), or -errno when no process could be started (said).
 */
int spawner_run(struct spawner *spawner, const struct trial_request *request,
                struct trial_outcome *outcome);

/* Set by the signal handlers for SIGINT and SIGTERM, installed by spawner_open(). */
extern volatile int spawner_interrupted;

/* The CSV name of a status. */
const char *trial_status_name(enum trial_status status);

#endif
