/*
 * The public functions, under a prefix. libhm_ptmalloc.so exports the same under the standard
 * names.
 *
 * Results, errno and limits are those documented for the functions of malloc.h and stdlib.h in
 * glibc. All of them may be called from any thread at any time, except from a signal handler that
 * may have interrupted one of them.
 */
#ifndef PTMALLOC_H
#define PTMALLOC_H

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * ENOMEM for more than PTRDIFF_MAX bytes or if memory is refused. A request of 0 yields a unique
 * pointer.
 */
void *ptm_malloc(size_t bytes);
void *ptm_calloc(size_t count, size_t bytes);
void *ptm_realloc(void *memory, size_t bytes);
void *ptm_reallocarray(void *memory, size_t count, size_t bytes);

/* Keeps errno. Aborts with one line on standard error if `memory` cannot be a chunk in use. */
void ptm_free(void *memory);

/* Alignments that are no power of two: memalign rounds up; the other two give EINVAL. */
void *ptm_memalign(size_t align, size_t bytes);
void *ptm_aligned_alloc(size_t align, size_t bytes);
int ptm_posix_memalign(void **memory, size_t align, size_t bytes);
void *ptm_valloc(size_t bytes);
void *ptm_pvalloc(size_t bytes);

size_t ptm_malloc_usable_size(void *memory);

/* 1 if the parameter was taken, 0 if its value is out of range. */
int ptm_mallopt(int parameter, int value);

/*
 * Returns to the system what lies beyond `pad` bytes in each top chunk, and every whole page
 * inside a free chunk. 1 if anything was returned, else 0.
 */
int ptm_malloc_trim(size_t pad);

struct mallinfo ptm_mallinfo(void);
struct mallinfo2 ptm_mallinfo2(void);

/* Writes to standard error. */
void ptm_malloc_stats(void);

/* Writes XML. `options` must be 0, else EINVAL is returned. */
int ptm_malloc_info(int options, FILE *stream);

/*
 * Walks every arena and verifies every invariant of types.h. Writes a line to standard error for
 * each one that is broken; returns how many. The caches of other threads are not looked at.
 */
size_t ptm_check(void);

/* Writes arenas, heaps, bins and the map of chunks as text, one object a line. */
void ptm_dump(int fd);

#endif
