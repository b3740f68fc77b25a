/* A node's full and empty sheaves, in a barn for each few CPUs. See struct node_barn. */
#ifndef KMEM_SLUB_BARN_H
#define KMEM_SLUB_BARN_H

#include "sheaf.h"

/* For whom a sheaf is taken from a barn that is not the CPU's own. */
enum taker { OWN_CPU, OTHER_CPU, LAST_RESORT };

/* The calling CPU's. */
struct node_barn *barn_of(struct kmem_cache *s, int node);
/*
 * A full sheaf for an empty one, which may be NULL, from the CPU's own barn and then from the others of the
 * node; NULL: there is none, and `empty` stays.
 */
struct sheaf *barn_get_full_of_node(struct kmem_cache *s, int node, enum taker others,
                                    struct sheaf **empty);
/* NULL: there is none. */
struct sheaf *barn_get_empty(struct node_barn *barn);
/* A sheaf that nobody needs. Once it is in a barn it is somebody else's, who may empty or free it. */
void barn_put(struct kmem_cache *s, struct sheaf *sheaf);

/* All objects to their slabs. */
void barn_flush(struct kmem_cache *s, struct kmem_cache_node *n);
/* Only the sheaves that nobody took out since the last time. */
void barn_flush_idle(struct kmem_cache *s, struct kmem_cache_node *n);

#endif
