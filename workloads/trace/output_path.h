/*
 * Which file an output is: one that is replaced by a whole one would else be the symbolic link that led to it.
 * Thread-safe.
 */
#ifndef HEAPMARK_TRACE_OUTPUT_PATH_H
#define HEAPMARK_TRACE_OUTPUT_PATH_H

#include <limits.h>

/* Where the links lead that `given` is, whether a file is there or not: 0, or -errno. */
int output_path(const char *given, char path[PATH_MAX]);

#endif
