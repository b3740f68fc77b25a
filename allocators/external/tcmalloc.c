#include "include/allocator.h"

/* Knobs become TCMALLOC_NAME in the environment, such as TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES. */
const struct allocator allocator_tcmalloc = {
    .name = "tcmalloc",
    .summary = "gperftools' thread-caching malloc, with its heap profiler",
    .package = "libgoogle-perftools4",
    .colour = "#d55e00",
    .risks =
        "gives freed memory back slowly (TCMALLOC_RELEASE_RATE); a double free corrupts its state "
        "silently; the library with the profiler reads HEAPPROFILE and CPUPROFILE",
    .libraries = (const char *const[]){"libtcmalloc.so.4", NULL},
    .knob_template = "TCMALLOC_{NAME}={value}",
};
