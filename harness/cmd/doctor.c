/* heapmark doctor: what on this machine will spoil measurements, and how to mend each. */
#include "cmd/cmd.h"

#include "allocators/registry.h"
#include "job/contender.h"
#include "results/machine.h"
#include "util/cli.h"

#include <stdio.h>

static int parse_option(int key, char *value, struct argp_state *state)
{
    if (key == ARGP_KEY_ARG)
        argp_error(state, "it takes no names, and '%s' is one", value);
    return ARGP_ERR_UNKNOWN;
}

static int print_missing(void)
{
    int missing = 0;
    for (size_t i = 0; allocators[i] != NULL; i++) {
        if (contender_installed_path(allocators[i]) != NULL)
            continue;
        printf("- allocator '%s' is not installed\n    %s%s\n", allocators[i]->name,
               allocators[i]->package ? "apt-get install " : "build heapmark's libraries",
               allocators[i]->package ? allocators[i]->package : "");
        missing++;
    }
    return missing;
}

int cmd_doctor(int argc, char **argv)
{
    enum { MOST = 32 };
    const struct argp argp =
        {.parser = parse_option,
         .doc = "Lists what on this machine will spoil measurements, each with its remedy."};
    if (cli_parse(&argp, argc, argv, NULL) != 0)
        return EXIT_USAGE;
    struct machine_problem problems[MOST];
    size_t count = machine_problems(problems, MOST);
    for (size_t i = 0; i < count; i++)
        printf("- %s\n    %s\n", problems[i].problem, problems[i].remedy);
    if (print_missing() == 0 && count == 0)
        puts("nothing found: this machine is fit to measure on");
    return EXIT_OK;
}
