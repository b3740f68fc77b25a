#include "allocators/ptmalloc/descriptor.h"

/* The ancestor's design out of the descendant: see allocators/ptmalloc. */
const struct allocator allocator_dlmalloc = {
    .name = "dlmalloc",
    .summary = "ptmalloc with one arena, one lock and no thread cache: its ancestor's design",
    .colour = "#999933",
    .risks = "one lock for all threads, which then wait for one another; made for comparison",
    .libraries = (const char *const[]){"libhm_ptmalloc.so", NULL},
    .knob_template = "HEAPMARK_PTMALLOC={name}={value}:",
    .knobs = ptmalloc_knobs,
    .refusal = "; using the defaults",
    .preset = "arenas=1:tcache=0",
};
