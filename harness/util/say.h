/*
 * What heapmark says to people. Everything goes to standard error, so that standard output stays
 * data. Messages are in lower case, quote their subject and name the remedy. Thread-safe.
 */
#ifndef HEAPMARK_UTIL_SAY_H
#define HEAPMARK_UTIL_SAY_H

#include <stdint.h>
#include <stdio.h>

/* "heapmark: ..." and a newline: something is wrong. */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same shape, for what a user should know though nothing failed. */
void say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sends everything to another stream from now on, for tests; NULL: to nobody. */
void say_to(FILE *stream);

/* The ending of a noun after a count. */
static inline const char *say_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* "a, b or c". The answer lives until the next call. */
const char *say_choices(const char *const *names, size_t count);

/* "; did you mean 'x'?" for a known candidate, or "". The answer lives until the next call. */
const char *say_did_you_mean(const char *candidate);

/* The same before a remedy that goes on: "; did you mean 'x'?" or ";". */
const char *say_hint(const char *candidate);

#endif
