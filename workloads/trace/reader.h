/*
 * Reads a .hmt file as a stream, checking everything: framing, checksums, and the rules of
 * event.h. Ordered and recorded traces, of both versions, give the same events. Nothing that a file
 * says makes it crash, and memory follows what was really read. Not thread-safe; several readers may
 * be open at once.
 */
#ifndef HEAPMARK_TRACE_READER_H
#define HEAPMARK_TRACE_READER_H

#include "workloads/trace/event.h"
#include "workloads/trace/format.h"

#include <stdio.h>

struct trace_reader;

enum trace_next { TRACE_ERROR = -1, TRACE_END = 0, TRACE_EVENT = 1 };

/*
 * Opens a trace and reads its header. On failure -errno, and `error` holds a sentence for the
 * user: "'x.hmt' is cut off at byte 12".
 */
int trace_reader_open(struct trace_reader **out, const char *path, char *error, size_t error_bytes);

/* The same from an open stream, closed with the reader; `name` is for messages and is copied. */
int trace_reader_open_stream(struct trace_reader **out, FILE *file, const char *name, char *error,
                             size_t error_bytes);

/*
 * The next event. TRACE_END comes only when the file is complete and its header told the truth;
 * on TRACE_ERROR trace_reader_error() says what is wrong and where.
 */
enum trace_next trace_reader_next(struct trace_reader *reader, struct trace_event *event);

const char *trace_reader_error(const struct trace_reader *reader);

/* Totals of a recorded trace are 0 until TRACE_END. */
const struct trace_file_header *trace_reader_header(const struct trace_reader *reader);

/* The recorded command's arguments, each ended by a 0 byte; header->command_bytes of them. */
const char *trace_reader_command(const struct trace_reader *reader);
const struct trace_rules *trace_reader_rules(const struct trace_reader *reader);

void trace_reader_close(struct trace_reader *reader);

#endif
