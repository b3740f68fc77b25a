#include "include/allocator.h"

static const struct allocator_knob knobs[] = {
    {"arena_max", "most arenas; 0: eight for each core"},
    {"arena_test", "arenas before their number is limited"},
    {"tcache_count", "blocks of one size that a thread caches; 0: no thread cache"},
    {"tcache_max", "largest block that a thread caches, in bytes"},
    {"tcache_unsorted_limit", "unsorted chunks looked at while the thread cache is filled"},
    {"mmap_threshold", "blocks from this size on get a mapping of their own"},
    {"mmap_max", "most such mappings"},
    {"trim_threshold", "free bytes at the top of the heap that are given back"},
    {"top_pad", "bytes that are asked for beyond what is needed"},
    {"mxfast", "largest block of the fast bins, in bytes"},
    {"perturb", "byte pattern that fills blocks"},
    {"hugetlb", "1: transparent huge pages, 2: the default huge page size"},
    {NULL, NULL},
};

const struct allocator allocator_system = {
    .name = "system",
    .summary = "the machine's C library (glibc's ptmalloc)",
    .package = "libc6",
    .colour = "#777777",
    .risks = "none that the program does not run today",
    .libraries = NULL,
    .knob_template = "GLIBC_TUNABLES=glibc.malloc.{name}={value}:",
    .knobs = knobs,
};
