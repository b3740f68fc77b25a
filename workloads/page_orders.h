/* The distribution of orders that the workload page-orders calls "mix", for its test. */
#ifndef HEAPMARK_WORKLOADS_PAGE_ORDERS_H
#define HEAPMARK_WORKLOADS_PAGE_ORDERS_H

#include <stdint.h>

/* An order, 0 to 10. */
uint32_t page_orders_draw(uint64_t *rng);

#endif
