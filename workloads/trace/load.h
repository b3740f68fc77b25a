/* Decodes a trace for the replay workload. Control plane only. */
#ifndef HEAPMARK_TRACE_LOAD_H
#define HEAPMARK_TRACE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_load_options {
    bool is_serial;        /* one player for all threads, in recorded order */
    bool is_paced;         /* with the recorded times */
    uint64_t memory_bytes; /* a larger program is put into a file and read while it is played */
};

struct trace_input {
    int fd;       /* a replay program, see program.h: a sealed memory file, or an unlinked file */
    size_t bytes; /* of it that are to be mapped: all, or the head of one that is streamed */
    uint32_t players; /* threads that a replay needs */
    uint32_t threads; /* of the trace */
    uint64_t events;
    uint64_t live_bytes_peak;
    uint64_t recorded_ns;               /* from the beginning to the last event */
    uint64_t unknown_frees, lost_frees; /* see struct trace_file_header */
};

/*
 * Checks the whole trace at `path` and decodes it, some 8 bytes an event. Its own memory grows with
 * the objects that live at one time and, where threads free one another's, by 2 bytes an object.
 * Files of programs that are streamed lie in $TMPDIR or /var/tmp, and are gone with their
 * descriptor. 0; or -errno with a sentence for the user in `error`, which names the file, the place
 * and the fault. Thread-safe.
 */
int trace_load(const char *path, const struct trace_load_options *options, struct trace_input *out,
               char *error, size_t error_bytes);

void trace_input_release(struct trace_input *input);

#endif
