/*
 * What heapmark says to people. Everything goes to standard error, so that standard output stays
 * data. Messages are in lower case, quote their subject and name the remedy. Thread-safe.
 */
#ifndef HEAPMARK_UTIL_SAY_H
#define HEAPMARK_UTIL_SAY_H

/* "heapmark: ..." and a newline: something is wrong. */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same shape, for what a user should know though nothing failed. */
void say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "; did you mean 'x'?" for a known candidate, or "". The answer lives until the next call. */
const char *say_did_you_mean(const char *candidate);

/* The same before a remedy that goes on: "; did you mean 'x'?" or ";". */
const char *say_hint(const char *candidate);

#endif
