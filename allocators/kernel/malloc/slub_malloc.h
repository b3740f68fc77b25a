/*
 * malloc and its kin over SLUB, under a prefix. libhm_slub.so exports the same under the standard
 * names.
 *
 * Results, errno and limits are those documented for the functions of malloc.h and stdlib.h in
 * glibc. All of them may be called from any thread at any time, except from a signal handler that
 * may have interrupted one of them.
 */
#ifndef SLUB_MALLOC_H
#define SLUB_MALLOC_H

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>

/*
 * ENOMEM for more than PTRDIFF_MAX bytes or if memory is refused. A request of 0 yields a unique
 * pointer.
 */
void *slub_malloc(size_t bytes);
void *slub_calloc(size_t count, size_t bytes);
void *slub_realloc(void *memory, size_t bytes);
void *slub_reallocarray(void *memory, size_t count, size_t bytes);

/* Keeps errno. Aborts with one line on standard error if `memory` cannot be in use. */
void slub_free(void *memory);

/* Alignments that are no power of two: memalign rounds up; the other two give EINVAL. */
void *slub_memalign(size_t align, size_t bytes);
void *slub_aligned_alloc(size_t align, size_t bytes);
int slub_posix_memalign(void **memory, size_t align, size_t bytes);
void *slub_valloc(size_t bytes);
void *slub_pvalloc(size_t bytes);

size_t slub_malloc_usable_size(void *memory);

/*
 * 1, or 0 for an M_MXFAST out of range. M_MMAP_THRESHOLD (within 32 KiB and 4 MiB), M_MMAP_MAX,
 * M_TRIM_THRESHOLD, M_TOP_PAD and M_PERTURB have their documented effects; the others have none.
 */
int slub_mallopt(int parameter, int value);

/* Gives back sheaves, empty slabs and free pages beyond `pad` bytes; 1 if memory was released. */
int slub_malloc_trim(size_t pad);

struct mallinfo slub_mallinfo(void);
struct mallinfo2 slub_mallinfo2(void);

/* Writes to standard error. */
void slub_malloc_stats(void);

/* Writes XML. `options` must be 0, else EINVAL is returned. */
int slub_malloc_info(int options, FILE *stream);

/* What a measurement with this allocator should say about itself: "" or "percpu=thread". */
const char *slub_allocator_flags(void);

#endif
