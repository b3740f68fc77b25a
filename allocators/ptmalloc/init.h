/*
 * Setting up the process and each thread. All of it may run before main and before the C library's
 * own initialisers.
 */
#ifndef PTM_INIT_H
#define PTM_INIT_H

#include "types.h"

/* Once for the process, whoever comes first; later calls cost one load. Allocates nothing. */
void init_process(void);

/*
 * Has the thread's cache ended when the thread does. May allocate (thread-specific data beyond the
 * first few keys does), so the cache must be in the state TCACHE_STARTING.
 */
void init_thread(struct tcache *tc);

#endif
