/*
 * setrlimit() and prlimit(), which tell the library of a limit of address space (RLIMIT_AS) that comes after its start:
 * what it has reserved and not used goes back first, so that the limit leaves room for stacks, libraries and
 * mappings, and holds the heap.
 *
 * A limit that comes by other ways (from another process, by the bare system call) does neither. One that is raised
 * again leaves the pool as small as it is: objects up to 2 KiB, which nothing else serves, get no memory beyond it.
 * A program that lowers its limit for a while chooses a pool by the knob.
 */
#ifndef KMEM_MALLOC_LIMIT_H
#define KMEM_MALLOC_LIMIT_H

#include <sys/resource.h>
#include <sys/types.h>

/* As prlimit(): the same results, and the same errno. */
int slub_prlimit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *old);

#endif
