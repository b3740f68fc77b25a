/* Commands that are Python behind the same command line: their words are passed on. */
#include "cmd/cmd.h"

#include "util/analysis.h"
#include "util/pool.h"

static int pass_on(const char *command, int argc, char **argv)
{
    struct strings words = {0};
    strings_add(&words, command);
    for (int i = 1; i < argc; i++)
        strings_add(&words, argv[i]);
    return analysis_run(words.items);
}

int cmd_plot(int argc, char **argv)
{
    return pass_on("plot", argc, argv);
}

int cmd_ranking(int argc, char **argv)
{
    return pass_on("ranking", argc, argv);
}
