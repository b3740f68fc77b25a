#include "include/allocator.h"

#define TIB ((size_t)1 << 40)

static const struct allocator_knob knobs[] = {
    {"populate", KNOB_BYTES, 16 << 10, TIB, NULL,
     "bytes of each thread's first arena that are resident from the start"},
    {"ring", KNOB_BYTES, 16 << 10, TIB, NULL,
     "the same, used over and over: for loops that keep less live"},
    {0},
};

const struct allocator allocator_null = {
    .name = "null",
    .summary = "bump allocator that never frees: the harness's own floor",
    .colour = "#bbbbbb",
    .risks = "never frees, so memory only grows: for floors, not for programs",
    .libraries = (const char *const[]){"libhm_null.so", NULL},
    .knob_template = "HEAPMARK_NULL={name}={value}:",
    .knobs = knobs,
    .refusal = "; using the defaults",
};
