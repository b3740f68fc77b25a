#include "include/allocator.h"

/* It aborts at a value that is none, and goes on after a name that it does not know. */
static const struct allocator_knob knobs[] = {
    {"*", KNOB_TEXT, 0, 0, NULL, "option of SCUDO_OPTIONS; a trial ends where scudo refuses it"},
    {0},
};

const struct allocator allocator_scudo = {
    .name = "scudo",
    .summary = "hardened allocator with checksummed headers (LLVM, Android's default)",
    .package = "libclang-rt-14-dev",
    .colour = "#56b4e9",
    .risks = "made for safety: it aborts on misuse that others let pass, so a program with a "
             "hidden fault "
             "may now stop; slower than the others by design",
    .libraries =
        (const char *const[]){
            "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*64.so",
            NULL,
        },
    .knob_template = "SCUDO_OPTIONS={name}={value}:",
    .knobs = knobs,
    .refusal = "unrecognized flag",
};
