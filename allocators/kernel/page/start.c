/*
 * The start: counts nodes, reserves the pool and what describes it, and divides each node's slice
 * into zones. Nothing of it is touched beyond the zones themselves.
 */
#include "pool.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "os.h"
#include "topology.h"

struct page_globals page_globals;
struct pool pool;

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) & -to;
}

/* Frames of each part of a node's slice. */
struct layout {
    size_t dma, low, high; /* DMA, on node 0 alone, is part of low */
    unsigned node_shift;
};

static size_t frames_of_node(size_t pool_bytes, unsigned nodes)
{
    return round_up(pool_bytes / nodes, MAX_ORDER_BYTES) >> PAGE_SHIFT;
}

static struct layout plan(const struct page_config *c, unsigned nodes)
{
    struct layout l = {.low = frames_of_node(c->pool_bytes, nodes), .node_shift = MAX_PAGE_ORDER};

    if (c->backing == BACKING_PRIVATE)
        l.high = frames_of_node(c->highmem_bytes, nodes);
    if (l.low >= 64 * MAX_ORDER_NR_PAGES)
        l.dma = 4 * MAX_ORDER_NR_PAGES;
    else if (l.low >= 2 * MAX_ORDER_NR_PAGES)
        l.dma = MAX_ORDER_NR_PAGES;
    while ((size_t)1 << l.node_shift < l.low + l.high)
        l.node_shift++;
    return l;
}

/* The tables' places in one mapping; lines of different CPUs and nodes stay apart. */
static bool map_tables(unsigned nodes, unsigned cpus, size_t frames)
{
    size_t pcps = (size_t)nodes * cpus * sizeof(struct pcp);
    size_t node_bytes = nodes * sizeof(struct node);
    size_t blocks = frames >> MAX_PAGE_ORDER;
    char *at = kmem_os.map(node_bytes + pcps + blocks * sizeof(uint16_t) + blocks + cpus);

    if (!at)
        return false;
    pool.nodes = (struct node *)at;
    pool.pageblock_present = (uint16_t *)(at + node_bytes + pcps);
    pool.pageblock = (uint8_t *)(pool.pageblock_present + blocks);
    pool.node_of_cpu = pool.pageblock + blocks;
    pool.cpus = cpus;
    page_globals.pcps = (struct pcp *)(at + node_bytes);
    page_globals.cpus = cpus;
    for (unsigned n = 0; n < nodes; n++)
        pool.nodes[n].zone[ZONE_NORMAL].pcp = page_globals.pcps + (size_t)n * cpus;
    return true;
}

struct range {
    void *start;
    size_t bytes;
};

static bool all_there(const struct range *r, unsigned n)
{
    while (n > 0 && r[n - 1].start)
        n--;
    return n == 0;
}

static void unmap_all(const struct range *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (r[i].start)
            kmem_os.unmap(r[i].start, r[i].bytes);
}

static bool may_have_cells_in_front(size_t frames)
{
    struct rlimit limit;

    return frames <= CELLS_IN_FRONT && getrlimit(RLIMIT_AS, &limit) == 0 &&
           limit.rlim_cur == RLIM_INFINITY;
}

/* Address space for the frames, and cells in front of them; both or nothing. */
static bool reserve_in_front(size_t frames, struct range *all)
{
    size_t cells = CELLS_IN_FRONT * sizeof *pool.cells;

    pool.cells_in_front = false;
    all->bytes = cells + (frames << PAGE_SHIFT) + MAX_ORDER_BYTES; /* more, to have it aligned */
    all->start = may_have_cells_in_front(frames) ? kmem_os.reserve(all->bytes) : NULL;
    if (!all->start)
        return false;
    page_globals.base = round_up((uintptr_t)all->start + cells, MAX_ORDER_BYTES);
    pool.cells = (uint16_t *)page_globals.base - CELLS_IN_FRONT;
    pool.cells_in_front = kmem_os.show_zeros(pool.cells, cells);
    if (!pool.cells_in_front)
        unmap_all(all, 1);
    return pool.cells_in_front;
}

/* The same, apart. */
static bool reserve_apart(size_t frames, struct range *all, struct range *cells)
{
    all->bytes = (frames << PAGE_SHIFT) + MAX_ORDER_BYTES;
    all->start = kmem_os.reserve(all->bytes);
    cells->bytes = frames * sizeof *pool.cells;
    cells->start = kmem_os.reserve_zeros(cells->bytes);
    page_globals.base = round_up((uintptr_t)all->start, MAX_ORDER_BYTES);
    pool.cells = cells->start;
    return all->start && cells->start;
}

/*
 * Address space for all frames and their descriptions; all of it or nothing. The descriptions become
 * writable together with their frames (see grow.c), lest the whole pool's be charged to a process that
 * locks its memory. A frame's state and cell are read for any address inside the pool, and so must
 * be readable everywhere; `struct page` only belongs to frames that have a state.
 */
static bool reserve(const struct layout *l, const struct topology *t)
{
    size_t frames = ((size_t)(t->nodes - 1) << l->node_shift) + l->low + l->high;
    struct range r[4] = {{NULL, 0}};
    bool pool_there;

    if (frames > FRAMES_MAX)
        return false;
    r[0] =
        (struct range){kmem_os.reserve(frames * sizeof(struct page)), frames * sizeof(struct page)};
    r[1] = (struct range){kmem_os.reserve_zeros(frames), frames};
    pool_there = reserve_in_front(frames, &r[2]) || reserve_apart(frames, &r[2], &r[3]);
    if (!pool_there || !all_there(r, 2) || !map_tables(t->nodes, t->cpus, frames)) {
        unmap_all(r, 4);
        return false;
    }
    page_globals.mem_map = r[0].start;
    page_globals.state = r[1].start;
    page_globals.node_shift = l->node_shift;
    page_globals.nodes = t->nodes;
    page_globals.frames = frames;
    page_globals.listed_orders = PCP_ORDERS;
    pool.cell_frames = pool.cells_in_front ? CELLS_IN_FRONT : frames;
    return true;
}

static size_t square_root(size_t n)
{
    size_t root = 0;

    for (size_t bit = (size_t)1 << 31; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= n)
            root |= bit;
    return root;
}

/* Frames of a zone's min watermark: its share, by size, of the whole one. */
static size_t min_frames(size_t frames, size_t part_bytes)
{
    size_t all =
        pool.config.min_bytes ? pool.config.min_bytes : square_root(part_bytes >> 10) * 4 << 10;

    return (size_t)((unsigned __int128)all * frames / part_bytes);
}

void zone_set_watermarks(struct zone *z, size_t part_bytes)
{
    size_t frames = z->end - z->start;

    if (frames == 0)
        return;
    z->watermark[WMARK_MIN] = min_frames(frames, part_bytes);
    z->watermark[WMARK_LOW] = z->watermark[WMARK_MIN] * 5 / 4;
    z->watermark[WMARK_HIGH] = z->watermark[WMARK_MIN] * 3 / 2;
}

/* Ordinary allocations must not use up what only DMA can use: as much as 1/256 of theirs. */
void dma_set_lowmem_reserve(size_t low)
{
    struct zone *z = node_zone(0, ZONE_DMA);
    size_t half = (z->end - z->start) / 2;

    z->lowmem_reserve = half < low / 256 ? half : low / 256;
}

static void make_zone(int node, enum zone_kind kind, size_t start, size_t frames, size_t part_bytes)
{
    struct zone *z = node_zone(node, kind);

    z->node = node;
    z->kind = kind;
    z->shared = kind == ZONE_HIGHMEM || pool.config.backing == BACKING_MEMFD;
    z->fd = -1;
    z->start = z->frontier = z->committed = start;
    z->end = start + frames;
    zone_set_watermarks(z, part_bytes);
}

static void make_node(const struct topology *t, const struct layout *l, unsigned node)
{
    size_t start = (size_t)node << l->node_shift;
    size_t dma = node == 0 ? l->dma : 0;
    size_t low_bytes = l->low * t->nodes << PAGE_SHIFT,
           high_bytes = l->high * t->nodes << PAGE_SHIFT;

    make_zone((int)node, ZONE_DMA, start, dma, low_bytes);
    make_zone((int)node, ZONE_NORMAL, start + dma, l->low - dma, low_bytes);
    make_zone((int)node, ZONE_HIGHMEM, start + l->low, l->high, high_bytes);
    if (node == 0)
        dma_set_lowmem_reserve(l->low);
    topology_order(t, node, pool.nodes[node].by_distance);
    if (!t->pretended && t->nodes > 1)
        kmem_os.bind((void *)(page_globals.base + (start << PAGE_SHIFT)),
                     (l->low + l->high) << PAGE_SHIFT, t->real_node[node]);
}

static size_t at_least_a_block(size_t bytes)
{
    return bytes > POOL_BYTES_MIN ? bytes : POOL_BYTES_MIN;
}

/*
 * As much as the machine has, and so much again of HIGHMEM. Where address space is limited, seven sixteenths of it,
 * and one of HIGHMEM, which few programs use: the rest is for mappings, stacks and libraries, and for the
 * addresses of vmalloc(), once it is used: as much as HIGHMEM, or up to four times that where it is to be had.
 */
static void fill_in_sizes(struct page_config *c)
{
    struct sysinfo s;
    struct rlimit limit;
    size_t bytes = sysinfo(&s) == 0 ? s.totalram * s.mem_unit : (size_t)1 << 30, high = bytes;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / SHARES * LOW_SHARE < bytes) {
        bytes = limit.rlim_cur / SHARES * LOW_SHARE;
        high = limit.rlim_cur / SHARES * HIGH_SHARE;
    }
    if (c->highmem_bytes == 0)
        c->highmem_bytes = at_least_a_block(c->pool_bytes ? c->pool_bytes : high);
    if (c->pool_bytes == 0)
        c->pool_bytes = at_least_a_block(bytes);
}

int kmem_pages_start(const struct page_config *config)
{
    struct topology t;
    struct layout l;

    if (page_globals.bytes)
        return 0;
    if (config->nodes > MAX_NUMNODES)
        return -EINVAL;
    pool.config = *config;
    pool.size_chosen = config->pool_bytes != 0;
    pool.process = getpid();
    fill_in_sizes(&pool.config);
    topology_count(&t, config->nodes);
    for (l = plan(&pool.config, t.nodes); !reserve(&l, &t); l = plan(&pool.config, t.nodes)) {
        if (pool.config.pool_bytes <= POOL_BYTES_MIN)
            return -ENOMEM;
        pool.config.pool_bytes /= 2;
        pool.config.highmem_bytes /= 2;
    }
    topology_cpus(&t, pool.node_of_cpu);
    for (unsigned n = 0; n < t.nodes; n++)
        make_node(&t, &l, n);
    /* Last: who sees it may allocate. */
    __atomic_store_n(&page_globals.bytes, page_globals.frames << PAGE_SHIFT, __ATOMIC_RELEASE);
    if (pool.config.reserve_bytes)
        (void)kmem_pages_reserve(pool.config.reserve_bytes);
    return 0;
}

uint16_t *kmem_pages_cells(void)
{
    return pool.cells;
}

bool kmem_pages_cells_in_front(void)
{
    return pool.cells_in_front;
}

struct zone *zone_next(struct zone *z)
{
    for (;;) {
        if (z->kind != ZONE_HIGHMEM)
            z++;
        else if ((unsigned)z->node + 1 < page_globals.nodes)
            z = node_zone(z->node + 1, ZONE_DMA);
        else
            return NULL;
        if (zone_frames(z))
            return z;
    }
}

struct zone *zone_first(void)
{
    struct zone *z = node_zone(0, ZONE_DMA);

    return zone_frames(z) ? z : zone_next(z);
}

int node_by_distance(int node, unsigned nth)
{
    return pool.nodes[node].by_distance[nth];
}

int cpu_to_node(unsigned cpu)
{
    return cpu < pool.cpus ? pool.node_of_cpu[cpu] : 0;
}

int numa_node_id(void)
{
    return page_globals.nodes == 1 ? 0 : cpu_to_node(os_cpu());
}
