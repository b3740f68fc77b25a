/*
 * The files beside trials.csv that hold several rows for a trial: turns.csv, timeline.csv and
 * functions.csv. Each has its own list of columns (turns.def and so on) from which its struct, its
 * header and its part of docs/metrics.md come. Every column of such a row is always filled.
 */
#ifndef HEAPMARK_RESULTS_SIDE_H
#define HEAPMARK_RESULTS_SIDE_H

#include "results/record.h"

enum side_file { SIDE_TURNS, SIDE_TIMELINE, SIDE_FUNCTIONS, SIDE_COUNT };

#define COLUMN(type, name, unit, help) record_##type name;
struct turns_row {
#include "results/turns.def"
};
struct timeline_row {
#include "results/timeline.def"
};
struct functions_row {
#include "results/functions.def"
};
#undef COLUMN

struct side_info {
    const char *name; /* of the file */
    const char *help;
    const struct column_info *columns;
    size_t column_count, trial_column; /* of these, and which one is `trial` */
    size_t row_bytes;                  /* of the row's struct */
};

/* Indexed by enum side_file. */
extern const struct side_info side_files[SIDE_COUNT];

void side_header(enum side_file file, FILE *stream);
void side_row(enum side_file file, const void *row, FILE *stream);

#endif
