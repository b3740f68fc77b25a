#include "include/allocator.h"

static const struct allocator_knob knobs[] = {
    {"populate", "bytes of each thread's first arena that are resident from the start"},
    {"ring", "the same, used over and over: for loops that keep less live"},
    {NULL, NULL},
};

const struct allocator allocator_null = {
    .name = "null",
    .summary = "bump allocator that never frees: the harness's own floor",
    .colour = "#bbbbbb",
    .risks = "never frees, so memory only grows: for floors, not for programs",
    .libraries = (const char *const[]){"libhm_null.so", NULL},
    .knob_template = "HEAPMARK_NULL={name}={value}:",
    .knobs = knobs,
};
