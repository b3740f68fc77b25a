/*
 * SLUB: caches of objects of one size, cut from blocks of pages.
 *
 *      kmem_cache ---- index ----> cells of each CPU's block (cells.h):
 *          |                         cpu_sheaf        main sheaf: {top, end}
 *          |                         kmem_cache_cpu   {freelist, slab}, partial, spare sheaf
 *          +-- node[n] kmem_cache_node
 *                 barn[]    full and empty sheaves, under barn.lock; one for each few CPUs
 *                 partial   slabs with free objects, under list_lock
 *                 full      slabs without, under list_lock
 *
 *      slab: a block of 2^order pages; its struct lies in the block's page structure
 *
 *        page address                                                       + (PAGE_SIZE << order)
 *        |      | object | object | ... | object | never handed out ...       | rest |
 *        0   colour                              + fresh * size              + objects * size
 *
 * With sheaves the colour is what makes objects start at multiples of their size, counted from the
 * start of the pool, which is what free() tests. It costs some slabs an object. One that it would leave
 * without any has none, and the fast path of free is closed for it: the table of frames does not know it.
 *
 * A free object is on the slab's free list (linked inside the objects, at `offset`, links mangled
 * with the cache's key), or on a CPU's free list, or in a sheaf, or lies behind `fresh`. inuse
 * counts the objects that are neither on the slab's own free list nor behind `fresh`: for the slab,
 * an object in a sheaf is in use. An object behind `fresh` was never touched (except by a
 * constructor, which runs for a whole slab), so that a slab costs page faults only as far as it is
 * used; small ones are handed out a page at a time (slab.h), and that page is touched.
 *
 * States of a slab: partial (on a node's list), full (on a node's other list), frozen (a CPU's slab
 * or on a CPU's partial list, on no node list). Only in caches without sheaves are slabs ever frozen: with
 * sheaves the node's lists are visited once for a sheafful of objects, and a CPU has no need for a
 * slab of its own.
 *
 * Ways of an object, sheaves on:   slab <-> sheaf (slabs_take, slabs_put) <-> barn <-> spare <-> main
 *                    sheaves=0:    slab <-> CPU free list
 *                    no CPU block: slab
 *
 * Lock order: slub_starting, slab_mutex, blocks (percpu_stop), barn.lock, list_lock, page layer. A slab's fields
 * belong to the list_lock of its node, whether it is on a list or not; a CPU's cells to the
 * operations of percpu.h. Pages are allocated and freed, and constructors run, without a lock.
 */
#ifndef KMEM_SLUB_TYPES_H
#define KMEM_SLUB_TYPES_H

#include "../kmem.h"
#include "../page/context.h"
#include "../page/page.h"
#include "../percpu/percpu.h"
#include "lock.h"

/* Lies over the first page structure of the block. */
struct slab {
    struct kmem_cache *slab_cache;
    struct slab *next, *prev; /* node list; next alone: CPU partial list */
    void *freelist;
    unsigned inuse : 16;
    unsigned objects : 15;
    unsigned frozen : 1;
    unsigned fresh;  /* index of the first object that was never handed out */
    unsigned slabs;  /* on a CPU partial list: slabs from here to its end */
    unsigned owner;  /* who takes its fresh objects, see node_take() */
    unsigned colour; /* bytes in front of the first object */
};

_Static_assert(sizeof(struct slab) <= sizeof(struct page), "a slab's fields lie in its page's");

/* Objects of a slab fit 15 bits. */
enum { MAX_OBJS_PER_SLAB = 32767 };

/*
 * An array of free objects. Its struct lies behind the slots, so that the `end` of a CPU's cell is
 * the sheaf, and PERCPU_AHEAD words in front of them. The last of these is NULL: popping needs no
 * count. The others point to the words themselves: malloc asks for the line of what it finds so far
 * below the object that it pops, and for the lowest objects that is one of these.
 *
 *      | here | here | here | NULL | object | object | ...  free slots ... | struct sheaf |
 *      memory                      sheaf_slots()                           end
 */
struct sheaf {
    union {
        struct sheaf *next;
        size_t seen; /* on a CPU, see sheaf_flush_idle(): its size then and 1 */
    };
    unsigned capacity;
    unsigned size; /* objects in it, while it is on no CPU as its main sheaf */
};

/* Bytes of a sheaf are 128 << its class. */
enum { SHEAF_CLASSES = 7, SHEAF_BYTES_MIN = 128 };

/*
 * A CPU keeps to the barn of its number: objects whose lines are in its own cache come back to it, and
 * two CPUs do not share a line of small objects. Only when it is empty are the others looked into, and
 * as many sheaves as its own CPUs drew on it lately are left to them: threads that fill and empty
 * their own in turn must not swap memory, while what only ever comes in is for everybody. As threads that
 * start together would swap before they got anything out, some are left to them from the start, if objects
 * are no larger than a line: of larger ones it would cost memory.
 */
struct node_barn {
    struct lock lock;
    unsigned nr_full, nr_empty;
    unsigned wanted; /* full sheaves that are left to the barn's own CPUs */
    unsigned drawn;  /* that these took and did not bring back since slub_grew() looked */
    unsigned idle_full, idle_empty; /* the fewest of each since slub_grew() looked */
    struct sheaf *sheaves_full, *sheaves_empty;
} __attribute__((aligned(64)));

enum { BARNS_MAX = 8 };
enum {
    BARN_LINE = 64
}; /* bytes; objects no larger share lines, or what the CPU fetches with one */
extern unsigned nr_barns; /* of each node: a power of two */

struct slab_list {
    struct slab *first, *last;
};

struct kmem_cache_node {
    struct lock list_lock;
    unsigned nr_empty;   /* slabs on the partial list without used objects */
    unsigned idle_empty; /* the fewest of them since slub_window_over() */
    unsigned long nr_partial;
    unsigned long nr_slabs; /* of all states; atomic */
    unsigned long total_objects;
    struct slab_list partial, full;
    struct node_barn barn[];
};

struct cache_stats;

/* How the cache's objects come and go when the main sheaf does not serve. */
enum cache_path {
    PATH_SHEAF, /* full and empty sheaves change hands */
    PATH_CPU,   /* classic CPU slabs */
    PATH_DIRECT /* the slabs themselves */
};

struct kmem_cache {
    unsigned index; /* of its cells; 0: it has none, and PATH_DIRECT */
    slab_flags_t flags;
    struct cache_stats *stats; /* NULL without the knob stats=1 */
    unsigned size;             /* of an object with all that belongs to it */
    uint64_t magic;            /* of the size: see object_starts_at(), and cell_magic() */
    unsigned object_size;      /* without */
    unsigned offset;           /* of the link */
    unsigned inuse;            /* bytes up to the end of what the object needs */
    unsigned align;
    unsigned order, objects; /* of a slab; see `colour` */
    unsigned order_min;      /* when memory is short */
    gfp_t allocflags;
    uintptr_t random; /* key of the links */
    int refcount;
    unsigned min_partial;
    unsigned cpu_partial_slabs;
    enum cache_path path;
    unsigned sheaf_class; /* of new sheaves; grows with the traffic */
    unsigned sheaf_class_max;
    unsigned sheaf_traffic;    /* exchanges since it grew, fewer with time */
    unsigned sheaf_traffic_ms; /* when the last was counted */
    unsigned barn_max;         /* full sheaves that a barn keeps */
    unsigned useroffset, usersize;
    void (*ctor)(void *);
    void (*user_ctor)(void *); /* with debug: `ctor` is that of debug.c, and calls this */
    bool debug;                /* see debug.h */
    unsigned long number;      /* counts the caches that were ever made */
    struct kmem_cache *next;   /* of slab_caches, the last made first */
    char name[32];
    struct kmem_cache_node *node[];
};

#endif
