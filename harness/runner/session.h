/*
 * A session works through the plan: trial after trial into the run directory, with progress on
 * standard error. One thread.
 */
#ifndef HEAPMARK_RUNNER_SESSION_H
#define HEAPMARK_RUNNER_SESSION_H

#include "plan/plan.h"
#include "results/rundir.h"
#include "runner/spawn.h"
#include "runner/until.h"

struct session {
    const struct plan *plan;
    const struct topo *topo;
    struct spawner *spawner;
    struct rundir *dir;
    struct clock_scale clock;
    bool *done;              /* trials that need not run again; one for each of the plan */
    uint64_t time_budget_ns; /* 0: none */
    struct until *until;     /* NULL: every block runs */
    const struct callgrind_run *callgrind; /* NULL: nothing runs under it */
    /* out: */
    uint32_t ran, failed,
        skipped; /* trials run now, rows not `ok` among them, not begun for time */
};

/* Runs what is not done. 0, -EINTR when interrupted, or -errno after an error was said. */
int session_run(struct session *session);

#endif
