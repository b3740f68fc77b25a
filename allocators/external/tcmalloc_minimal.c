#include "tcmalloc.h"

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
    .knobs = tcmalloc_knobs,
};
