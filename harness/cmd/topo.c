/* heapmark topo: the machine, and where a placement would put threads. */
#include "cmd/cmd.h"

#include "job/options.h"
#include "topo/topo.h"
#include "trial/spec.h"
#include "util/cli.h"
#include "util/say.h"

#include <stdio.h>

enum { KEY_PLACEMENT = 0x100, KEY_THREADS };

struct call {
    const char *placement, *threads;
};

static int parse_option(int key, char *value, struct argp_state *state)
{
    struct call *call = state->input;
    switch (key) {
    case KEY_PLACEMENT: call->placement = value; return 0;
    case KEY_THREADS: call->threads = value; return 0;
    case ARGP_KEY_ARG: argp_error(state, "it takes no names, and '%s' is one", value); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void print_placement(const struct topo *topo, const char *placement, uint32_t threads)
{
    static int32_t cpus[TRIAL_THREADS_MAX];
    unsigned used = topo_place(topo, placement, threads, cpus);
    printf("\nplacement '%s', %u threads:\n", placement, threads);
    for (uint32_t i = 0; i < threads; i++)
        if (cpus[i] < 0)
            printf("  thread %-4u wherever the kernel puts it\n", i);
        else
            printf("  thread %-4u CPU %d\n", i, cpus[i]);
    if (used != 0 && threads > used)
        printf("  oversubscribed: %u threads on %u CPUs\n", threads, used);
}

int cmd_topo(int argc, char **argv)
{
    static const struct argp_option options[] =
        {{"placement", KEY_PLACEMENT, "NAME", 0, "compact, scatter, none or a list of CPUs", 0},
         {"threads", KEY_THREADS, "N", 0, "threads to place (default: one for each CPU)", 0},
         {0}};
    const struct argp argp =
        {.options = options,
         .parser = parse_option,
         .doc = "Shows the machine as hwloc sees it, and where threads would go."};
    struct call call = {.placement = run_options[OPT_placement].fallback};
    if (cli_parse(&argp, argc, argv, &call) != 0)
        return EXIT_USAGE;
    const struct run_option *option = &run_options[OPT_threads];
    char expected[128];
    if (call.threads != NULL &&
        run_option_check(option, call.threads, expected, sizeof expected) != 0) {
        say_error("--threads: '%s' is not good: expected %s", call.threads, expected);
        return EXIT_USAGE;
    }
    struct topo *topo = topo_open();
    if (topo == NULL)
        return EXIT_FAILED;
    uint32_t threads =
        call.threads ? (uint32_t)run_option_number(option, call.threads) : topo_cpu_count(topo);
    char reason[256];
    int result = topo_check_placement(topo, call.placement, reason, sizeof reason);
    if (result != 0) {
        say_error("%s", reason);
    } else {
        topo_print(topo, stdout);
        print_placement(topo, call.placement, threads);
    }
    topo_close(topo);
    return result == 0 ? EXIT_OK : EXIT_USAGE;
}
