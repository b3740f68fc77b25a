#include "tcmalloc.h"

static const char *const truths[] = {"true", "false", "yes", "no", NULL};

/* Knobs become TCMALLOC_NAME in the environment, such as TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES. */
const struct allocator_knob tcmalloc_knobs[] = {
    {"memfs_malloc_path", KNOB_TEXT, 0, 0, NULL,
     "where the files for memory from a file system lie"},
    {"*", KNOB_DECIMAL, 0, 0, truths,
     "setting of tcmalloc, which ignores names it does not know without a word"},
    {0},
};

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
    .knobs = tcmalloc_knobs,
};
