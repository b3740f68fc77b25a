/*
 * The machine as hwloc sees it, and where threads go. Only the control plane asks: hwloc allocates
 * a lot, and the measured process gets plain CPU numbers. One thread.
 */
#ifndef HEAPMARK_TOPO_TOPO_H
#define HEAPMARK_TOPO_TOPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct topo;

/* Discovers the machine: CPUs that this process may use. NULL after an error was said. */
struct topo *topo_open(void);
void topo_close(struct topo *topo);

unsigned topo_cpu_count(const struct topo *topo);
unsigned topo_core_count(const struct topo *topo);
unsigned topo_node_count(const struct topo *topo);
bool topo_has_node(const struct topo *topo, unsigned node);
const char *topo_cpu_model(const struct topo *topo); /* "" when unknown */

/*
 * Checks a placement: compact, scatter, none, or a CPU list such as "0,2-3". 0, or -EINVAL with the
 * reason in `reason`.
 */
int topo_check_placement(const struct topo *topo, const char *placement, char *reason,
                         size_t bytes);

/*
 * Fills cpus[0 .. threads-1] for a checked placement; -1 means not pinned. compact: neighbours
 * first, sibling threads of a core together; scatter: as far apart as possible; a list: in its
 * order. More threads than CPUs go round. Returns how many different CPUs are used (0 for none).
 */
unsigned topo_place(const struct topo *topo, const char *placement, uint32_t threads,
                    int32_t *cpus);

/* Prints the machine as an indented tree, one line for each object of interest. */
void topo_print(const struct topo *topo, FILE *stream);

#endif
