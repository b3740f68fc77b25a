/*
 * A contender: one allocator as it takes part in a run, with its file and its knobs. Made from an
 * argument: a name from `list`, a path to a shared object, or NAME:KNOB=VALUE[:KNOB=VALUE...].
 */
#ifndef HEAPMARK_JOB_CONTENDER_H
#define HEAPMARK_JOB_CONTENDER_H

#include "include/allocator.h"
#include "util/pool.h"

#include <stdbool.h>
#include <stdint.h>

struct contender {
    const char *label;     /* "jemalloc:narenas=1": unique in a run */
    const char *allocator; /* "jemalloc", or the path of a shared object */
    const char *variant;   /* "narenas=1"; "aa" for the baseline's second part; or "" */
    const struct allocator *descriptor; /* NULL for a path */
    const char *path;                   /* the real file whose malloc must answer */
    bool is_preloaded;                  /* false: the C library's own */
    uint64_t dev, ino;                  /* of that file */
    struct strings environment;         /* "VARIABLE=value" made from the knobs */
};

/*
 * Looks an argument up. 0, or -EINVAL after the error was said (unknown name, not installed,
 * unknown knob, value that the knob does not take, file that cannot be preloaded); `where` begins the message.
 */
int contender_find(const char *argument, const char *where, struct contender *contender);

/* The file that a descriptor's library is installed as, or NULL when it is not. */
const char *contender_installed_path(const struct allocator *allocator);

/* "5.3.0-1" as the package system knows it, or NULL. Starts a process. */
const char *contender_version(const struct contender *contender);

#endif
