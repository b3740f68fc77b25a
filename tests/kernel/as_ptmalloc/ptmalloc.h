/*
 * Lets the programs that test one malloc test another: its functions under the names they expect.
 */
#ifndef AS_PTMALLOC_H
#define AS_PTMALLOC_H

#include "kmem.h"
#include "malloc/slub_malloc.h"

#define ptm_malloc             slub_malloc
#define ptm_calloc             slub_calloc
#define ptm_realloc            slub_realloc
#define ptm_reallocarray       slub_reallocarray
#define ptm_free               slub_free
#define ptm_memalign           slub_memalign
#define ptm_aligned_alloc      slub_aligned_alloc
#define ptm_posix_memalign     slub_posix_memalign
#define ptm_valloc             slub_valloc
#define ptm_pvalloc            slub_pvalloc
#define ptm_malloc_usable_size slub_malloc_usable_size
#define ptm_malloc_trim        slub_malloc_trim
#define ptm_malloc_stats       slub_malloc_stats
#define ptm_mallinfo2          slub_mallinfo2
#define ptm_check              kmem_check

#endif
