/* heapmark: fio for memory allocators. The command table. */
#include "cmd/cmd.h"
#include "util/errno_text.h"
#include "util/nearest.h"
#include "util/say.h"
#include "version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"list", cmd_list, "what there is: allocators, workloads, jobs, metrics, traces"},
    {"run", cmd_run, "run a job, a workload or a trace; write CSV; print the ranking"},
    {"record", cmd_record, "record a program's heap traffic as a trace"},
    {"trace", cmd_trace, "look at, verify, cut, import and export traces"},
    {"topo", cmd_topo, "the machine, and where threads would go"},
    {"doctor", cmd_doctor, "what on this machine will spoil measurements, and how to mend it"},
    {"ranking", cmd_analysis, "print the ranking of a finished run again"},
    {"instructions", cmd_analysis, "print the instruction counts of a finished run again"},
    {"compare", cmd_analysis, "compare two runs, or two allocators of a run"},
    {"gate", cmd_analysis, "decide whether a change made an allocator worse"},
    {"history", cmd_analysis, "find what changed in a history of gates"},
    {"plot", cmd_analysis, "draw the plots of a finished run"},
    {"report", cmd_analysis, "write a finished run as one HTML page"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *stream)
{
    fprintf(stream, "Usage: heapmark COMMAND [OPTION...]\n"
                    "Measures memory allocators: which one, with which settings, is best for this "
                    "program?\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(stream, "  %-13s%s\n", commands[i].name, commands[i].help);
    fprintf(stream, "\n'heapmark COMMAND --help' says more. To begin: heapmark run quick\n");
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    say_error("unknown command '%s'%s 'heapmark --help' shows what there is", name,
              say_hint(nearest(name, names, COMMANDS)));
    return EXIT_USAGE;
}

/* What was printed may be the result itself: on a full disk it is not there. */
static int check_output(int code)
{
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (!lost || code != EXIT_OK)
        return code;
    say_error("cannot write to standard output: %s", errno_text(errno != 0 ? errno : EIO));
    return EXIT_USAGE;
}

/* Three times what some paths of files take, and what is called with them. */
enum { STACK_KIB_MIN = 256 };

/* Found out now, and not by a crash that leaves a recording half made. */
static bool has_stack(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur / 1024 >= STACK_KIB_MIN)
        return true;
    uint64_t kib = limit.rlim_cur / 1024;
    say_error("cannot run with a stack of %" PRIu64 " KiB (ulimit -s): %d are needed; a program "
              "alone gets so little by 'sh -c \"ulimit -s %" PRIu64 "; exec PROGRAM\"'",
              kib, STACK_KIB_MIN, kib);
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return check_output(EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("heapmark %s (%s)\n", HEAPMARK_VERSION, HEAPMARK_GIT);
        return check_output(EXIT_OK);
    }
    if (!has_stack())
        return EXIT_USAGE;
    for (int i = 0; i < COMMANDS; i++) {
        char name[64];
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        snprintf(name, sizeof name, "heapmark %s", commands[i].name);
        argv[1] = name;
        return check_output(commands[i].run(argc - 1, argv + 1));
    }
    return unknown_command(argv[1]);
}
