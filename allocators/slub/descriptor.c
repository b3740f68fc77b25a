#include "include/allocator.h"

/* One library of the stack in allocators/kernel. */
static const struct allocator_knob knobs[] = {
    {"sheaves", "0: no per-CPU arrays of objects, but the classic free lists of CPU slabs"},
    {"percpu", "rseq: restartable sequences; thread: a slot for each thread; auto"},
    {"cpu_partial", "objects on a CPU's partial list, with sheaves=0 (default: by size)"},
    {"min_partial", "empty slabs that a node keeps for each cache (default: by size)"},
    {"nodes", "split CPUs and memory into so many pretend nodes"},
    {"pool", "bytes of page frames (default: as much as the machine has memory)"},
    {"reserve", "bytes that only GFP_ATOMIC may use"},
    {"barn", "bytes of free objects that each node keeps in sheaves, for each cache"},
    {"stats", "1: count the events of every cache"},
    {"debug", "1: name double frees, writes past the end and writes after free (slow)"},
    {NULL, NULL},
};

const struct allocator allocator_slub = {
    .name = "slub",
    .summary = "heapmark's own kernel-style stack: SLUB over a buddy system, per-CPU by rseq",
    .colour = "#332288",
    .risks = "made for study: no years in production; blocks above 32 KiB take whole pages; needs "
             "address space for a pool as large as the machine's memory",
    .libraries = (const char *const[]){"libhm_slub.so", NULL},
    .knob_template = "HEAPMARK_SLUB={name}={value}:",
    .knobs = knobs,
};
