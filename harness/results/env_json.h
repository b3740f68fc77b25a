/*
 * env.json: everything a reader of a run needs to judge and repeat it: machine, kernel, governor,
 * huge pages, C library, each allocator's file, version and SHA-256, the columns of trials.csv,
 * the calibrated work, the replayed traces, the seed. Control plane, one thread.
 */
#ifndef HEAPMARK_RESULTS_ENV_JSON_H
#define HEAPMARK_RESULTS_ENV_JSON_H

#include "plan/plan.h"
#include "results/rundir.h"

/* Writes env.json for a calibrated plan. `command` is the command line. 0 or -errno, said. */
int env_json_write(struct rundir *dir, const struct plan *plan, const struct topo *topo,
                   struct clock_scale clock, int argc, char **argv);

/* The directory in which a run was begun, or NULL where it has noted none yet. */
const char *env_json_directory(const char *run);

/*
 * For --resume: sets the calibrated work of every cell and the run's name from DIR/env.json, and
 * checks that every contender's and every trace's file is still the one that was measured; a larger
 * number of blocks is noted there. 0; -ENOENT when there is no env.json yet (calibrate again);
 * -EINVAL after an error was said.
 */
int env_json_resume(struct rundir *dir, struct plan *plan);

#endif
