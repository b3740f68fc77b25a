#include "include/allocator.h"

#define TIB ((size_t)1 << 40)

static const char *const modes[] = {"auto", "rseq", "thread", NULL};

/* One library of the stack in allocators/kernel. */
static const struct allocator_knob knobs[] = {
    {"sheaves", KNOB_COUNT, 0, 1, NULL,
     "0: no per-CPU arrays of objects, but the classic free lists of CPU slabs"},
    {"percpu", KNOB_WORD, 0, 0, modes,
     "rseq: restartable sequences; thread: a slot for each thread; auto"},
    {"cpu_partial", KNOB_COUNT, 0, 1024, NULL,
     "objects on a CPU's partial list, with sheaves=0 (default: by size)"},
    {"min_partial", KNOB_COUNT, 0, 1024, NULL,
     "empty slabs that a node keeps for each cache (default: by size)"},
    {"nodes", KNOB_COUNT, 1, 64, NULL, "split CPUs and memory into so many pretend nodes"},
    {"pool", KNOB_BYTES, 4 << 20, 4 * TIB, NULL,
     "bytes of page frames (default: as much as the machine has memory)"},
    {"reserve", KNOB_BYTES, 0, TIB, NULL, "bytes that only GFP_ATOMIC may use"},
    {"barn", KNOB_BYTES, 0, 1 << 30, NULL,
     "bytes of free objects that each node keeps in sheaves, for each cache"},
    {"near", KNOB_COUNT, 0, 1, NULL,
     "0: malloc and free look up where rseq and the frames' cells are (default: known)"},
    {"stats", KNOB_COUNT, 0, 1, NULL, "1: count the events of every cache"},
    {"debug", KNOB_COUNT, 0, 1, NULL,
     "1: name double frees, writes past the end and writes after free (slow)"},
    {"warn", KNOB_COUNT, 0, 1, NULL, "1: a line for each allocation of pages that failed"},
    {0},
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
    .refusal = "; using the defaults",
};
