/* What the files of this folder share: blocks, and slots, which are blocks of threads. */
#ifndef KMEM_BLOCKS_H
#define KMEM_BLOCKS_H

#include "percpu.h"

/* The calling CPU's block, stopped or not; a moment later it may be another's. NULL: none. */
struct cpu_block *block_of_this_cpu(void);

/*
 * For stops: every other thread has passed a memory barrier when this returns, by one of the system's commands
 * for it, or there is none. False: the system refused.
 */
bool percpu_barrier(int command);

/* Slots of threads (percpu=thread). */
bool slot_make(void);               /* the calling thread's, if it has none */
struct cpu_block *slot_enter(void); /* NULL: none, or stopped */
void slot_leave(struct cpu_block *b);
void slots_start(void);
bool slots_stop(struct cpu_block *blocks); /* false: the system refused the barrier */
void slots_resume(struct cpu_block *blocks);
struct cpu_block *slot_mine(void); /* NULL: this thread has none */

/*
 * A new or reused block for a slot; NULL if memory is short or blocks cannot be reached. Draining it when
 * it is free again.
 */
struct cpu_block *percpu_new_slot(void);
void percpu_free_slot(struct cpu_block *b);

#endif
