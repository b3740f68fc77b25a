/*
 * The exact peak of a trial's resident memory. Memory is most just before some of it is given back,
 * or at the end; so the trial is stopped at each call that may give some back (trial/peak.c), and
 * what it has resident then is read from its page tables. Threads that are not in such a call run
 * on, so with several threads the figure may miss what they take while it is read. One thread.
 */
#ifndef HEAPMARK_RUNNER_PEAK_H
#define HEAPMARK_RUNNER_PEAK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peak_watch {
    int fd;             /* to poll for reading; -1: nothing is watched */
    bool has_listener;  /* fd is the kernel's listener, no longer the socket that brings it */
    bool has_failed;    /* a call was not answered: the figure is not to be had */
    uint64_t lag_bytes; /* of the quick reading; to ask how many CPUs there are takes long */
    uint64_t rss_bytes;
};

/* Makes the pair of sockets by which a trial of so many threads sends its listener. Returns the trial's end, to be
 * closed after the fork, or -errno. */
int peak_open(struct peak_watch *watch, unsigned threads);

/* Call it when the descriptor is readable: takes the listener; or reads the memory of `pid`, which
 * waits in a call, if it `counts`, and lets it go on. */
void peak_serve(struct peak_watch *watch, pid_t pid, bool counts);

void peak_close(struct peak_watch *watch);

#endif
