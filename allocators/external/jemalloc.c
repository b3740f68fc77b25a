#include "include/allocator.h"

/* MALLOC_CONF knows over a hundred options; what it does not take it says: none are listed. */
static const struct allocator_knob knobs[] = {
    {"*", KNOB_TEXT, 0, 0, NULL, "option of MALLOC_CONF; a trial ends where jemalloc refuses it"},
    {0},
};

const struct allocator allocator_jemalloc = {
    .name = "jemalloc",
    .summary = "arenas with size-classed slabs and thread caches (FreeBSD, Meta)",
    .package = "libjemalloc2",
    .colour = "#0072b2",
    .risks = "keeps freed pages for 10 s before it gives them back (dirty_decay_ms); a double free "
             "corrupts its state silently; its thread-local storage is of the static model, so "
             "preload it and do not dlopen it",
    .libraries = (const char *const[]){"libjemalloc.so.2", NULL},
    .knob_template = "MALLOC_CONF={name}:{value},",
    .knobs = knobs,
    .refusal = " conf ",
};
