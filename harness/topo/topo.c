#include "topo/topo.h"

#include "util/nearest.h"
#include "util/say.h"

#include <errno.h>
#include <hwloc.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct topo {
    hwloc_topology_t hwloc;
};

struct topo *topo_open(void)
{
    struct topo *topo = calloc(1, sizeof *topo);
    if (topo == NULL || hwloc_topology_init(&topo->hwloc) != 0) {
        free(topo);
        say_error("cannot read the machine's topology: out of memory");
        return NULL;
    }
    if (hwloc_topology_load(topo->hwloc) != 0) {
        say_error("cannot read the machine's topology: is /sys mounted?");
        topo_close(topo);
        return NULL;
    }
    /* Only what this process may use: a container or taskset may have taken CPUs away. */
    hwloc_bitmap_t mine = hwloc_bitmap_alloc();
    if (hwloc_get_cpubind(topo->hwloc, mine, HWLOC_CPUBIND_PROCESS) == 0)
        hwloc_topology_restrict(topo->hwloc, mine, 0);
    hwloc_bitmap_free(mine);
    return topo;
}

void topo_close(struct topo *topo)
{
    if (topo == NULL)
        return;
    hwloc_topology_destroy(topo->hwloc);
    free(topo);
}

static unsigned count(const struct topo *topo, hwloc_obj_type_t type)
{
    int n = hwloc_get_nbobjs_by_type(topo->hwloc, type);
    return n > 0 ? (unsigned)n : 0;
}

unsigned topo_cpu_count(const struct topo *topo)
{
    return count(topo, HWLOC_OBJ_PU);
}

unsigned topo_core_count(const struct topo *topo)
{
    return count(topo, HWLOC_OBJ_CORE);
}

unsigned topo_node_count(const struct topo *topo)
{
    return count(topo, HWLOC_OBJ_NUMANODE);
}

bool topo_has_node(const struct topo *topo, unsigned node)
{
    return hwloc_get_numanode_obj_by_os_index(topo->hwloc, node) != NULL;
}

const char *topo_cpu_model(const struct topo *topo)
{
    hwloc_obj_t package = hwloc_get_obj_by_type(topo->hwloc, HWLOC_OBJ_PACKAGE, 0);
    const char *model = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
    return model ? model : "";
}

/* ---- placement ------------------------------------------------------------------------------- */

static const char *const placements[] = {"compact", "scatter", "none"};
enum { PLACEMENT_NAMES = sizeof placements / sizeof placements[0] };

static bool has_cpu(const struct topo *topo, unsigned cpu)
{
    return hwloc_get_pu_obj_by_os_index(topo->hwloc, cpu) != NULL;
}

/*
 * Walks a CPU list ("0,2-3"). Calls visit for every CPU; -EINVAL with *bad at the first piece that
 * is no number or range.
 */
static int walk_list(const char *text, const char **bad, void (*visit)(unsigned, void *),
                     void *argument)
{
    do {
        char *end;
        *bad = text;
        if (*text < '0' || *text > '9')
            return -EINVAL;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            last = strtoul(end + 1, &end, 10);
        if ((*end != ',' && *end != '\0') || last < first || last >= 1u << 16)
            return -EINVAL;
        for (unsigned long cpu = first; cpu <= last; cpu++)
            visit((unsigned)cpu, argument);
        text = end;
    } while (*text++ == ',');
    return 0;
}

struct list_check {
    const struct topo *topo;
    long missing;
};

static void check_cpu(unsigned cpu, void *argument)
{
    struct list_check *check = argument;
    if (check->missing < 0 && !has_cpu(check->topo, cpu))
        check->missing = (long)cpu;
}

int topo_check_placement(const struct topo *topo, const char *placement, char *reason, size_t bytes)
{
    for (size_t i = 0; i < PLACEMENT_NAMES; i++)
        if (strcmp(placement, placements[i]) == 0)
            return 0;
    if (*placement < '0' || *placement > '9') {
        snprintf(reason, bytes,
                 "unknown placement '%s'%s expected compact, scatter, none or a list "
                 "of CPUs such as 0,2-3",
                 placement, say_hint(nearest(placement, placements, PLACEMENT_NAMES)));
        return -EINVAL;
    }
    struct list_check check = {.topo = topo, .missing = -1};
    const char *bad;
    if (walk_list(placement, &bad, check_cpu, &check) != 0) {
        snprintf(reason, bytes,
                 "'%s' in the CPU list '%s' is no CPU or range; expected a list such as "
                 "0,2-3",
                 bad, placement);
        return -EINVAL;
    }
    if (check.missing >= 0) {
        snprintf(reason, bytes,
                 "CPU %ld of '%s' is not there for this process; 'heapmark topo' shows "
                 "which are",
                 check.missing, placement);
        return -EINVAL;
    }
    return 0;
}

struct list_fill {
    int32_t *cpus;
    uint32_t capacity, used;
};

static void add_cpu(unsigned cpu, void *argument)
{
    struct list_fill *fill = argument;
    if (fill->used < fill->capacity)
        fill->cpus[fill->used++] = (int32_t)cpu;
}

static uint32_t place_compact(const struct topo *topo, uint32_t threads, int32_t *cpus)
{
    uint32_t used = 0;
    for (hwloc_obj_t pu = NULL; used < threads;) {
        pu = hwloc_get_next_obj_by_type(topo->hwloc, HWLOC_OBJ_PU, pu);
        if (pu == NULL)
            break;
        cpus[used++] = (int32_t)pu->os_index;
    }
    return used;
}

static uint32_t place_scatter(const struct topo *topo, uint32_t threads, int32_t *cpus)
{
    uint32_t used = threads < topo_cpu_count(topo) ? threads : topo_cpu_count(topo);
    hwloc_cpuset_t *sets = calloc(used, sizeof *sets);
    hwloc_obj_t root = hwloc_get_root_obj(topo->hwloc);
    if (sets == NULL || hwloc_distrib(topo->hwloc, &root, 1, sets, used, INT_MAX, 0) != 0) {
        free(sets);
        return place_compact(topo, threads, cpus);
    }
    for (uint32_t i = 0; i < used; i++) {
        cpus[i] = hwloc_bitmap_first(sets[i]);
        hwloc_bitmap_free(sets[i]);
    }
    free(sets);
    return used;
}

unsigned topo_place(const struct topo *topo, const char *placement, uint32_t threads, int32_t *cpus)
{
    if (strcmp(placement, "none") == 0) {
        for (uint32_t i = 0; i < threads; i++)
            cpus[i] = -1;
        return 0;
    }
    uint32_t used;
    if (strcmp(placement, "compact") == 0) {
        used = place_compact(topo, threads, cpus);
    } else if (strcmp(placement, "scatter") == 0) {
        used = place_scatter(topo, threads, cpus);
    } else {
        struct list_fill fill = {.cpus = cpus, .capacity = threads};
        const char *bad;
        walk_list(placement, &bad, add_cpu, &fill);
        used = fill.used;
    }
    for (uint32_t i = used; i < threads && used > 0; i++)
        cpus[i] = cpus[i % used];
    return used;
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_object(const struct topo *topo, hwloc_obj_t object, int depth, FILE *stream)
{
    char type[64], attributes[128];
    bool is_shown = object->type != HWLOC_OBJ_GROUP && !hwloc_obj_type_is_icache(object->type);
    hwloc_obj_type_snprintf(type, sizeof type, object, 1);
    hwloc_obj_attr_snprintf(attributes, sizeof attributes, object, " ", 0);
    if (object->type == HWLOC_OBJ_PU)
        fprintf(stream, "%*sCPU %u\n", 2 * depth, "", object->os_index);
    else if (is_shown)
        fprintf(stream, "%*s%s%s%s\n", 2 * depth, "", type, *attributes ? " " : "", attributes);
    for (hwloc_obj_t memory = object->memory_first_child; memory; memory = memory->next_sibling)
        print_object(topo, memory, depth + 1, stream);
    for (hwloc_obj_t child = object->first_child; child != NULL; child = child->next_sibling)
        print_object(topo, child, depth + is_shown, stream);
}

void topo_print(const struct topo *topo, FILE *stream)
{
    print_object(topo, hwloc_get_root_obj(topo->hwloc), 0, stream);
}
