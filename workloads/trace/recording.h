/*
 * One recording: a program and the processes that it starts, from the raw file to their traces.
 * Control plane; not thread-safe: it handles signals while the program runs.
 */
#ifndef HEAPMARK_TRACE_RECORDING_H
#define HEAPMARK_TRACE_RECORDING_H

#include "workloads/trace/drain.h"
#include "workloads/trace/recording_orphans.h"
#include "workloads/trace/recording_space.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

struct recording_options {
    uint32_t sample;         /* one object in so many; 0 or 1: all */
    uint32_t stack_depth;    /* return addresses of each allocation, at most RAW_STACK_MAX */
    bool cpus;               /* CPU and node */
    bool only_first;         /* not the processes that the program starts, nor what it execs */
    bool plain_clock;        /* CLOCK_MONOTONIC even where there is an invariant TSC */
    uint64_t size_max;       /* bytes of all traces together; 0: no limit */
    uint64_t start_after_ns; /* 0: from the first call */
    uint64_t stop_after_ns;  /* 0: to the last */
    int toggle_signal;       /* to this process; 0: none */
};

struct recording_trace {
    char path[PATH_MAX];
    uint32_t pid, flags; /* flags of the trace */
    uint32_t ends;       /* enum raw_flag: how the process's recording ended, and what it lacks */
    bool at_limit;       /* of its size */
    int failure;         /* why it ends early, -errno; 0: it does not, or its disk was full */
    uint64_t events, bytes;
};

struct recorded_process;

struct recording {
    char output[PATH_MAX]; /* the first process's trace */
    char raw_path[PATH_MAX];
    int raw_fd;
    bool raw_away; /* deleted or moved meanwhile: programs that are begun do not find it */
    struct raw_header *raw;
    struct space space;
    struct drain *drain;
    struct recording_options options;
    struct recorded_process *processes; /* as many as have been seen */
    uint32_t process_count;
    bool first_is_over; /* the first process: raw->first */
    struct orphans orphans;
    int exit_status; /* of the first process, as waitpid() gave it; -1: not known */
    bool recovered;  /* its clocks may have been another boot's */
    bool all_ended;  /* by a limit that one of the processes met */
    struct sigaction inherited_size_limit; /* what SIGXFSZ did before, and does in the program */
    struct sigaction inherited_pipe_end;   /* the same of SIGPIPE */
    struct rlimit inherited_descriptors;   /* and how many files it may open */
    struct recording_trace *traces;
    uint32_t trace_count;
    uint32_t without_trace; /* processes that made no event while recording was on */
    char *error;
    size_t error_bytes;
};

/* All return 0, or -errno with a sentence for the user in the `error` given to begin. */

/*
 * Makes the raw file beside `output`; refuses when another recording is made to there, or was left
 * unfinished. Release it, whatever follows.
 */
int recording_begin(struct recording *recording, const char *output, char *const arguments[],
                    const struct recording_options *options, char *error, size_t error_bytes);

/*
 * Runs the program at `path` with the recorder `library` preloaded, its standard streams untouched,
 * and waits for it and for all processes that come from it and may still make a call: what is
 * orphaned becomes this process's child, unless only the first one is recorded. SIGTERM and
 * SIGHUP are passed on to the program; when it has ended, they and SIGINT end the recording of the
 * others. `note` is told what a user who waits should know.
 */
int recording_run(struct recording *recording, const char *path, char *const arguments[],
                  const char *library, void (*note)(const char *text));

/* Finishes the traces that are not yet. They are in recording->traces then. */
int recording_finish(struct recording *recording);

/* Takes up the raw file of a recording that was cut off, instead of begin and run. */
int recording_recover(struct recording *recording, const char *raw_path, char *error,
                      size_t error_bytes);

/* Removes the temporary files; after an error in recovering they stay. */
void recording_release(struct recording *recording);

#endif
