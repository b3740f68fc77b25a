/* Inside of a spawner: private to the runner. */
#ifndef HEAPMARK_RUNNER_SEATS_H
#define HEAPMARK_RUNNER_SEATS_H

#include "trial/spec.h"

#include <limits.h>

struct seat {
    int fd;
    struct trial_shared
        *shared; /* mapped for the longest trial; the file is as long as this one's */
};

struct spawner {
    struct seat *seats;
    uint32_t seat_count;
    char program[PATH_MAX];
};

#endif
