/* The allocators that heapmark has a descriptor for, in the order of list.def. */
#ifndef HEAPMARK_ALLOCATORS_REGISTRY_H
#define HEAPMARK_ALLOCATORS_REGISTRY_H

#include "include/allocator.h"

/* NULL-terminated. */
extern const struct allocator *const allocators[];

/* The descriptor of that name, or NULL. */
const struct allocator *allocator_find(const char *name);

#endif
