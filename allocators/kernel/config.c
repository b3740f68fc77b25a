#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "fault.h"
#include "knob_text.h"
#include "types.h"

#define VARIABLE       "HEAPMARK_SLUB"
#define NODES_VARIABLE "HEAPMARK_KMEM_NODES"

const char fault_subject[] = "slub";

struct kmem_config kmem_config = {
    .sheaves = 1,
    .cpu_partial = CONFIG_AUTO,
    .min_partial = CONFIG_AUTO,
    .barn = (size_t)4 << 20,
    .near = 1,
};

/* In the order of enum percpu_mode. */
static const char *const modes[] = {"auto", "rseq", "thread", NULL};

static const struct knob table[] = {
#define KNOB(name, field, min, max, words)                               \
    {                                                                    \
        name, offsetof(struct kmem_config, field), min, max, words, NULL \
    }
    KNOB("sheaves", sheaves, 0, 1, NULL),
    KNOB("percpu", percpu, 0, 0, modes),
    KNOB("cpu_partial", cpu_partial, 0, 1024, NULL),
    KNOB("min_partial", min_partial, 0, 1024, NULL),
    KNOB("nodes", nodes, 1, MAX_NUMNODES, NULL),
    KNOB("pool", pool, (size_t)4 << 20, (size_t)1 << 42, NULL),
    KNOB("reserve", reserve, 0, (size_t)1 << 40, NULL),
    KNOB("barn", barn, 0, (size_t)1 << 30, NULL),
    KNOB("near", near, 0, 1, NULL),
    KNOB("stats", stats, 0, 1, NULL),
    KNOB("debug", debug, 0, 1, NULL),
    KNOB("warn", warn, 0, 1, NULL),
    {0},
#undef KNOB
};

static const struct knob nodes_table[] = {
    {"nodes", offsetof(struct kmem_config, nodes), 1, MAX_NUMNODES, NULL, NULL},
    {0},
};

void config_read(void)
{
    const char *text = secure_getenv(NODES_VARIABLE);
    char nodes[32] = "nodes=";
    size_t used = 6;

    if (text && *text) {
        while (*text && used < sizeof nodes - 1)
            nodes[used++] = *text++;
        knob_text_read(nodes, NODES_VARIABLE, nodes_table, &kmem_config, sizeof kmem_config);
    }
    text = secure_getenv(VARIABLE);
    if (text && *text)
        knob_text_read(text, VARIABLE, table, &kmem_config, sizeof kmem_config);
    if (kmem_config.debug)
        kmem_config.stats = 1; /* the fast paths are closed */
}
