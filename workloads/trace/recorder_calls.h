/* What the recorder's other parts need of the allocator behind it, and of how that is found. */
#ifndef HEAPMARK_TRACE_RECORDER_CALLS_H
#define HEAPMARK_TRACE_RECORDER_CALLS_H

#include "workloads/trace/recorder_log.h"

/* From here on the functions behind the recorder can be called; nothing calls this inside dlsym(). */
HIDDEN void calls_be_ready(void);

/* The next function of that name in the program's search order, which there must be. */
HIDDEN void *calls_find(const char *name);

/* The allocator's own: the recorder's blocks are not the program's, and are not recorded. */
HIDDEN void *calls_malloc(size_t size);
HIDDEN void calls_free(void *block);

/* Finds the functions of threads, and of confinement, when those of the allocator are found. */
HIDDEN void threads_find(void);
HIDDEN void confine_find(void);

#endif
