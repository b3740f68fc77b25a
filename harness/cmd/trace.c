/* heapmark trace: the sub-commands, and what they share. */
#include "cmd/trace.h"

#include "cmd/cmd.h"
#include "util/nearest.h"
#include "util/paths.h"
#include "util/say.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

const char *trace_find(const char *name, char *found, size_t bytes)
{
    if (paths_is_given(name) || paths_find("traces", name, ".hmt", found, bytes) != 0)
        return name;
    return found;
}

int trace_take_path(const char **path, const char *value, struct argp_state *state)
{
    if (*path != NULL)
        argp_error(state, "one file at a time: '%s' is too many", value);
    *path = value;
    return 0;
}

/* ---- the sub-commands ------------------------------------------------------------------------ */

static const struct sub_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} sub_commands[] = {
    {"info", trace_command_info, "what it holds: events, threads, sizes, live bytes, call sites"},
    {"verify", trace_command_verify, "check every rule that a replay relies on"},
    {"cut", trace_command_cut, "a part of it, by time, by thread, or where it is steady"},
    {"export", trace_command_export, "write it as text, or as CSV"},
    {"import", trace_command_import, "make one from text, mtrace, heaptrack, ltrace or kmem"},
    {"recover", trace_command_recover, "finish the traces of a recording that was killed"},
};

enum { SUB_COMMANDS = sizeof sub_commands / sizeof *sub_commands };

static void print_usage(FILE *stream)
{
    fprintf(stream, "Usage: heapmark trace COMMAND [OPTION...] TRACE\n"
                    "Looks at traces, checks, cuts and converts them.\n\n");
    for (int i = 0; i < SUB_COMMANDS; i++)
        fprintf(stream, "  %-9s%s\n", sub_commands[i].name, sub_commands[i].help);
    fprintf(stream, "\n'heapmark trace COMMAND --help' says more.\n");
}

static int unknown_command(const char *name)
{
    const char *names[SUB_COMMANDS];
    for (int i = 0; i < SUB_COMMANDS; i++)
        names[i] = sub_commands[i].name;
    say_error("unknown trace command '%s'%s 'heapmark trace --help' shows what there is", name,
              say_hint(nearest(name, names, SUB_COMMANDS)));
    return EXIT_USAGE;
}

int cmd_trace(int argc, char **argv)
{
    char name[64];
    if (argc < 2) {
        say_error("say what to do with a trace: info or verify, cut, export, import or recover");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0) {
        print_usage(stdout);
        return EXIT_OK;
    }
    for (int i = 0; i < SUB_COMMANDS; i++) {
        if (strcmp(argv[1], sub_commands[i].name) != 0)
            continue;
        snprintf(name, sizeof name, "%s %s", argv[0], sub_commands[i].name);
        argv[1] = name;
        return sub_commands[i].run(argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}
