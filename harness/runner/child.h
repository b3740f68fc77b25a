/*
 * One trial process as its parent sees it: private to the runner. Start, watch until it waits for
 * its turn or has ended, end.
 */
#ifndef HEAPMARK_RUNNER_CHILD_H
#define HEAPMARK_RUNNER_CHILD_H

#include "runner/peak.h"
#include "runner/spawn.h"

#include <sys/types.h>

enum { CHILD_OUTPUT_BYTES = 8192 };

struct child {
    const struct trial_request *request;
    struct trial_shared *shared;
    pid_t pid;
    int pid_fd, output_fd, signal_fd;
    struct peak_watch peak;
    char output[CHILD_OUTPUT_BYTES]; /* the end of what it printed */
    size_t output_length;
    enum trial_status killed_for; /* TRIAL_RUNNING: not by us */
    uint64_t oom_kills_before;
    uint64_t used_ns, checked_ns; /* time it was watched; when its memory was looked at last */
    bool has_ended;
};

enum child_news { CHILD_WAITS, CHILD_ENDED, CHILD_INTERRUPTED };

/* Starts the trial of a seat. 0, or -errno after an error was said: there is no process then. */
int child_start(struct spawner *spawner, uint32_t seat, const struct trial_request *request,
                struct child *child);

/* Waits until the child waits for a turn, or has ended: by itself, because it passed a limit, or
 * because the user interrupted. */
enum child_news child_watch(struct child *child);

/* Lets the child run until it waits again: for a turn, or behind the last one to its end. */
void child_release(struct child *child);

/* Kills it, in the middle of whatever it does. */
void child_kill(struct child *child);

/* Collects an ended child and judges how it ended; `outcome` may be NULL. */
void child_end(struct child *child, struct trial_outcome *outcome);

/* judge.c: what an ended child's exit, words and result amount to. */
void child_judge(struct child *child, int wait_status, struct trial_outcome *outcome);
uint64_t kernel_oom_kills(void);

#endif
