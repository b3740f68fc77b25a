/*
 * Which CPUs are near which memory: as the machine says, or pretended.
 */
#ifndef KMEM_TOPOLOGY_H
#define KMEM_TOPOLOGY_H

#include "../types.h"

struct topology {
    unsigned nodes, cpus;
    bool pretended;
    uint8_t real_node[MAX_NUMNODES]; /* the system's number of each of our nodes */
};

/* CPUs that are on, at the first call. */
unsigned topology_online(void);

/* Counts; `pretend` is the number of nodes to pretend, or 0. Nothing readable: one of each. */
void topology_count(struct topology *t, unsigned pretend);

/* The node of each of t->cpus CPUs. */
void topology_cpus(const struct topology *t, uint8_t *node_of_cpu);

/* All nodes, the nearest to `node` first, itself in front. */
void topology_order(const struct topology *t, unsigned node, uint8_t *by_distance);

#endif
