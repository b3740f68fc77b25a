/*
 * A job: what the user asked for, as text, checked. It comes from a job file (INI, a [global]
 * section and one section per job, as fio has it), or from the name of a workload or a trace, and
 * the command line is laid over it. Errors are said where they are found, with file and line.
 */
#ifndef HEAPMARK_JOB_JOB_H
#define HEAPMARK_JOB_JOB_H

#include "include/workload.h"
#include "job/options.h"

#include <stdio.h>

enum { SECTION_PARAMS_MAX = 16 };

/* A workload parameter as written: a comma list is a sweep. */
struct section_param {
    const char *key, *values, *where;
};

struct section {
    const char *name;
    const char *where;           /* "quick.ini:12", for messages; "" for the command line */
    const char *text[OPT_COUNT]; /* NULL: not set here */
    const char *option_where[OPT_COUNT];
    struct section_param params[SECTION_PARAMS_MAX];
    size_t param_count;
};

struct job {
    const char *name; /* becomes the run's name */
    struct section global;
    struct section *sections;
    size_t section_count;
};

/*
 * Adds what `name` stands for: a job file or shipped job, a workload, or a trace. 0, or -EINVAL
 * after an error was said. Unknown names are answered with the nearest known one.
 */
int job_add(struct job *job, const char *name);

/* Adds the sections of an open job file; `label` stands for it in messages. For job_add, tests and
 * fuzzing. 0 or -EINVAL. */
int job_add_stream(struct job *job, FILE *stream, const char *label);

/* Lays a command-line option over every section. 0 or -EINVAL. */
int job_override(struct job *job, const struct run_option *option, const char *value);

/* Lays `KEY=LIST` over every section whose workload has that parameter; one must. 0 or -EINVAL. */
int job_override_param(struct job *job, const char *assignment);

/* Checks what only the whole can show: workloads, parameter names and values. 0 or -EINVAL. */
int job_check(const struct job *job);

/* The text that holds for a section: its own, the global one, or the default. May be NULL. */
const char *job_text(const struct job *job, const struct section *section, enum run_option_id id);
uint64_t job_number(const struct job *job, const struct section *section, enum run_option_id id);

/* A parameter's values in a section: own, global, or the workload's default. */
const char *job_param_text(const struct job *job, const struct section *section,
                           const struct workload_option *option);

/* Writes the job as a job file that gives the same run again. */
void job_write(const struct job *job, FILE *stream);

#endif
