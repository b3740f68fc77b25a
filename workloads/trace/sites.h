/*
 * Which call sites allocate, by the return addresses that a trace has of its allocations. Memory
 * grows with the number of different sites. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_SITES_H
#define HEAPMARK_TRACE_SITES_H

#include <stddef.h>
#include <stdint.h>

enum {
    SITE_FRAMES = 8,     /* innermost return addresses by which sites are told apart */
    SITES_MAX = 1 << 20, /* what comes after goes into one site without frames */
};

struct trace_site {
    uint64_t frames[SITE_FRAMES];
    uint32_t depth; /* frames used */
    uint64_t hash;
    uint64_t objects, bytes;           /* made */
    uint64_t live_objects, live_bytes; /* not ended so far */
};

struct trace_sites {
    struct trace_site *sites;
    uint32_t count, capacity;
    uint32_t *table; /* of places in `sites`, by hash; UINT32_MAX: vacant */
    uint32_t table_size;
};

/* The site of a stack, innermost first; made if it is new. 0 or -ENOMEM. Start zeroed. */
int trace_sites_find(struct trace_sites *sites, const uint64_t *stack, uint32_t depth,
                     uint32_t *site);

/* Most bytes first. The numbers of sites mean nothing from then on. */
void trace_sites_sort(struct trace_sites *sites);

void trace_sites_release(struct trace_sites *sites);

#endif
