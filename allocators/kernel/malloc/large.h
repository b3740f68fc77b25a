/*
 * Requests above MALLOC_CACHE_MAX: blocks of pages, and mappings.
 */
#ifndef KMEM_MALLOC_LARGE_H
#define KMEM_MALLOC_LARGE_H

#include <stdbool.h>
#include <stddef.h>

/* `zero`: the memory shall read as zero. NULL: refused. */
void *large_alloc(size_t bytes, size_t align, bool zero);
/* Ends the process unless `memory` starts a block or a mapping. */
void large_free(void *memory);
/* The same, saying `wrong` of an address inside of a block, or that is no mapping's. */
size_t large_size(const void *memory, const char *wrong);
/*
 * In place, into free pages behind or giving back those at the end, or by moving page tables; NULL: must
 * be copied.
 */
void *large_resize(void *memory, size_t bytes);

/* Mappings stand in for pages that the pool has not, as long as there are not too many. */
bool may_stand_in(void);

/*
 * What to ask for when a block of pages must be moved to grow to `bytes`: a little more, lest a program
 * that appends again and again copies all of it each time.
 */
enum { MALLOC_AHEAD = 8 /* one part in so many */ };
size_t large_ahead(size_t bytes);

#endif
