#include "include/allocator.h"

static const struct allocator_knob knobs[] = {
    {"arenas", "most arenas (default: eight for each core)"},
    {"tcache", "blocks of one size that a thread caches; 0: no thread cache"},
    {"tcache_max", "largest block that a thread caches, in bytes"},
    {"mmap_threshold", "blocks from this size on get a mapping of their own"},
    {"mmap_max", "most such mappings"},
    {"trim_threshold", "free bytes at the top of an arena that are given back"},
    {"top_pad", "bytes that are asked for beyond what is needed"},
    {"fastbin_max", "largest chunk of the fast bins, in bytes"},
    {"perturb", "byte pattern that fills blocks"},
    {NULL, NULL},
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
    .knobs = knobs,
};
