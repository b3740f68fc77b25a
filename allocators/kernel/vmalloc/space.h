/*
 * The vmalloc range and who has which part of it.
 */
#ifndef KMEM_SPACE_H
#define KMEM_SPACE_H

#include "area.h"
#include "vmalloc.h"

struct vmalloc_space {
    struct lock lock;       /* of everything here; page locks are not taken under it */
    struct lock purge_lock; /* outer: held while areas are in nobody's tree, on their way out */
    struct lock
        map_lock; /* inner to both: nobody maps here while another unmaps without the spare mappings */
    uintptr_t start, end; /* of the range; 0 before its first use */
    struct area_tree free, busy;
    struct vmap_area *lazy; /* last freed first */
    size_t lazy_pages, used_pages;
    size_t mappings, mappings_max; /* of all areas; how many there may be */
    bool refused;                  /* the last purge_lazy() was; under purge_lock */
    struct vmalloc_stats stats;
};

extern struct vmalloc_space vmalloc_space;

/* Frames vmalloc() could get if nothing else were allocated: also of other nodes than the one that is preferred. */
size_t space_frames(void);

/* Reserves the range when it is first needed. False: the system refused. */
bool space_start(void);

/* An area in state BUILDING with room for `pages` and a guard page behind; NULL: none. */
struct vmap_area *space_take(size_t pages, size_t align);

/*
 * Gives an area's addresses back and forgets it. Nothing is mapped there any more. Space lock held;
 * the area is in no tree.
 */
void space_give_locked(struct vmap_area *area);

/*
 * Maps the area's frames one behind the other. False: it would be too many mappings, or the system refused. What
 * is mapped by then stays so: see space_retire().
 */
bool space_map(struct vmap_area *area);

/* The same for an area that was mapped before: in the child of a fork. */
bool space_map_again(const struct vmap_area *area);

/*
 * Away with an area in state BUILDING: it is unmapped, its frames, as far as it has any, are freed, its addresses given
 * back. Where the system refuses, all of that is left to the next purge_lazy().
 */
void space_retire(struct vmap_area *area);

/* Unmaps neighbours from `first` to `last`. False: refused. */
bool space_hide(const struct vmap_area *first, const struct vmap_area *last);

/* Frees the frames an area has of its own. */
void area_free_frames(struct vmap_area *area);

/* Frees a VMALLOC area in due time. Space lock held. True: purge_lazy() is due. */
bool lazy_add_locked(struct vmap_area *area);

/* Leaves an area in state LEAVING, which could not be unmapped, to the next purge_lazy(). */
void lazy_add_stuck(struct vmap_area *area);

/* A lazy area of so many pages, now BUILDING but whole and mapped; NULL: none. */
struct vmap_area *lazy_take(size_t pages, int node);

/*
 * Unmaps all lazy areas, neighbours together, and frees their frames; how many pages. Where it was refused the time
 * before, one area alone is tried first.
 */
size_t purge_lazy(void);

#endif
