#include "include/allocator.h"

/* The ranges are those of glibc 2.36, which takes no units, and ignores unsaid what is outside. */
static const struct allocator_knob knobs[] = {
    {"arena_max", KNOB_COUNT, 1, SIZE_MAX, NULL, "most arenas (default: eight for each core)"},
    {"arena_test", KNOB_COUNT, 1, SIZE_MAX, NULL, "arenas before their number is limited"},
    {"tcache_count", KNOB_COUNT, 0, 65535, NULL,
     "blocks of one size that a thread caches; 0: no thread cache"},
    {"tcache_max", KNOB_COUNT, 0, 1032, NULL, "largest block that a thread caches, in bytes"},
    {"tcache_unsorted_limit", KNOB_COUNT, 0, SIZE_MAX, NULL,
     "unsorted chunks looked at while the thread cache is filled"},
    {"mmap_threshold", KNOB_COUNT, 0, 32 << 20, NULL,
     "blocks from this size on get a mapping of their own"},
    {"mmap_max", KNOB_COUNT, 0, INT32_MAX, NULL, "most such mappings"},
    {"trim_threshold", KNOB_COUNT, 0, SIZE_MAX, NULL,
     "free bytes at the top of the heap that are given back"},
    {"top_pad", KNOB_COUNT, 0, SIZE_MAX, NULL, "bytes that are asked for beyond what is needed"},
    {"mxfast", KNOB_COUNT, 0, 160, NULL, "largest block of the fast bins, in bytes"},
    {"perturb", KNOB_COUNT, 0, 255, NULL, "byte pattern that fills blocks"},
    {"hugetlb", KNOB_COUNT, 0, SIZE_MAX, NULL,
     "1: transparent huge pages, 2: the default huge page size"},
    {0},
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
