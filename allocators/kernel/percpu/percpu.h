/*
 * What belongs to one CPU: a block of cells, 32 bytes for each cache in each of two arrays.
 *
 *      struct cpu_block
 *        sheaf[]   struct cpu_sheaf         the array of objects that malloc pops and free pushes
 *        slow[]    struct kmem_cache_cpu    the CPU's slab and spare sheaf
 *
 * Only a thread on that CPU changes a cell, and only by the operations below: each of them is one
 * restartable sequence, so they need neither a lock nor an atomic instruction, and each leaves the
 * cell whole. Everything composed of several of them must stand another thread of the same CPU in
 * between: take out (exchange, swap), work on what is now private, put back, and look at what the
 * putting back gave you.
 *
 * A thread finds its block through a table: area + table[cpu]. Entry 0 leads to `percpu_area` itself,
 * whose cells hold no object and accept none: that is what a CPU has before its first use, what a
 * thread without rseq gets (cpu_id -1, -2), and what everybody gets while somebody else works on the
 * blocks (percpu_stop()). The fast path needs no other test than "was there an object".
 *
 * Where there is no rseq, or by the knob percpu=thread, each thread has a block of its own, a slot,
 * and the same operations are plain code between slot_enter() and slot_leave().
 *
 * With several nodes a free() must not put an object of another node on the CPU's sheaf. Cells are
 * therefore numbered by node and cache: free() uses the cell of the object's node, and only the
 * cells of the block's own node accept anything. Allocation adds the node's part through a table of
 * its own.
 */
#ifndef KMEM_PERCPU_H
#define KMEM_PERCPU_H

#include "../types.h"
#include "rseq_x86_64.h"

#define PERCPU_CELLS 2048 /* of all nodes; a cell's offset fits 16 bits */
#define PERCPU_CELL  32   /* bytes */
#define PERCPU_CPUS  8192 /* the most a kernel can be built for */
#define PERCPU_SIZES 2049 /* requests up to 32 KiB, in steps of 16 bytes */

struct slab;
struct sheaf;

/* Cells of struct cpu_block.sheaf. `top` == `end`: full; `top`[-1] == NULL: empty. */
struct cpu_sheaf {
    void **top; /* behind the last object */
    void **end;
    uint64_t magic; /* of the object size, see rseq_push(); 0: nothing may be put here */
    uint32_t mask;  /* bytes of a slab - 1 */
    uint32_t unused;
};

/* Cells of struct cpu_block.slow. */
struct kmem_cache_cpu {
    void *freelist;       /* objects of `slab` that are this CPU's alone */
    struct slab *slab;    /* frozen */
    struct slab *partial; /* more frozen slabs, linked by next */
    struct sheaf *spare;
};

/* What changes hands in one piece: {top, end} or {freelist, slab}. */
struct cpu_pair {
    void *first, *second;
} __attribute__((aligned(16)));

struct cpu_block {
    struct cpu_sheaf sheaf[PERCPU_CELLS];
    struct kmem_cache_cpu slow[PERCPU_CELLS];
    size_t bias; /* bytes: the cells of this block's node, for allocation */
    int node;
    int cpu;                     /* -1: a thread's slot */
    struct cpu_block *next;      /* of all blocks */
    struct cpu_block *next_free; /* slots without a thread */
    int busy, stopped;           /* slots: see slot_enter() */
};

enum percpu_mode { PERCPU_NOT_STARTED, PERCPU_RSEQ, PERCPU_THREAD };

struct percpu_area {
    struct cpu_sheaf none[PERCPU_CELLS]; /* first: an entry of 0 leads here */
    ptrdiff_t unregistered_alloc[2];     /* index -2 and -1 of the table behind */
    ptrdiff_t alloc[PERCPU_CPUS];
    ptrdiff_t unregistered_free[2];
    ptrdiff_t free[PERCPU_CPUS];
    uint16_t size_cells[PERCPU_SIZES]; /* malloc's: the cell for (size + 15) / 16; 0: none */
};

extern struct percpu_area percpu_area;

/* The tables, as rseq_x86_64.h wants them. */
#define PERCPU_ALLOC offsetof(struct percpu_area, alloc)
#define PERCPU_FREE  offsetof(struct percpu_area, free)

extern int percpu_mode;

/* An array without room: what a cell holds that has no sheaf. */
extern void *percpu_no_sheaf[2];
#define PERCPU_NO_TOP (&percpu_no_sheaf[1])

/* Where the C library keeps the calling thread's rseq area, relative to the thread pointer. */
extern const ptrdiff_t __rseq_offset;
extern const unsigned __rseq_size;

#define PERCPU_SHEAF_CELL(index) ((size_t)(index)*PERCPU_CELL)
#define PERCPU_SLOW_CELL(index)  (offsetof(struct cpu_block, slow) + (size_t)(index)*PERCPU_CELL)

/* The two fast paths. `cell` is a PERCPU_SHEAF_CELL of a cache; for put, of node and cache. */
static inline __attribute__((always_inline)) void *percpu_take_fast(size_t cell)
{
    return rseq_pop(__rseq_offset, PERCPU_ALLOC, &percpu_area, cell);
}

static inline __attribute__((always_inline)) bool percpu_put_fast(size_t cell, void *object)
{
    return rseq_push(__rseq_offset, PERCPU_FREE, &percpu_area, cell, object);
}

/*
 * Chooses the mode; `want` PERCPU_NOT_STARTED: rseq if there is one. `indices` are the cells of one
 * node. One thread, before anything else here. A wish for rseq that cannot be granted is answered
 * with threads' slots.
 */
void percpu_start(enum percpu_mode want, unsigned indices);

/*
 * Opens cell `index` in all blocks, present and future: `magic` and `mask` as in struct cpu_sheaf, 0
 * when objects shall never be put on a sheaf. The index must not be in use.
 */
void percpu_open(unsigned index, uint64_t magic, uint32_t mask);
void percpu_close(unsigned index);

/*
 * The calling CPU's (thread's) block, made if need be: false if there is none. Without it the
 * operations below fail, and the caller works on the slabs themselves.
 */
bool percpu_ready(void);

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

/* See rseq_list_pop() and rseq_list_push(). */
void *percpu_list_take(size_t cell, size_t offset, uintptr_t key);
bool percpu_list_put(size_t cell, void *owner, void *object, size_t offset, uintptr_t key);

/*
 * From percpu_stop() to percpu_resume() no thread enters a block, and none is inside one: the caller
 * may read and change them all. Everybody else does without. May be called under no lock of the
 * layers above but slab_mutex.
 */
void percpu_stop(void);
void percpu_resume(void);
/* All blocks, linked by next. Between stop and resume. */
struct cpu_block *percpu_blocks(void);

/* The cell arrays of a block as its own node sees them. */
static inline struct cpu_sheaf *block_sheaf(struct cpu_block *b, unsigned index)
{
    return (struct cpu_sheaf *)((char *)b->sheaf + b->bias) + index;
}

static inline struct kmem_cache_cpu *block_slow(struct cpu_block *b, unsigned index)
{
    return (struct kmem_cache_cpu *)((char *)b->slow + b->bias) + index;
}

/* Cell of an object that lies on `node`: what the table of frames holds. */
unsigned percpu_index(int node, unsigned index);

/* Around fork(). percpu_stop() has been called before, in the parent. */
void percpu_after_fork_child(void);

/* Slots of threads (percpu=thread). */
struct cpu_block *slot_enter(void); /* NULL: none, or stopped */
void slot_leave(struct cpu_block *b);
void slots_start(void);
void slots_stop(struct cpu_block *blocks);
void slots_resume(struct cpu_block *blocks);
struct cpu_block *slot_mine(void); /* NULL: this thread has none */

/*
 * Gives back the objects of a block that no thread uses any more, with all blocks locked. Set by the
 * layer above.
 */
extern void (*percpu_drain_block)(struct cpu_block *b);

/* A new or reused block for a slot; NULL if memory is short. Draining it when it is free again. */
struct cpu_block *percpu_new_slot(void);
void percpu_free_slot(struct cpu_block *b);

#endif
