/* Writes a trace again as an ordered one, which is smaller and several times faster to read. */
#ifndef HEAPMARK_TRACE_ORDER_H
#define HEAPMARK_TRACE_ORDER_H

#include <stddef.h>

/*
 * Replaces the trace at `path`, in one step. 0, or -errno with a sentence for the user in `error`;
 * then the trace is what it was.
 */
int trace_order(const char *path, char *error, size_t error_bytes);

#endif
