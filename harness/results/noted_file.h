/* Files that env.json notes by name and SHA-256, and whether they still are the same. Control plane, one thread. */
#ifndef HEAPMARK_RESULTS_NOTED_FILE_H
#define HEAPMARK_RESULTS_NOTED_FILE_H

#include <jansson.h>

enum noted_file { FILE_NOT_NOTED, FILE_UNCHANGED, FILE_CHANGED };

/*
 * Of the list's object whose `key` is `name`: whether its sha256 is that of the file at `path`. A file that cannot be
 * read, or could not be when it was noted, has changed.
 */
enum noted_file noted_file(const json_t *list, const char *key, const char *name, const char *path);

#endif
