/*
 * The program to record: where it is, and whether a library can be preloaded into it. Nothing here
 * allocates or takes a lock: it also runs between fork() and exec().
 */
#ifndef HEAPMARK_TRACE_TARGET_H
#define HEAPMARK_TRACE_TARGET_H

#include <limits.h>
#include <stddef.h>

/*
 * Finds `name` as execvp() would and checks that the recorder can be preloaded: it is a dynamically
 * linked ELF program, or a script whose interpreter is one, and runs with nobody else's rights. 0,
 * or -errno with a sentence for the user in `error`: -ENOEXEC, it is linked statically or of another
 * architecture; -EPERM, it gains rights; else there is no program, or it cannot be read.
 */
int target_find(const char *name, char path[PATH_MAX], char *error, size_t error_bytes);

/* The same for a file that need not be looked for. */
int target_check(const char *path, char *error, size_t error_bytes);

#endif
