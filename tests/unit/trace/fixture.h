/* What the trace tests share: small traces in temporary files. */
#ifndef HEAPMARK_TESTS_TRACE_FIXTURE_H
#define HEAPMARK_TESTS_TRACE_FIXTURE_H

#include "workloads/trace/reader.h"
#include "workloads/trace/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A name for a temporary file; the file exists, empty. Free it after unlink(). */
char *fixture_path(void);

/* Writes the events, all of which must be valid, and returns the file's path. */
char *fixture_trace(const struct trace_event *events, size_t count, uint32_t threads);

/* The same with random valid events: all operations, threads that start, pass objects and join. */
char *fixture_random_trace(uint64_t seed, size_t count, uint32_t threads);

/* The whole file, and its size. */
unsigned char *fixture_read(const char *path, size_t *bytes);
void fixture_write(const char *path, const void *bytes, size_t count);

/* Reads to the end. TRACE_END, or TRACE_ERROR with the message. */
enum trace_next fixture_read_all(const char *path, char *error, size_t error_bytes);

void fixture_remove(char *path);

#endif
