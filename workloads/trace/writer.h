/* Writes an ordered .hmt file, checking every event against the rules on its way. Not thread-safe. */
#ifndef HEAPMARK_TRACE_WRITER_H
#define HEAPMARK_TRACE_WRITER_H

#include "workloads/trace/event.h"
#include "workloads/trace/format.h"

struct trace_writer;

/*
 * Starts a trace in `fd`, a seekable file that stays the caller's. thread_count bounds the thread
 * numbers. `command` is `command_bytes` of arguments, each ended by a 0 byte, cut at
 * TRACE_COMMAND_BYTES_MAX. 0, -ENOMEM, or -errno of the file.
 */
int trace_writer_open(struct trace_writer **out, int fd, uint32_t thread_count, const char *command,
                      size_t command_bytes);

/*
 * Adds an event and fills in what the rules say, such as the slot of an allocation. 0; -EINVAL
 * when it breaks a rule, see trace_writer_reason(); -errno of the file.
 */
int trace_writer_add(struct trace_writer *writer, struct trace_event *event);

/* Which rule the last event broke. */
const char *trace_writer_reason(const struct trace_writer *writer);

const struct trace_rules *trace_writer_rules(const struct trace_writer *writer);

/*
 * Ends the file. `facts` gives flags, ticks_hz, recorded_at, the counters and exit_status; the rest
 * of *facts is filled in from what was written. 0 or -errno.
 */
int trace_writer_finish(struct trace_writer *writer, struct trace_file_header *facts);

void trace_writer_release(struct trace_writer *writer);

#endif
