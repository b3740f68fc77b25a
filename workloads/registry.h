/* The workloads that heapmark has, in the order of list.def. */
#ifndef HEAPMARK_WORKLOADS_REGISTRY_H
#define HEAPMARK_WORKLOADS_REGISTRY_H

#include "include/workload.h"

/* NULL-terminated. */
extern const struct workload *const workloads[];

/* The workload of that name, or NULL. */
const struct workload *workload_find(const char *name);

#endif
