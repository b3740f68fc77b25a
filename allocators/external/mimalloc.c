#include "include/allocator.h"

const struct allocator allocator_mimalloc = {
    .name = "mimalloc",
    .summary = "per-thread pages with sharded free lists (Microsoft)",
    .package = "libmimalloc2.0",
    .colour = "#009e73",
    .risks =
        "a block freed by another thread is reused only when its owner next allocates, so an idle "
        "owner keeps memory",
    .libraries = (const char *const[]){"libmimalloc.so.2", NULL},
    .knob_template = "MIMALLOC_{NAME}={value}",
};
