/*
 * Knobs from the environment, read once at start: HEAPMARK_SLUB, a list name=value joined by ':', and
 * HEAPMARK_KMEM_NODES, the number of pretend nodes.
 */
#ifndef KMEM_CONFIG_H
#define KMEM_CONFIG_H

#include <stddef.h>

#define CONFIG_AUTO ((size_t)-1)

struct kmem_config {
    size_t sheaves;     /* 0: the classic free lists of CPU slabs */
    size_t percpu;      /* enum percpu_mode */
    size_t cpu_partial; /* objects on a CPU's partial list (sheaves=0); CONFIG_AUTO: by size */
    size_t min_partial; /* empty slabs that a node keeps; CONFIG_AUTO: by size */
    size_t nodes;       /* pretend nodes; 0: as the machine has them */
    size_t pool;        /* bytes of page frames; 0: as the machine has memory */
    size_t reserve;     /* bytes kept for GFP_ATOMIC */
    size_t stats;       /* 1: count what happens, in every call */
    size_t debug;       /* 1: find misuse of objects, see slub/debug.h; implies stats */
    size_t warn;        /* 1: a line for each allocation of pages that failed, see __GFP_NOWARN */
    size_t barn;        /* bytes of free objects that a node's barn holds, for each cache */
    size_t near; /* 0: malloc and free look up what may be taken for granted, see rseq_x86_64.h */
};

extern struct kmem_config kmem_config;

/* From the environment. One thread, before anything else; allocates nothing. */
void config_read(void);

#endif
