/* What gperftools' two libraries have in common. */
#ifndef TCMALLOC_H
#define TCMALLOC_H

#include "include/allocator.h"

extern const struct allocator_knob tcmalloc_knobs[];

#endif
