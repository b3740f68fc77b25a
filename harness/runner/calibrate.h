/* How much work makes a trial of the wanted length: found once for each cell, on the baseline. */
#ifndef HEAPMARK_RUNNER_CALIBRATE_H
#define HEAPMARK_RUNNER_CALIBRATE_H

#include "plan/plan.h"
#include "runner/spawn.h"

/* Fills everything of a spec that comes from the cell; the parts' work is left 0. Returns how many
 * different CPUs the threads are pinned to (0: not pinned). */
unsigned cell_fill_spec(const struct cell *cell, const struct topo *topo, uint64_t seed,
                        struct trial_spec *spec);

/* What calibration runs with. */
struct calibration {
    const struct plan *plan;
    const struct topo *topo;
    struct spawner *spawner;
    struct clock_scale clock;
    const struct callgrind_run *callgrind; /* NULL: work is measured in time, not in instructions */
};

/*
 * Sets cell->work by running ever longer trials on the baseline (or the cell's first contender). A
 * baseline that fails leaves 1 iteration: the trials themselves then show the failure. Under
 * callgrind a trial shall take 10 million instructions, which is the same work every time. 0, or
 * -EINTR, or -errno as from spawner_run().
 */
int calibrate_cell(struct cell *cell, const struct calibration *calibration);

#endif
