/*
 * A second thread that does one piece of work at a time for the first: where a CPU is free, two pieces
 * take the time of the longer one. All functions are the first thread's.
 */
#ifndef HEAPMARK_TRACE_ASSISTANT_H
#define HEAPMARK_TRACE_ASSISTANT_H

#include <pthread.h>
#include <stdbool.h>

struct assistant {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*work)(void *); /* asked for and not done yet; NULL: none */
    void *context;
    bool is_there, is_refused, dismissed;
};

/* Start with a zeroed struct. */

/*
 * Has work(context) done, from now on and in the other thread; where none may be started, at once and in
 * this one. All that the work touches is its own until assistant_wait(). The work asked for before has
 * been waited for. The thread takes no signals.
 */
void assistant_ask(struct assistant *assistant, void (*work)(void *), void *context);

/* Returns when the work that was asked for is done, at once when there is none. */
void assistant_wait(struct assistant *assistant);

/* Waits and ends the thread, if there is one. */
void assistant_dismiss(struct assistant *assistant);

#endif
