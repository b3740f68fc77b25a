/* Commands that are Python behind the same command line: their words are passed on. */
#include "cmd/cmd.h"

#include "util/analysis.h"
#include "util/pool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The gate runs this program again, wherever it lies. */
static void tell_program(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return;
    path[length] = '\0';
    setenv("HEAPMARK_PROGRAM", path, 1);
}

static int pass_on(const char *command, int argc, char **argv)
{
    struct strings words = {0};
    strings_add(&words, command);
    for (int i = 1; i < argc; i++)
        strings_add(&words, argv[i]);
    return analysis_become(words.items);
}

/* The command's name stands behind "heapmark " in argv[0]. */
int cmd_analysis(int argc, char **argv)
{
    tell_program();
    return pass_on(strchr(argv[0], ' ') + 1, argc, argv);
}
