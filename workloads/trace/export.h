/* A trace as text. Streams: memory grows with the objects that live at one time. Thread-safe. */
#ifndef HEAPMARK_TRACE_EXPORT_H
#define HEAPMARK_TRACE_EXPORT_H

#include <stddef.h>
#include <stdio.h>

enum export_format {
    EXPORT_TEXT, /* docs/trace-tools.md; trace_import() makes the same events of it */
    EXPORT_CSV,  /* RFC 4180, one row an event, for analysis */
};

/*
 * Writes the trace at `path` to `out`. 0, or -errno with a sentence for the user in `error`; what
 * was written before the fault stays written.
 */
int trace_export(const char *path, enum export_format format, FILE *out, char *error,
                 size_t error_bytes);

#endif
