/*
 * One recording, from the raw file over the running program to the finished trace. Control plane;
 * not thread-safe: it ignores SIGINT and SIGQUIT while the program runs.
 */
#ifndef HEAPMARK_TRACE_RECORDING_H
#define HEAPMARK_TRACE_RECORDING_H

#include "workloads/trace/format.h"
#include "workloads/trace/raw.h"

#include <limits.h>
#include <stddef.h>

struct recording {
    char output[PATH_MAX];   /* the trace, once it is finished */
    char raw_path[PATH_MAX]; /* beside it, until then */
    char part_path[PATH_MAX];
    int raw_fd, part_fd;
    struct raw_header *raw; /* the raw file's first page */
    uint64_t start_ticks, start_ns, end_ticks, end_ns;
    int64_t started_at; /* seconds since 1970 */
    int exit_status;    /* as waitpid() gave it */
    char *error;
    size_t error_bytes;
};

/* All return 0, or -errno with a sentence for the user in the `error` given to begin. */

/* Makes the raw file beside `output`. Release it, whatever follows. */
int recording_begin(struct recording *recording, const char *output, char *error,
                    size_t error_bytes);

/*
 * Runs the program at `path` with the recorder `library` preloaded, its standard streams untouched,
 * and waits for it. SIGTERM and SIGHUP are passed on to it.
 */
int recording_run(struct recording *recording, const char *path, char *const arguments[],
                  const char *library);

/*
 * Converts what was recorded and puts the trace in its place, in one step. *header tells what it
 * holds, *bytes how large it is. `progress` is called now and then with the events so far; NULL: not.
 */
int recording_finish(struct recording *recording, char *const arguments[],
                     struct trace_file_header *header, uint64_t *bytes,
                     void (*progress)(uint64_t events));

/* Removes the temporary files. */
void recording_release(struct recording *recording);

#endif
