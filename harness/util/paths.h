/*
 * Where heapmark's own files lie. They are found from the running program: in a build tree beside
 * it, after an installation under its prefix. Control plane only.
 */
#ifndef HEAPMARK_UTIL_PATHS_H
#define HEAPMARK_UTIL_PATHS_H

#include "util/pool.h"

#include <stdbool.h>
#include <stddef.h>

/* The full path of one of our preloadable libraries ("libhm_null.so"). 0 or -ENOENT. */
int paths_library(const char *name, char *path, size_t bytes);

/* The full path of the measured program, heapmark-trial. 0 or -ENOENT. */
int paths_trial(char *path, size_t bytes);

/* A shipped file or directory: "jobs/quick.ini", "traces", "python". 0 or -ENOENT. */
int paths_shared(const char *name, char *path, size_t bytes);

/* Whether it is a regular file. */
bool paths_is_file(const char *path);

/* Whether `name` is a file of the user's own: it has a slash, or a regular file of that name is here. */
bool paths_is_given(const char *name);

/*
 * Finds a shipped or given file: `name` itself when it is given, else `directory`/`name` or
 * `directory`/`name``suffix` among the shipped ones; else what is called so here and is no regular
 * file, whose reader will say what it makes of that. 0 or -ENOENT.
 */
int paths_find(const char *directory, const char *name, const char *suffix, char *path,
               size_t bytes);

/* The names of the shipped files in a directory with that suffix, without it, in order. */
struct strings paths_shipped(const char *directory, const char *suffix);

#endif
