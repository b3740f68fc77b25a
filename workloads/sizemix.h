/* The size distribution of the workload sizemix, for its test. */
#ifndef HEAPMARK_WORKLOADS_SIZEMIX_H
#define HEAPMARK_WORKLOADS_SIZEMIX_H

#include <stdint.h>

/* A size in bytes, 1 to 1 MiB. */
uint32_t sizemix_draw(uint64_t *rng);

#endif
