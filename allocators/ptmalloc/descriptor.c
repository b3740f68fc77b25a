#include "allocators/ptmalloc/descriptor.h"

const struct allocator_knob ptmalloc_knobs[] = {
    {"arenas", KNOB_COUNT, 1, 65536, NULL, "most arenas (default: eight for each core)"},
    {"tcache", KNOB_COUNT, 0, 255, NULL,
     "blocks of one size that a thread caches; 0: no thread cache"},
    {"tcache_max", KNOB_BYTES, 24, 1032, NULL, "largest block that a thread caches, in bytes"},
    {"mmap_threshold", KNOB_BYTES, 1, PTRDIFF_MAX, NULL,
     "blocks from this size on get a mapping of their own"},
    {"mmap_max", KNOB_COUNT, 0, INT32_MAX, NULL, "most such mappings"},
    {"trim_threshold", KNOB_BYTES, 0, SIZE_MAX, NULL,
     "free bytes at the top of an arena that are given back"},
    {"top_pad", KNOB_BYTES, 0, 1 << 30, NULL, "bytes that are asked for beyond what is needed"},
    {"fastbin_max", KNOB_BYTES, 0, 1040, NULL, "largest chunk of the fast bins, in bytes"},
    {"perturb", KNOB_COUNT, 0, 255, NULL, "byte pattern that fills blocks"},
    {0},
};

const struct allocator allocator_ptmalloc = {
    .name = "ptmalloc",
    .summary = "heapmark's own allocator in the ptmalloc design (arenas, bins, thread cache)",
    .colour = "#882255",
    .risks = "young: tested under python3, gcc, git, sqlite3 and redis, but with no years in "
             "production; "
             "aborts on misuse as glibc does",
    .libraries = (const char *const[]){"libhm_ptmalloc.so", NULL},
    .knob_template = "HEAPMARK_PTMALLOC={name}={value}:",
    .knobs = ptmalloc_knobs,
    .refusal = "; using the defaults",
};
