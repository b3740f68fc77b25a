/*
 * Every tunable, where it comes from and what it may be.
 */
#ifndef PTM_KNOBS_H
#define PTM_KNOBS_H

#include "types.h"

#define PTM_MMAP_THRESHOLD_MIN ((size_t)128 << 10)
#define PTM_MMAP_THRESHOLD_MAX ((size_t)32 << 20)
#define PTM_FASTBIN_LIMIT      160u /* largest request that mallopt(M_MXFAST) takes */

struct ptm_knobs {
    size_t arena_max; /* arenas; 0: eight for each core */
    size_t
        tcache_count;  /* cached chunks of one size; PTM_TCACHE_AUTO: by size; 0: no thread cache */
    size_t tcache_max; /* largest cached request, bytes */
    size_t mmap_threshold; /* requests from here on may get mappings of their own, bytes */
    size_t mmap_max;       /* such mappings at a time */
    size_t trim_threshold; /* top chunk from which memory is returned, bytes */
    size_t top_pad; /* asked of the system beyond what is needed, bytes; a quarter of glibc's: what
                       is parked gets merged before an arena grows, so that growing in small
                       steps reuses memory that larger ones leave behind */
    size_t fastbin_max; /* largest chunk whose fast bin is not bounded, bytes; 0: no fast bins */
    size_t perturb; /* low byte: free memory is filled with it, new memory with its complement */
    bool fixed;     /* a threshold was set by hand: do not adapt them */
    uint32_t epoch; /* changes whenever thread caches have to set themselves up anew */
};

#define PTM_TCACHE_AUTO SIZE_MAX

extern struct ptm_knobs ptm_knobs;

/*
 * Reads HEAPMARK_PTMALLOC ("arenas=1:tcache=0:mmap_threshold=128k"). A malformed string is
 * reported in one line on standard error and changes nothing.
 */
void knobs_from_environment(void);

/* mallopt(): 1 if taken or unknown (as in the original), 0 if the value is out of range. */
int knobs_mallopt(int parameter, int value);

#endif
