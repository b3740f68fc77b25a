/* Progress for people: one live line on a terminal, a plain line for each block elsewhere. */
#ifndef HEAPMARK_RUNNER_PROGRESS_H
#define HEAPMARK_RUNNER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "calibrating", "trial" */
    uint32_t total, done;
    uint64_t start_ns, last_line_ns;
    bool is_terminal;
};

void progress_start(struct progress *progress, const char *what, uint32_t total);

/* `count` more are about to run. `label` says which; `estimate_ns` is the time of all that is left as
 * planned: it counts until enough has been seen to extrapolate. */
void progress_step(struct progress *progress, uint32_t count, const char *label,
                   uint64_t estimate_ns);

/* Ends the live line. */
void progress_end(struct progress *progress);

#endif
