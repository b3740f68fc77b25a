#include "include/allocator.h"

static const char *const truths[] = {"true", "false", "yes", "no", NULL};

/* Knobs become TCMALLOC_NAME in the environment, such as TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES. */
static const struct allocator_knob knobs[] = {
    {"memfs_malloc_path", KNOB_TEXT, 0, 0, NULL,
     "where the files for memory from a file system lie"},
    {"*", KNOB_DECIMAL, 0, 0, truths,
     "setting of tcmalloc, which ignores names it does not know without a word"},
    {0},
};

const struct allocator allocator_tcmalloc_minimal = {
    .name = "tcmalloc_minimal",
    .summary = "gperftools' thread-caching malloc, without profiler",
    .package = "libtcmalloc-minimal4",
    .colour = "#e69f00",
    .risks =
        "gives freed memory back slowly (TCMALLOC_RELEASE_RATE); a double free corrupts its state "
        "silently",
    .libraries = (const char *const[]){"libtcmalloc_minimal.so.4", NULL},
    .knob_template = "TCMALLOC_{NAME}={value}",
    .knobs = knobs,
};
