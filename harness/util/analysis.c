#include "util/analysis.h"

#include "util/errno_text.h"
#include "util/paths.h"
#include "util/pool.h"
#include "util/say.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANALYSIS_FAILED = 2 }; /* as for wrong input: 1 would be a regression from the gate */

static _Noreturn void become_python(const char *python, const char *package,
                                    const char *const *arguments)
{
    struct strings words = {0};
    strings_add(&words, python);
    strings_add(&words, "-m");
    strings_add(&words, "heapmark");
    for (; *arguments != NULL; arguments++)
        strings_add(&words, *arguments);
    /* -m also searches the working directory, where anything may lie under that name. */
    setenv("PYTHONSAFEPATH", "1", 1);
    setenv("PYTHONPATH", package, 1);
    unsetenv("PYTHONHOME");
    execvp(python, (char *const *)words.items);
    say_error("cannot start '%s': %s; install python3 or set HEAPMARK_PYTHON to an interpreter",
              python, errno_text(errno));
    _exit(ANALYSIS_FAILED);
}

static bool find_python(const char **python, char package[PATH_MAX])
{
    const char *chosen = getenv("HEAPMARK_PYTHON");
    *python = chosen != NULL && *chosen ? chosen : HEAPMARK_PYTHON_DEFAULT;
    if (paths_shared("python", package, PATH_MAX) == 0)
        return true;
    say_error("heapmark's Python package is missing; build or install again");
    return false;
}

int analysis_become(const char *const *arguments)
{
    char package[PATH_MAX];
    const char *python;
    if (!find_python(&python, package))
        return ANALYSIS_FAILED;
    fflush(NULL);
    become_python(python, package, arguments);
}

int analysis_run(const char *const *arguments)
{
    char package[PATH_MAX];
    const char *python;
    if (!find_python(&python, package))
        return ANALYSIS_FAILED;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become_python(python, package, arguments);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0 || !WIFEXITED(status)) {
        say_error("the analysis ended abnormally (%s)", pid < 0 ? errno_text(errno) : "killed");
        return ANALYSIS_FAILED;
    }
    return WEXITSTATUS(status);
}
