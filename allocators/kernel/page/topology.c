/*
 * The machine's nodes as /sys shows them. Pretended ones stand in a row: CPUs are dealt out in equal
 * runs, and the distance of two nodes is that of their numbers.
 */
#include "topology.h"

#include <sched.h>
#include <string.h>

#include "os.h"

#define SYS "/sys/devices/system/"

enum { CPUS_MAX = 4096, TEXT_BYTES = 4096 };

/* Reads "0-3" or "7" and the comma behind it; NULL at the end. */
static const char *read_range(const char *text, unsigned *first, unsigned *last)
{
    if (!(text = os_read_number(text, first)))
        return NULL;
    *last = *first;
    if (*text == '-' && !(text = os_read_number(text + 1, last)))
        return NULL;
    return *text == ',' ? text + 1 : text;
}

static void node_path(char *path, unsigned node, const char *file)
{
    char digits[4] = {(char)('0' + node / 10), (char)('0' + node % 10), '/', '\0'};

    strcpy(path, SYS "node/node");
    strcat(path, node < 10 ? digits + 1 : digits);
    strcat(path, file);
}

static unsigned count_cpus(void)
{
    char text[TEXT_BYTES];
    unsigned first, last, cpus = 1;

    if (kmem_os.read_text(SYS "cpu/possible", text, sizeof text) <= 0)
        return 1;
    for (const char *at = text; (at = read_range(at, &first, &last)) != NULL;)
        if (last < CPUS_MAX && last >= cpus)
            cpus = last + 1;
    return cpus;
}

/* Where there is no /sys, those that the process may use. */
static unsigned count_online(void)
{
    char text[TEXT_BYTES];
    unsigned first, last, cpus = 0;
    cpu_set_t set;

    if (kmem_os.read_text(SYS "cpu/online", text, sizeof text) > 0)
        for (const char *at = text; (at = read_range(at, &first, &last)) != NULL;)
            cpus += last - first + 1;
    else if (sched_getaffinity(0, sizeof set, &set) == 0)
        cpus = (unsigned)CPU_COUNT(&set);
    return cpus ? cpus : 1;
}

/*
 * Not by sysconf(): the first call may be that of an IFUNC's resolver, when the C library has no locale yet, with
 * which it reads numbers.
 */
unsigned topology_online(void)
{
    static unsigned cpus;

    if (cpus == 0)
        cpus = count_online();
    return cpus;
}

void topology_count(struct topology *t, unsigned pretend)
{
    char text[TEXT_BYTES];
    unsigned first, last;

    *t = (struct topology){.nodes = pretend, .cpus = count_cpus(), .pretended = pretend != 0};
    if (pretend)
        return;
    if (kmem_os.read_text(SYS "node/has_memory", text, sizeof text) > 0)
        for (const char *at = text; (at = read_range(at, &first, &last)) != NULL;)
            for (unsigned n = first; n <= last && n < MAX_NUMNODES; n++)
                t->real_node[t->nodes++] = (uint8_t)n;
    if (t->nodes == 0)
        t->nodes = 1;
}

void topology_cpus(const struct topology *t, uint8_t *node_of_cpu)
{
    char text[TEXT_BYTES], path[64];
    unsigned first, last;

    for (unsigned c = 0; c < t->cpus; c++)
        node_of_cpu[c] = t->pretended ? (uint8_t)(c * t->nodes / t->cpus) : 0;
    if (t->pretended)
        return;
    for (unsigned n = 0; n < t->nodes; n++) {
        node_path(path, t->real_node[n], "cpulist");
        if (kmem_os.read_text(path, text, sizeof text) <= 0)
            continue;
        for (const char *at = text; (at = read_range(at, &first, &last)) != NULL;)
            for (unsigned c = first; c <= last && c < t->cpus; c++)
                node_of_cpu[c] = (uint8_t)n;
    }
}

/* The file has one number for each online node, in order of their numbers. */
static void read_distances(const struct topology *t, unsigned node, unsigned *distance)
{
    char text[TEXT_BYTES], online[TEXT_BYTES], path[64];
    unsigned first, last, d;

    node_path(path, t->real_node[node], "distance");
    if (kmem_os.read_text(path, text, sizeof text) <= 0 ||
        kmem_os.read_text(SYS "node/online", online, sizeof online) <= 0)
        return;
    const char *at = text;
    for (const char *ids = online; (ids = read_range(ids, &first, &last)) != NULL;)
        for (unsigned id = first; id <= last; id++) {
            if (!(at = os_read_number(at, &d)))
                return;
            at += *at == ' ';
            for (unsigned n = 0; n < t->nodes; n++)
                if (t->real_node[n] == id)
                    distance[n] = d;
        }
}

void topology_order(const struct topology *t, unsigned node, uint8_t *by_distance)
{
    unsigned distance[MAX_NUMNODES];

    for (unsigned n = 0; n < t->nodes; n++)
        distance[n] = n > node ? n - node : node - n;
    if (!t->pretended)
        read_distances(t, node, distance);
    distance[node] = 0;
    for (unsigned n = 0; n < t->nodes; n++) {
        unsigned at = n;

        /* Insertion; of equally near ones the lower number comes first. */
        for (; at > 0 && distance[by_distance[at - 1]] > distance[n]; at--)
            by_distance[at] = by_distance[at - 1];
        by_distance[at] = (uint8_t)n;
    }
}
