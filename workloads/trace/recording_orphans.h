/*
 * Processes that outlive the recorded program: a recording must not end before those do that may
 * still add to it.
 *
 * A process is in the recording's table from its first call on, or from where a program is loaded: a
 * child of fork() that has made none yet is not. So orphans come to this process (a subreaper,
 * prctl(2)), which knows by its children who is left; and of those, who can be recorded has the raw
 * file mapped. Control plane; not thread-safe.
 */
#ifndef HEAPMARK_TRACE_RECORDING_ORPHANS_H
#define HEAPMARK_TRACE_RECORDING_ORPHANS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct orphans {
    bool adopted;                 /* they become children of this process */
    uint64_t looked_ns, found_ns; /* when it was last looked who has the file mapped, and found */
};

/*
 * Before the program starts. Where there are children already, of whoever became this process by
 * exec(), these could not be told from the program's: then nothing is adopted.
 */
void orphans_adopt(struct orphans *orphans);

/* Afterwards orphans go where they went before. */
void orphans_release(const struct orphans *orphans);

/* Whether any process is left, recorded or not, that was adopted. False if none is ever. */
bool orphans_exist(const struct orphans *orphans);

/*
 * Whether one is left that may still begin to be recorded. `now_ns` is of CLOCK_MONOTONIC. Who has not
 * mapped the file for about a second is taken not to be able to: static and setuid programs.
 */
bool orphans_may_call(struct orphans *orphans, const char *raw_path, int raw_fd, uint64_t now_ns);

/*
 * Whether the process that has this PID now has the raw file mapped. Not so when it has ended and nobody has
 * asked for its status, nor when the PID was given to another one.
 */
bool orphan_may_write(pid_t pid, const char *raw_path, int raw_fd);

#endif
