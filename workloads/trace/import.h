/*
 * Traces from what other tools write. Each source says less than a recording; what it does not say
 * stands in the trace's header (enum trace_lack), and what could not be used is counted there.
 */
#ifndef HEAPMARK_TRACE_IMPORT_H
#define HEAPMARK_TRACE_IMPORT_H

#include "workloads/trace/format.h"

#include <stdio.h>

struct import_result {
    struct trace_file_header header; /* of the trace */
    enum trace_source format;        /* that was read */
    uint64_t lines;
    uint64_t first_skipped; /* line number; 0: no line was skipped */
    char skip_reason[128];  /* of that line */
    uint64_t late_times;    /* times before the one in front of them: taken to be that one */
    uint64_t lost;          /* events that the source says it has lost itself */
};

/* "mtrace"; what such a file is, "what glibc's mtrace() writes". */
const char *import_name(enum trace_source source);
const char *import_description(enum trace_source source);

/* By its name; TRACE_SOURCE_NONE when there is none. */
enum trace_source import_find(const char *name);

/*
 * Reads `in`, called `name` in messages, to its end and writes an ordered trace into `fd`, an empty
 * seekable file. TRACE_SOURCE_NONE: the first line tells the format. 0; -EINVAL when the input is
 * not of that format or has no event; -errno of the files. `error` then holds a sentence for the
 * user, with the line's number. Memory grows with the objects that live at one time. Thread-safe.
 */
int trace_import(FILE *in, const char *name, enum trace_source source, int fd,
                 struct import_result *result, char *error, size_t error_bytes);

#endif
