#include "include/allocator.h"

static const struct allocator_knob knobs[] = {
    {"use_huge_pages", KNOB_COUNT, 0, 1, NULL, "1: huge pages where there are some"},
    {"set_huge_size_threshold", KNOB_COUNT, 0, INT64_MAX, NULL,
     "blocks from this size on are not cached, in bytes"},
    {0},
};

const struct allocator allocator_tbb = {
    .name = "tbb",
    .summary = "oneTBB's scalable allocator behind its malloc proxy (Intel)",
    .package = "libtbbmalloc2",
    .colour = "#cc79a7",
    .risks = "keeps the memory of small objects for its own reuse and gives little of it back; the "
             "proxy "
             "needs libtbbmalloc.so.2 beside it",
    .libraries = (const char *const[]){"libtbbmalloc_proxy.so.2", NULL},
    .knob_template = "TBB_MALLOC_{NAME}={value}",
    .knobs = knobs,
};
