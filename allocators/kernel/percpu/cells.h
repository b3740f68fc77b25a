/*
 * What belongs to one CPU: a block of cells, 32 bytes for each cache in each of two arrays.
 *
 *      struct cpu_block
 *        sheaf[]   struct cpu_sheaf         the array of objects that malloc pops and free pushes
 *        slow[]    struct kmem_cache_cpu    the CPU's slab and spare sheaf
 *
 * A thread finds its block through a table by CPU. Without a block it leads to `percpu_area.none`,
 * whose cells hold no object and accept none: that is what a CPU has before its first use, what a
 * thread without rseq gets (cpu_id -1, -2), and what everybody gets while somebody else works on the
 * blocks (percpu_stop()). The fast path needs no other test than "was there an object".
 *
 * With several nodes a free() must not put an object of another node on the CPU's sheaf. Cells are
 * therefore numbered by node and cache: free() uses the cell of the object's node, and only the
 * cells of the block's own node accept anything. Allocation adds the node's part through a table of
 * its own.
 */
#ifndef KMEM_CELLS_H
#define KMEM_CELLS_H

#include "../types.h"
#include "rseq_x86_64.h"

#define PERCPU_CELLS 2048 /* of all nodes; a cell's offset fits 16 bits */
#define PERCPU_CELL  32   /* bytes */
#define PERCPU_CPUS  8192 /* the most a kernel can be built for */
#define PERCPU_SIZES 2048 /* requests up to 32 KiB, in steps of 16 bytes */
#define PERCPU_SMALL 1025 /* requests up to 1 KiB, by the byte */
#define PERCPU_AHEAD 4    /* malloc asks for the line of the object so far below the popped one */

struct slab;
struct sheaf;

/*
 * Cells of struct cpu_block.sheaf. `top` == `end`: full; `top`[-1] == NULL: empty. PERCPU_AHEAD words
 * below the lowest object can be read, and what they point to may be prefetched.
 */
struct cpu_sheaf {
    uint64_t magic; /* see cell_magic() */
    uint64_t unused;
    void **top __attribute__((aligned(16))); /* behind the last object */
    void **end;
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

/*
 * What malloc and free read besides a cell. A load waits for a store shortly before it to an address
 * with the same low 12 bits, whatever page either is in. These two functions store at offset 16 of
 * a cell (top) and 8 of the C library's rseq area; both are 32 bytes large and aligned. So nothing
 * here that is read for every call lies at such an offset in its 32 bytes, or else it lies where a page
 * of cells has those of index 2 to 8, which belong to caches without sheaves, as far as it is not too
 * long. Words lie in reach of a displacement of one byte from `none`.
 */
struct percpu_area {
    char unused[0xfa0];
    uintptr_t pool; /* address of frame 0 */
    uint64_t unused_a8[2];
    size_t pool_bytes; /* in which free may use frame_cells: all, or 0 */
    /* For each frame the cell of the slab's cache and node, 0: none, or see slab_cell(). */
    uint16_t *frame_cells;
    uint64_t unused_c8[2];
    /* Entries of small_cells that malloc may use: all, or 0, also where rseq is not at KMEM_RSEQ_OFFSET. */
    size_t small;
    size_t sizes; /* the same of size_cells */
    uint64_t unused_e8[2];
    ptrdiff_t rseq;                      /* __rseq_offset */
    struct cpu_sheaf none[PERCPU_CELLS]; /* of who has no block */
    char unused_alloc[0x30];
    char *unregistered_alloc[2]; /* index -2 and -1 of the table behind */
    char *alloc[PERCPU_CPUS];    /* in the CPU's block, the cells of its node */
    char unused_free[0x80];
    char *unregistered_free[2];
    char *free[PERCPU_CPUS]; /* the CPU's block */
    char unused_sizes[0xf80];
    uint16_t small_cells[PERCPU_SMALL]; /* malloc's: the cell for a size; 0: none */
    uint16_t size_cells[PERCPU_SIZES];  /* and for (size - 1) / 16 */
};

#define PERCPU_FROM_NONE(field) \
    ((ptrdiff_t)offsetof(struct percpu_area, field) - (ptrdiff_t)offsetof(struct percpu_area, none))

/* Where in their pages: see above. */
_Static_assert(offsetof(struct percpu_area, none) % 4096 == 0 && PERCPU_FROM_NONE(pool) >= -128 &&
                   offsetof(struct percpu_area, alloc) % 4096 == 0x40 &&
                   offsetof(struct percpu_area, free) % 4096 == 0xd0 &&
                   offsetof(struct percpu_area, small_cells) % 4096 == 0x50,
               "what is read often lies apart from what is stored often");

extern struct percpu_area percpu_area;

/*
 * The address of frame 0 if free may count on two things that save it a load or two: that the cells of
 * CELLS_IN_FRONT frames end there, and that rseq is at KMEM_RSEQ_OFFSET. Otherwise an address from which no
 * pointer lies so many frames up, nor an integer that was freed by mistake. Not zero before the start, so not in the
 * area. Aligned for the reason above.
 */
extern uintptr_t percpu_near_pool;
#define PERCPU_NO_POOL ((uintptr_t)0x9d3c5a7100000000)

/* What size_cells has for `step`. */
static inline size_t percpu_cell_of_step(const char *none, size_t step)
{
    const uint16_t *sizes = (const uint16_t *)(none + PERCPU_FROM_NONE(size_cells));

    return __atomic_load_n(&sizes[step], __ATOMIC_RELAXED);
}

/*
 * Which pointers start an object of `size` bytes, when objects start at multiples of their size counted
 * from the start of the pool: those `at` bytes into it whose product with the magic, modulo 2^64, is
 * less than their address. With magic * size = 2^64 + e, where e < size, a multiple q * size gives
 * q * e, not more than itself; anything else gives at least the magic, which up to 64 KiB is more than any
 * address has.
 */
static inline uint64_t cell_magic(unsigned size)
{
    return UINT64_MAX / size + 1;
}

static inline bool cell_starts(uint64_t magic, const void *object)
{
    return ((uintptr_t)object - percpu_area.pool) * magic < (uintptr_t)object;
}

/* The cell of a slab's frame. */
static inline size_t cell_of_frame(size_t frame)
{
    return __atomic_load_n(&percpu_area.frame_cells[frame], __ATOMIC_RELAXED);
}

/* The tables, as rseq_x86_64.h wants them. */
#define PERCPU_NONE  ((char *)percpu_area.none)
#define PERCPU_ALLOC PERCPU_FROM_NONE(alloc)
#define PERCPU_FREE  PERCPU_FROM_NONE(free)

/* An array without room: what a cell holds that has no sheaf. */
extern void *percpu_no_sheaf[2];
#define PERCPU_NO_TOP (&percpu_no_sheaf[1])

#define PERCPU_SHEAF_CELL(index) ((size_t)(index)*PERCPU_CELL)
#define PERCPU_PAIR_CELL(index)  (PERCPU_SHEAF_CELL(index) + offsetof(struct cpu_sheaf, top))
#define PERCPU_SLOW_CELL(index)  (offsetof(struct cpu_block, slow) + (size_t)(index)*PERCPU_CELL)

/* The cell arrays of a block as its own node sees them. */
static inline struct cpu_sheaf *block_sheaf(struct cpu_block *b, unsigned index)
{
    return (struct cpu_sheaf *)((char *)b->sheaf + b->bias) + index;
}

static inline struct kmem_cache_cpu *block_slow(struct cpu_block *b, unsigned index)
{
    return (struct kmem_cache_cpu *)((char *)b->slow + b->bias) + index;
}

/*
 * Where the empty cells lie, in a register: the tables are then reached with it and a displacement,
 * where the compiler would make several addresses of one.
 */
static inline __attribute__((always_inline)) char *percpu_none(void)
{
    char *none = (char *)percpu_area.none;

    __asm__("" : "+r"(none));
    return none;
}

/*
 * The two fast paths, after percpu_start(). `cell` is a PERCPU_SHEAF_CELL of a cache; for put, of node
 * and cache. `ahead` is what will be taken PERCPU_AHEAD calls later, or an address whose line may be asked for.
 */
static inline __attribute__((always_inline)) bool percpu_take_fast(char *none, size_t cell,
                                                                   void **object, void **ahead)
{
    return rseq_pop(percpu_area.rseq, PERCPU_ALLOC, none, cell, 8 * PERCPU_AHEAD, object, ahead);
}

static inline __attribute__((always_inline)) bool percpu_put_fast(size_t cell, void *object)
{
    return rseq_push(percpu_area.rseq, PERCPU_FREE, percpu_none(), cell, object,
                     (uintptr_t)object - percpu_area.pool);
}

#endif
