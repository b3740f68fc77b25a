/* Workload parameters: text to value, by the workload's own table of options. */
#ifndef HEAPMARK_JOB_PARAMS_H
#define HEAPMARK_JOB_PARAMS_H

#include "include/workload.h"

/* The number of options of a workload, and the one of that name or NULL. */
size_t workload_option_count(const struct workload *workload);
const struct workload_option *workload_option_find(const struct workload *workload,
                                                   const char *name);

/*
 * One value (no list) as the number that trial_param() gives; for OPTION_TRACE only that it is not
 * empty. 0, or -EINVAL with what was expected in `expected`.
 */
int workload_option_parse(const struct workload_option *option, const char *text, uint64_t *value,
                          char *expected, size_t bytes);

/* Whether the workload takes a trace; its threads are then the recorded ones. */
const struct workload_option *workload_trace_option(const struct workload *workload);

#endif
