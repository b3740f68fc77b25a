/* Decodes a trace for the replay workload. Control plane only. */
#ifndef HEAPMARK_TRACE_LOAD_H
#define HEAPMARK_TRACE_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct trace_input {
    int fd;       /* a sealed memory file with a replay program, see program.h */
    size_t bytes; /* its size */
    uint32_t threads;
    uint64_t events;
    uint64_t live_bytes_peak;
};

/*
 * Checks the whole trace at `path` and decodes it, 8 bytes an event. 0; or -errno with a sentence
 * for the user in `error`, which names the file, the place and the fault. Thread-safe.
 */
int trace_load(const char *path, struct trace_input *out, char *error, size_t error_bytes);

void trace_input_release(struct trace_input *input);

#endif
