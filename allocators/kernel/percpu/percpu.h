/*
 * What is done with a CPU's cells, and with the blocks of all.
 *
 * Only a thread on that CPU changes a cell, and only by the operations below: each of them is one
 * restartable sequence, so they need neither a lock nor an atomic instruction, and each leaves the
 * cell whole. Everything composed of several of them must stand another thread of the same CPU in
 * between: take out (exchange, swap), work on what is now private, put back, and look at what the
 * putting back gave you.
 *
 * Where there is no rseq, or by the knob percpu=thread, each thread has a block of its own, a slot,
 * and the same operations are plain code between slot_enter() and slot_leave().
 */
#ifndef KMEM_PERCPU_H
#define KMEM_PERCPU_H

#include "cells.h"

enum percpu_mode { PERCPU_NOT_STARTED, PERCPU_RSEQ, PERCPU_THREAD };

extern int percpu_mode;

/* Where the C library keeps the calling thread's rseq area, relative to the thread pointer. */
extern const ptrdiff_t __rseq_offset;
extern const unsigned __rseq_size;

/*
 * Chooses the mode; `want` PERCPU_NOT_STARTED: rseq if there is one. `indices` are the cells of one
 * node. One thread, before anything else here. A wish for rseq that cannot be granted is answered
 * with threads' slots.
 */
void percpu_start(enum percpu_mode want, unsigned indices);

/* Opens cell `index` in all blocks, present and future. The index must not be in use. */
void percpu_open(unsigned index, uint64_t magic);
void percpu_close(unsigned index);

/* Cell of an object that lies on `node`: what the table of frames holds. */
unsigned percpu_index(int node, unsigned index);

/*
 * The calling CPU's (thread's) block, made if need be and `gfp` may wait: false if there is none. Without
 * it the operations below fail, and the caller works on the slabs themselves.
 */
bool percpu_ready(gfp_t gfp);

/* A number that differs between CPUs (slots); what is spread by it meets little contention. */
unsigned percpu_number(void);

/* The node whose memory the calling thread should use. */
int percpu_node(void);

/* As the fast paths, in either mode. `node` is the object's. */
void *percpu_take(unsigned index);
bool percpu_put(unsigned index, int node, void *object);

/* Stores, and gives back what was there; false: no block, nothing done. */
bool percpu_swap(size_t cell, struct cpu_pair pair, struct cpu_pair *old);
bool percpu_exchange(size_t cell, void *word, void **old);

/* What is in the cell, or was a moment ago; NULL also without a block. */
void *percpu_peek(size_t cell);

/*
 * What a list has in place of a link that is stored at `at`, by rseq_list_pop() and rseq_list_push(); and the link
 * in place of that.
 */
static inline void *percpu_mangle(const void *link, const void *at, uintptr_t key)
{
    return (void *)((uintptr_t)link ^ key ^ __builtin_bswap64((uintptr_t)at));
}

/* See rseq_list_pop() and rseq_list_push(). */
void *percpu_list_take(size_t cell, size_t offset, uintptr_t key);
bool percpu_list_put(size_t cell, void *owner, void *object, size_t offset, uintptr_t key);

/*
 * From percpu_stop() to percpu_resume() no thread enters a block, and none is inside one: the caller
 * may read and change them all. Everybody else does without. May be called under no lock of the
 * layers above but slab_mutex.
 *
 * Where the system refuses the barrier that this takes (a filter of system calls, installed since the
 * start) and the caller is not alone, there are no blocks to be seen, and everybody does without them until
 * a later stop is granted its barrier or finds its caller alone. What lies in them stays there.
 */
void percpu_stop(void);
void percpu_resume(void);
/*
 * The same for somebody who can do without: where the barrier is refused, everybody goes on as before, blocks
 * included. False then: nothing is stopped, nor to be resumed.
 */
bool percpu_try_stop(void);
/* All blocks, linked by next. Between stop and resume. NULL also if they cannot be reached. */
struct cpu_block *percpu_blocks(void);
/* Whether the last stop reached the blocks; true before the first. Any thread. */
bool percpu_reachable(void);

/*
 * Around fork(). percpu_stop() has been called before, in the parent, and percpu_resume() follows. The child is
 * alone, and has blocks even where that stop was refused its barrier: others than those that it inherits, which
 * stay behind with all that is in them.
 */
void percpu_after_fork_child(void);

/* See RSEQ_DEFINE_VFORK(). What vfork() returns in the parent. */
pid_t percpu_after_vfork_parent(long result, int cpu) __attribute__((used));

/*
 * Gives back the objects of a block that no thread uses any more, with all blocks locked. Set by the
 * layer above.
 */
extern void (*percpu_drain_block)(struct cpu_block *b);

#endif
