/* From the outcome of a trial to its rows in the run directory. */
#ifndef HEAPMARK_RUNNER_ROWS_H
#define HEAPMARK_RUNNER_ROWS_H

#include "runner/callgrind.h"
#include "runner/session.h"

struct finished {
    uint32_t number; /* of the trial */
    unsigned cpus_used;
    struct trial_outcome *outcome;
    const struct turn_place *places;         /* one for each turn; NULL: it took none */
    const struct callgrind_profile *profile; /* NULL: it was timed */
};

/* Writes everything of a trial, its own row last. 0 or -errno, said. */
int rows_add(struct session *session, const struct finished *finished);

#endif
