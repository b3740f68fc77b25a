/*
 * The first of the two passes in which a trace is loaded: checks it, and finds what has to be known
 * of the future before the first word is written. Control plane only; not thread-safe.
 */
#ifndef HEAPMARK_TRACE_SURVEY_H
#define HEAPMARK_TRACE_SURVEY_H

#include "workloads/trace/format.h"

#include <stdbool.h>

#define SURVEY_NOBODY UINT16_MAX
#define SURVEY_NEVER  UINT64_MAX

/* A recorded thread. Events are numbered from 0 in recorded order. */
struct survey_thread {
    uint64_t first, last; /* its events; first is SURVEY_NEVER if it has none */
    uint64_t events;
    uint32_t starter, joiner; /* threads; SURVEY_NOBODY: nobody did, or it is not known */
    uint32_t player;
};

struct survey {
    const char *path;
    char *error; /* a sentence for the user after a failure */
    size_t error_bytes;
    struct trace_file_header header; /* with all totals */
    struct survey_thread *threads;   /* header.threads of them */
    uint16_t *takers;                /* of each object: the other thread that ends it */
    uint64_t takers_capacity;
    uint64_t words; /* of the program, at most; without those that pace */
    uint32_t players;
};

/*
 * Reads the trace at survey->path and hands out players: one for all threads if `is_serial`, else
 * the fewest with which threads that ran at the same time have different ones. 0 or -errno.
 */
int survey_read(struct survey *survey, bool is_serial);

void survey_release(struct survey *survey);

/* The player that ends an object which `maker` makes, or `maker` if nobody else does. */
uint32_t survey_taker(const struct survey *survey, uint32_t maker, uint64_t object);

/* Puts "'PATH' WHAT" into the error. Returns `error`. */
int survey_fail(struct survey *survey, int error, const char *what);

#endif
