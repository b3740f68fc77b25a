#include "include/allocator.h"

static const char *const truths[] = {"true", "false", "yes", "no", "on", "off", NULL};

static const struct allocator_knob knobs[] = {
    {"reserve_os_memory", KNOB_BYTES, 0, SIZE_MAX, NULL,
     "memory reserved at the start; a bare number is KiB"},
    {"*", KNOB_DECIMAL, 0, 0, truths,
     "option of mimalloc, which ignores names it does not know without a word"},
    {0},
};

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
    .knobs = knobs,
    .refusal = "has an invalid value",
};
