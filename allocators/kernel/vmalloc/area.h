/*
 * Areas of the vmalloc range, and the tree that holds them: an AVL tree by address in which every
 * node knows the longest area at or below it. Among the free areas that finds the lowest one that is
 * long enough in logarithmic time; among the others it is not needed.
 */
#ifndef KMEM_AREA_H
#define KMEM_AREA_H

#include "extents.h"

enum area_state {
    AREA_FREE,
    AREA_BUILDING, /* its owner maps it: no one else looks inside */
    AREA_LEAVING,  /* its owner unmaps it and frees its frames: nor does anyone here */
    AREA_VMALLOC,  /* its frames are its own */
    AREA_VMAP,     /* its frames are the caller's */
    AREA_LAZY,     /* freed, still mapped, waiting to be unmapped together with others */
    AREA_STUCK /* could not be unmapped when it was to go; waits like a lazy one, for nobody else */
};

struct vmap_area {
    uintptr_t start, end; /* the guard page at the end included */
    struct vmap_area *left, *right;
    size_t longest; /* bytes, of this area and those below it in the tree */
    uint8_t height;
    uint8_t state;
    int prot;
    int node;        /* asked for, or NUMA_NO_NODE */
    size_t pages;    /* without the guard page */
    size_t mappings; /* of the system's, the guard page's included; 0: nothing is mapped */
    struct vmap_area *lazy_next;
    struct extents extents;
};

struct area_tree {
    struct vmap_area *root;
};

void area_insert(struct area_tree *tree, struct vmap_area *area);
void area_remove(struct area_tree *tree, struct vmap_area *area);

/* The area with the highest start at or below `address`, or NULL. */
struct vmap_area *area_floor(const struct area_tree *tree, uintptr_t address);

/* The lowest area that has `bytes` from an address that is a multiple of `align` on; or NULL. */
struct vmap_area *area_lowest_fit(const struct area_tree *tree, size_t bytes, size_t align);

/* The lowest area that starts above `address`, or NULL: for walks. */
struct vmap_area *area_above(const struct area_tree *tree, uintptr_t address);

/* Order, balance and longest are right everywhere. */
bool area_tree_check(const struct area_tree *tree);

#endif
