/*
 * The pool from inside: zones, their free areas, CPU lists, nodes. For the page layer and vmalloc
 * alone.
 */
#ifndef KMEM_POOL_H
#define KMEM_POOL_H

#include <sys/types.h>

#include "context.h"
#include "page.h"

/* A pageblock is a block of the largest order: all of its free pages are of one mobility. */
enum mobility { UNMOVABLE, RECLAIMABLE, NR_MOBILITIES };

/* Free blocks are kept apart by how many of their frames are present: all, some, none. */
enum presence { READY, MIXED, ABSENT, NR_PRESENCES };

enum watermark { WMARK_MIN, WMARK_LOW, WMARK_HIGH, NR_WMARKS };

enum zone_kind { ZONE_DMA, ZONE_NORMAL, ZONE_HIGHMEM, NR_ZONES };

/* Lists of free blocks, last freed first, and which of them are not empty. */
struct free_area {
    unsigned orders;
    struct free_list {
        struct page *first, *last;
    } list[NR_PAGE_ORDERS];
};

enum { PCP_ORDERS = 4, PCP_LISTS = NR_MOBILITIES * PCP_ORDERS, PCP_FRAMES = 240 };

/* A byte for each pageblock. */
enum { PAGEBLOCK_MOBILITY = 1, PAGEBLOCK_LISTED = 2 /* of a zone with CPU lists */ };

/* One CPU's blocks of one zone: stacks of frame numbers, the last freed on top. */
struct pcp {
    struct lock lock;
    uint8_t count[PCP_LISTS];
    uint32_t frames[PCP_FRAMES];
} __attribute__((aligned(64)));

struct zone {
    struct lock lock;
    bool shared;  /* its memory is a memfd */
    bool growing; /* it just gets its memfd, or becomes readable further than `committed` says */
    int fd;       /* negative until first used */
    int node;
    enum zone_kind kind;
    size_t start, frontier, committed, end; /* frames */
    size_t present, absent;                 /* frames in the buddy system */
    size_t watermark[NR_WMARKS];            /* frames, of what is free in any way */
    size_t lowmem_reserve; /* kept from those who could have been served by a higher zone */
    size_t reserve;        /* frames to be kept present: what GFP_ATOMIC lives on */
    size_t released;       /* frames given back since the start */
    struct {
        size_t now, before; /* most frames used in this window and in the last one */
        uint64_t ends_ms;
    } peak;
    struct pcp *pcp; /* by CPU; NULL: none */
    struct free_area area[NR_MOBILITIES][NR_PRESENCES];
} __attribute__((aligned(64)));

struct node {
    struct zone zone[NR_ZONES]; /* empty ones have start == end */
    uint8_t by_distance[MAX_NUMNODES];
};

/*
 * Written at the start; later only what is atomic, by limit.c limited, cells_in_front and cell_frames, and in the child
 * of a fork process.
 */
struct pool {
    struct page_config config;
    struct node *nodes;
    unsigned cpus;
    uint8_t *node_of_cpu;
    uint16_t *cells;             /* see kmem_pages_cells() */
    bool cells_in_front;         /* kmem_pages_cells_in_front() */
    uint8_t *pageblock;          /* written when the frontier enters it */
    uint16_t *pageblock_present; /* frames of each that are free and present */
    uint64_t short_nodes;        /* see zone_is_short(); atomic */
    size_t cell_frames;          /* of so many there are cells, in use or not */
    bool size_chosen;            /* by who configured it */
    bool limited;                /* kmem_pages_limit() was called */
    pid_t process;               /* whose memory this is: not that of a child of vfork() */
    size_t failures, reclaims;   /* atomic */
};

extern struct pool pool;

/* Of limited address space: sixteenths for what is not HIGHMEM, and for HIGHMEM. */
enum { LOW_SHARE = 7, HIGH_SHARE = 1, SHARES = 16 };

/* By how large the zone is, and all nodes' of its part. Lock held, once there are others. */
void zone_set_watermarks(struct zone *z, size_t part_bytes);
/* Of node 0, by the frames of its DMA and NORMAL. */
void dma_set_lowmem_reserve(size_t low);

#define NO_FRAME (~(size_t)0)

/*
 * CPUs' lists and vmalloc's extents keep a frame's number in 32 bits: 16 TiB, HIGHMEM and the gaps
 * between nodes included.
 */
#define FRAMES_MAX ((size_t)1 << 32)

/* Walks all zones that have memory. */
struct zone *zone_first(void);
struct zone *zone_next(struct zone *z);

static inline struct zone *node_zone(int node, enum zone_kind kind)
{
    return &pool.nodes[node].zone[kind];
}

static inline struct zone *frame_zone(size_t frame)
{
    struct zone *z = node_zone((int)(frame >> page_globals.node_shift), ZONE_NORMAL);

    if (likely(frame >= z->start && frame < z->end))
        return z;
    return frame < z->start ? z - 1 : z + 1;
}

static inline enum mobility pageblock_mobility(size_t frame)
{
    return pool.pageblock[frame >> MAX_PAGE_ORDER] & PAGEBLOCK_MOBILITY;
}

static inline void set_pageblock(const struct zone *z, size_t frame, enum mobility m)
{
    pool.pageblock[frame >> MAX_PAGE_ORDER] = (uint8_t)(m | (z->pcp ? PAGEBLOCK_LISTED : 0));
}

static inline void *frame_address(size_t frame)
{
    return (void *)(page_globals.base + (frame << PAGE_SHIFT));
}

/*
 * For those without the zone's lock. The end first: HIGHMEM may just move down (limit.c), and too many are counted
 * rather than none.
 */
static inline size_t zone_frames(const struct zone *z)
{
    size_t end = __atomic_load_n(&z->end, __ATOMIC_ACQUIRE);

    return end - __atomic_load_n(&z->start, __ATOMIC_RELAXED);
}

/* Frames that could still be given out, without regard to the watermarks. */
static inline size_t zone_free_frames(const struct zone *z)
{
    return z->present + z->absent + (z->end - z->frontier);
}

static inline size_t zone_used_frames(const struct zone *z)
{
    return z->frontier - z->start - z->present - z->absent;
}

static inline enum mobility gfp_mobility(gfp_t gfp)
{
    return gfp & __GFP_RECLAIMABLE ? RECLAIMABLE : UNMOVABLE;
}

#endif
