/*
 * The run directory: job.ini, env.json, trials.csv, latency.csv and the side files. Rows go to the disk as trials end,
 * each in one write, so that a kill at any moment loses no finished trial: what belongs to a trial
 * elsewhere is written before its row, and a row that is not whole is dropped on resume. One thread.
 */
#ifndef HEAPMARK_RESULTS_RUNDIR_H
#define HEAPMARK_RESULTS_RUNDIR_H

#include "results/side.h"
#include "trial/histogram.h"

#include <stdbool.h>

struct rundir;

/* Makes a new run directory with its parents, `job` as its job.ini. 0, or -errno after an error was
 * said (it holds a run already, is not writable, ...): then nothing is left in it. */
int rundir_create(const char *path, const char *job, struct rundir **dir);

/*
 * Opens one that a run left unfinished and mends its end: torn rows and rows of trials that did not
 * finish are cut off. A run belongs to one process at a time: one that is still going is refused.
 * Trials that run together stand or fall together: unit[trial] is the first
 * trial of its unit (itself where it runs alone), and a unit's trials follow one another.
 * done[trial] becomes true for each finished trial below `trial_count`. 0, or -errno after an error
 * was said.
 */
int rundir_resume(const char *path, const uint32_t *unit, bool *done, size_t trial_count,
                  struct rundir **dir);

void rundir_close(struct rundir *dir);

const char *rundir_path(const struct rundir *dir); /* absolute */
const char *rundir_name(const struct rundir *dir); /* the run's, as its rows have it */

/* A run is called after the directory in which it began, and keeps that when this is renamed. */
void rundir_set_name(struct rundir *dir, const char *name);

/* Writes a whole small file in one step: a new file takes the place of an old one. 0 or -errno, said. */
int rundir_write_file(struct rundir *dir, const char *name, const char *text, size_t length);

/* Appends the latency rows of a trial, in ticks of the run's clock; then its row. Order matters.
 * 0 or -errno, said; a row that could not be written whole is not there at all. */
int rundir_add_latency(struct rundir *dir, uint64_t trial, const char *op,
                       const struct histogram *histogram);
int rundir_add_record(struct rundir *dir, const struct record *record);

/* Appends rows of a trial to a side file, which the first rows make; before the trial's own row.
 * 0 or -errno, said. */
int rundir_add_side(struct rundir *dir, enum side_file file, const void *rows, size_t count);

#endif
