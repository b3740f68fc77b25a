/* The knobs of libhm_ptmalloc.so, for every allocator that is made of it; ended by a NULL name. */
#ifndef PTM_DESCRIPTOR_H
#define PTM_DESCRIPTOR_H

#include "include/allocator.h"

extern const struct allocator_knob ptmalloc_knobs[];

#endif
