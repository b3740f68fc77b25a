/* The size distributions of the workload kmalloc-mix, for their test. */
#ifndef HEAPMARK_WORKLOADS_KMALLOC_MIX_H
#define HEAPMARK_WORKLOADS_KMALLOC_MIX_H

#include <stdbool.h>
#include <stdint.h>

/* A size in bytes, 1 to 8192, and whether an object of it can be reclaimed. */
struct kmalloc_draw {
    uint32_t size;
    bool is_reclaimable;
};

/* Of an object that stays, or of one that lasts for a system call. */
struct kmalloc_draw kmalloc_mix_draw(bool lasting, uint64_t *rng);

#endif
