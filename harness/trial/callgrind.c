/*
 * Client requests to callgrind: without valgrind they are a handful of instructions that do nothing.
 * Instrumentation, not collection, is switched: that holds for all threads at once, and set-up runs
 * several times faster without it.
 */
#include "trial/trial.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else /* `heapmark run --instructions` says that valgrind is missing */
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

void callgrind_start(const struct trial *trial)
{
    if (trial->spec->is_callgrind)
        CALLGRIND_START_INSTRUMENTATION;
}

void callgrind_stop(const struct trial *trial)
{
    if (trial->spec->is_callgrind)
        CALLGRIND_STOP_INSTRUMENTATION;
}
