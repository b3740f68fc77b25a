/*
 * Page frames: the buddy system and what surrounds it, as the layers above see it.
 *
 * What is fast: order 0 to 3 from the calling CPU's list (60 instructions for alloc_pages(), 80
 * for __free_pages(); no zone lock, no page structure touched), page_address(), virt_to_page(),
 * page_state(), page_head() (one or two loads). What is not: higher orders (some 1,000 a pair, with
 * splitting and merging), an empty or full CPU list (the zone lock, for several blocks at a time), and
 * the first touch of a block that page_was_absent() (a page fault for each frame).
 */
#ifndef KMEM_PAGE_H
#define KMEM_PAGE_H

#include "../kmem.h" /* shrinkers */

/*
 * One for each frame, written only for the first frame of a block. While the block is allocated all
 * 64 bytes are the owner's, and hold garbage at first; while it is free they are the buddy system's.
 */
struct page {
    union {
        struct {
            struct page *next, *prev;
            unsigned absent; /* frames of this free block */
        } buddy;
        size_t run_pages; /* of the allocated run that starts here: see alloc_page_run() */
        unsigned long words[8];
    };
};

_Static_assert(sizeof(struct page) == 64, "a page structure is a cache line");

enum page_backing {
    BACKING_PRIVATE, /* anonymous memory; only zone HIGHMEM lies in memfds */
    BACKING_MEMFD    /* all of it in memfds; vmap() works on every page */
};

struct page_config {
    size_t pool_bytes;    /* of all nodes; rounded up to 4 MiB a node. 0: the machine's memory */
    size_t highmem_bytes; /* zone HIGHMEM with BACKING_PRIVATE. 0: as much as pool_bytes */
    size_t reserve_bytes; /* kept present for GFP_ATOMIC: see kmem_pages_reserve() */
    size_t min_bytes;     /* the min watermark of all nodes. 0: 4 * sqrt(pool in KiB) KiB */
    unsigned nodes;       /* pretend nodes, 1..64; 0: as the machine has them */
    enum page_backing backing;
    bool warn; /* failed allocations are reported on standard error (rate-limited) */
};

/*
 * Of this library: beside GFP_KERNEL, to grow and to touch fresh memory, but neither to reclaim nor to wait for
 * others. For what is good to have where something else will do.
 */
#define __GFP_NO_RECLAIM 0x4000u

static inline bool gfp_may_reclaim(gfp_t gfp)
{
    return (gfp & (__GFP_DIRECT_RECLAIM | __GFP_NO_RECLAIM)) == __GFP_DIRECT_RECLAIM;
}

/* One byte a frame. */
enum page_state {
    PAGE_ORDER_MASK = 0x0f, /* of the block: valid for its first frame, and for all frames of an
                               allocated one; or, where a run is allocated, one of these two: */
    PAGE_RUN = 0x0f,        /* its first frame */
    PAGE_IN_RUN = 0x0e,     /* every other */
    PAGE_IS_FREE = 0x10,    /* first frame of a block in the buddy system */
    PAGE_IS_CACHED = 0x20,  /* first frame of a block in a CPU list */
    PAGE_IS_USED = 0x30,    /* every frame of an allocated block */
    PAGE_WHOSE_MASK = 0x30, /* 0: inside a free block, or beyond the frontier */
    PAGE_IS_ABSENT = 0x40,  /* never touched, or given back, before this allocation */
    PAGE_IS_SLAB = 0x80     /* of an allocated block: page_mark_slab() */
};

/*
 * Hidden, written by kmem_pages_start(), and later only listed_orders, and bytes and frames by kmem_pages_limit(); read
 * by everybody: one cache line.
 */
struct page_globals {
    uintptr_t base; /* of the pool */
    size_t bytes;   /* of all slices, gaps included; 0 before the start */
    struct page *mem_map;
    uint8_t *state;
    unsigned node_shift; /* frames of a slice, log2 */
    unsigned nodes;
    size_t frames;          /* of all slices */
    struct pcp *pcps;       /* of all nodes and CPUs */
    unsigned cpus;          /* of each node in pcps */
    unsigned listed_orders; /* orders below are served by the fast paths; 0: none are */
} __attribute__((aligned(64)));

extern struct page_globals page_globals;

#define POOL_BYTES_MIN ((size_t)4 << 20) /* of each node, and so much again of its HIGHMEM */

/*
 * Reserves the pool. Idempotent; before main and without malloc; a refused reservation is tried again
 * at half the size, down to POOL_BYTES_MIN. 0, or -ENOMEM, or -EINVAL for a bad configuration. One
 * thread.
 */
int kmem_pages_start(const struct page_config *config) __attribute__((warn_unused_result));

/*
 * Two bytes for each frame, for the layer above: writable for frames that are allocated; all others read
 * as zero or as they were left. After the start.
 */
uint16_t *kmem_pages_cells(void);

/*
 * Where address space is not limited and the pool is no larger than so many frames, the cells are those of so
 * many (of a TiB), and end where the pool starts: who knows one address then knows the other. Those beyond the
 * pool read as zero. No longer once address space is limited: see below.
 */
#define CELLS_IN_FRONT ((size_t)1 << 28)
bool kmem_pages_cells_in_front(void);

/* There is a pool, and this process neither made it nor inherited it by fork(): a child of vfork() uses its parent's. */
bool kmem_pages_are_anothers(void);

/*
 * Address space is to be limited to `limit` bytes: what there is beyond the shares that the pool would have got at a
 * start under this limit, and was never made readable, goes back to the system. First page_globals says so, and `told`
 * is called, with locks of this layer held; only then are the addresses given up. Any thread. A signal's handler that
 * interrupted this layer is served with nothing.
 *
 * Cells beyond the pool go with the last of these functions alone, when nobody reads them any more: behind the first,
 * which makes kmem_pages_cells_in_front() say no, and the second. Those of `least` frames stay in any case.
 */
void kmem_pages_cells_apart(void);
void kmem_pages_limit(size_t limit, void (*told)(void));
void kmem_pages_limit_cells(size_t least);

/*
 * For the entrances of programs, whose first call may be any: starts everything with the configuration of
 * the environment unless there is a pool already. Of the layers above.
 */
void slub_start(void);

static inline void pages_start_once(void)
{
    if (unlikely(!__atomic_load_n(&page_globals.bytes, __ATOMIC_ACQUIRE)))
        slub_start();
}

/*
 * 2^order frames, aligned to their size, or NULL as `gfp` says. `node` NUMA_NO_NODE: this CPU's.
 * Other nodes serve by distance unless __GFP_THISNODE. Order above MAX_PAGE_ORDER: NULL.
 * Any thread. With GFP_ATOMIC and GFP_NOWAIT it never sleeps on a lock: after a short spin it fails.
 */
struct page *alloc_pages_node(int node, gfp_t gfp, unsigned order)
    __attribute__((warn_unused_result));

static inline struct page *alloc_pages(gfp_t gfp, unsigned order)
{
    return alloc_pages_node(NUMA_NO_NODE, gfp, order);
}

/*
 * What the layer above keeps free for itself, set by it: whether there is anything, to have it all given back,
 * which says whether to look for pages again, and to be told that there was nothing in it. Asked by those who may
 * reclaim, in front of all shrinkers, when pages run out; no lock is held. It must neither reclaim nor wait for
 * long. And every IDLE_WINDOW_MS, by whoever comes by, perhaps with a lock of the layer above: what nobody used since
 * the last time is to be given back.
 */
struct page_keeper {
    bool (*has_idle)(void);
    bool (*flush_idle)(void);
    void (*in_vain)(void);
    void (*window_over)(void);
};

extern const struct page_keeper *page_keeper;

/* False: the last flush was in vain, and not long ago; who has to have the next one must wait for it. */
bool pages_may_flush(void);

/* `order` as allocated; anything that is not an allocated block of that order aborts. Any thread. */
void __free_pages(struct page *page, unsigned order);

/*
 * Runs: any number of frames in a row, at least 1, aligned to 2^order frames; above 1024: NULL. Cut out of a
 * block, and what it has beyond them goes back at once, as with the kernel's alloc_pages_exact(); without
 * GFP_KERNEL it is kept where the zone's lock is not to be had. But with order 0, GFP_KERNEL and more than 8
 * frames, more than CPU lists have, the lowest that are free and present come first, whatever blocks they lie in: of
 * this CPU's zone NORMAL, among the first pageblocks of the right mobility that have as many (buddy_take_span()). A run
 * that could be a block is one. Freed by free_page_run(), which also frees plain blocks; anything else aborts.
 * Any thread.
 */
struct page *alloc_page_run(gfp_t gfp, size_t pages, unsigned order)
    __attribute__((warn_unused_result));
void free_page_run(struct page *page);

/*
 * Makes a run or block longer or shorter where it lies. It grows into what is free behind it, as far as
 * that leaves the watermarks whole, and not beyond its 4 MiB block. False: it stays as it is. `pages`
 * is at least 1. `*absent`, unless NULL: how many of the frames that it grew by were absent.
 */
bool resize_page_run(struct page *page, size_t pages, size_t *absent)
    __attribute__((warn_unused_result));

/*
 * Up to `count` single frames into `pages`, in ascending runs where they can be had; the number
 * gotten. One lock for many: what vmalloc uses.
 */
size_t alloc_pages_bulk_node(int node, gfp_t gfp, size_t count, struct page **pages);

static inline bool in_page_pool(const void *address)
{
    return (uintptr_t)address - page_globals.base < page_globals.bytes;
}

static inline size_t page_to_frame(const struct page *page)
{
    return (size_t)(page - page_globals.mem_map);
}

static inline struct page *frame_to_page(size_t frame)
{
    return page_globals.mem_map + frame;
}

/* Of a frame in use: it is vmalloc()'s, or who took it asked for it by name; kmalloc and malloc have none there. */
bool frame_is_highmem(size_t frame);

/* `address` must be in the pool. */
static inline size_t virt_to_frame(const void *address)
{
    return ((uintptr_t)address - page_globals.base) >> PAGE_SHIFT;
}

static inline struct page *virt_to_page(const void *address)
{
    return frame_to_page(virt_to_frame(address));
}

static inline void *page_address(const struct page *page)
{
    return (void *)(page_globals.base + (page_to_frame(page) << PAGE_SHIFT));
}

/* enum page_state bits. One load tells free() what lies at an address. */
static inline unsigned frame_state(size_t frame)
{
    return __atomic_load_n(&page_globals.state[frame], __ATOMIC_RELAXED);
}

static inline unsigned page_state(const struct page *page)
{
    return frame_state(page_to_frame(page));
}

static inline bool frame_is_used(unsigned state)
{
    return (state & PAGE_WHOSE_MASK) == PAGE_IS_USED;
}

/* The first frame of the allocated block around `frame`, whose state is given. Not of a run. */
static inline size_t frame_head(size_t frame, unsigned state)
{
    return frame & -((size_t)1 << (state & PAGE_ORDER_MASK));
}

/* Is `frame`, which is used, the first of its block or run? */
static inline bool frame_starts(size_t frame, unsigned state)
{
    unsigned order = state & PAGE_ORDER_MASK;

    return order == PAGE_RUN || (order != PAGE_IN_RUN && frame_head(frame, state) == frame);
}

/* The first page of the allocated block or run around `page`. */
static inline struct page *page_head(struct page *page)
{
    size_t frame = page_to_frame(page);
    unsigned state = frame_state(frame);

    while ((state & PAGE_ORDER_MASK) == PAGE_IN_RUN)
        state = frame_state(--frame);
    return (state & PAGE_ORDER_MASK) == PAGE_RUN ? frame_to_page(frame)
                                                 : frame_to_page(frame_head(frame, state));
}

/* Of an allocated block; not of a run. */
static inline unsigned page_order(const struct page *page)
{
    return page_state(page) & PAGE_ORDER_MASK;
}

/* Frames of the allocated block or run that starts at `page`. */
static inline size_t page_frames(const struct page *page)
{
    unsigned order = page_order(page);

    return order == PAGE_RUN ? page->run_pages : (size_t)1 << order;
}

/*
 * The whole of a block just allocated reads as zero (unless its owner wrote it since): no need to
 * clear it, and its first touch costs page faults.
 */
static inline bool page_was_absent(const struct page *page)
{
    return page_state(page) & PAGE_IS_ABSENT;
}

/*
 * Marks every frame of the block just allocated as a slab's, so that one load in kfree() tells both
 * whose it is and where it starts. As long as it is marked, nobody can free it.
 */
void page_mark_slab(struct page *page);
void page_unmark_slab(struct page *page);

static inline int page_to_node(const struct page *page)
{
    return (int)(page_to_frame(page) >> page_globals.node_shift);
}

static inline unsigned node_count(void)
{
    return page_globals.nodes;
}

/* The nth nearest node of `node`, itself (n = 0) first. */
int node_by_distance(int node, unsigned nth);

/* Node of the calling CPU; of a CPU. */
int numa_node_id(void);
int cpu_to_node(unsigned cpu);

/*
 * Gives free memory back to the operating system, largest blocks first, until at most `keep_bytes`
 * of it are present (never less than the reserve). In the steady state the zones do so themselves, with
 * whole 4 MiB blocks as soon as they come free, and now and then with what else there is from 64 KiB on, as
 * long as more is present than was in use at any time of this IDLE_WINDOW_MS (tick.h) and the last plus 1 MiB.
 */
void kmem_pages_release(size_t keep_bytes);

/*
 * Of what is free, how much a zone leaves present in the steady state, instead of what was in use lately
 * (SIZE_MAX: all of it); and how much more than that, which is also the least that is made readable at a
 * time. What malloc has M_TRIM_THRESHOLD and M_TOP_PAD for.
 */
void kmem_pages_keep(size_t bytes);
void kmem_pages_pad(size_t bytes);

/*
 * From now on keeps `bytes` (of all nodes, at most half of the pool) present and out of the hands of
 * all but GFP_ATOMIC and shrinkers, touching memory now and whenever a GFP_KERNEL allocation finds
 * less. False: the system refused, or the reserve was not filled yet.
 */
bool kmem_pages_reserve(size_t bytes);

/* Bytes in the page layer, of all nodes. */
struct page_stats {
    size_t pool_bytes;      /* managed */
    size_t used_bytes;      /* allocated, and in CPU lists */
    size_t cached_bytes;    /* in CPU lists */
    size_t present_bytes;   /* free and present */
    size_t absent_bytes;    /* free: never touched, or given back */
    size_t used_bytes_peak; /* of this IDLE_WINDOW_MS and the last */
    size_t released_bytes;  /* given back since the start */
    size_t reclaims;        /* times that shrinkers ran */
    size_t failures;        /* allocations that returned NULL */
};

void kmem_pages_stats(struct page_stats *stats);

/*
 * Walks everything. True when whole; otherwise `why` (of `bytes`, at least 80 are useful) says what
 * is wrong. Takes all locks of the page layer. Any thread.
 */
bool kmem_pages_check(char *why, size_t bytes);

/*
 * Around fork(), after (before) the layers above have taken (dropped) their locks. Memory in memfds
 * is copied for the child, to which the parent waits: see the README. In a process of one thread nobody takes locks.
 */
void kmem_pages_before_fork(void);
void kmem_pages_after_fork_parent(void);
void kmem_pages_after_fork_child(void);

/*
 * Last of all, in both: where there are memfds, the thread that forks has blocked signals since
 * kmem_pages_before_fork().
 */
void kmem_signals_after_fork(void);

#endif
