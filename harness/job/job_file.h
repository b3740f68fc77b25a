/* How a job is built up, shared by the reader of job files and the command line. */
#ifndef HEAPMARK_JOB_JOB_FILE_H
#define HEAPMARK_JOB_JOB_FILE_H

#include "job/job.h"

/* A new, empty section at the end of the job; valid until the next one is made. */
struct section *job_section_new(struct job *job, const char *name, const char *where);

/* Set an option after checking its value, or a workload parameter unchecked (job_check does that
 * when the workload is known). `where` begins messages: "quick.ini:7". 0 or -EINVAL, said. */
int section_set_option(struct section *section, const struct run_option *option, const char *value,
                       const char *where);
int section_set_param(struct section *section, const char *key, const char *values,
                      const char *where);

#endif
