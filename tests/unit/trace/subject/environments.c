/* Programs that begin with an environment of their own, to which the recorder adds. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

static char self[] = "/proc/self/exe", mode[] = "has_own_environment";
static char *words[] = {self, mode, NULL}, *own[] = {"OWN=1", NULL};

/* Its environment is what the ways below give it, and what the recorder needs. */
static int has_own_environment(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    if (getenv("OWN") == NULL || getenv("HEAPMARK_RECORD") == NULL || preloaded == NULL ||
        environ[3] != NULL || strstr(preloaded, "libhm_record.so") == NULL)
        return 1;
    return pairs();
}

enum way {
    EXECVE,
    EXECV,
    EXECVPE,
    EXECVP,
    EXECL,
    EXECLP,
    EXECLE,
    FEXECVE,
    EXECVEAT,
    WAYS,
};

static void exec_anew(enum way way)
{
    int descriptor = open(self, O_RDONLY | O_CLOEXEC);
    if (way == EXECV || way == EXECVP || way == EXECL || way == EXECLP)
        environ = own;
    switch (way) {
    case EXECVE: execve(self, words, own); break;
    case EXECV: execv(self, words); break;
    case EXECVPE: execvpe(self, words, own); break;
    case EXECVP: execvp(self, words); break;
    case EXECL: execl(self, self, mode, NULL); break;
    case EXECLP: execlp(self, self, mode, NULL); break;
    case EXECLE: execle(self, self, mode, NULL, own); break;
    case FEXECVE: fexecve(descriptor, words, own); break;
    default: execveat(descriptor, "", words, own, AT_EMPTY_PATH);
    }
    _exit(77);
}

/* Every function of the exec family begins a program that is recorded, with three variables. */
static int execs_anew(void)
{
    int failures = 0;
    pid_t child;
    for (enum way way = 0; way < WAYS; way++) {
        child = fork();
        if (child == 0)
            exec_anew(way);
        failures += failed(child);
    }
    failures += posix_spawn(&child, self, NULL, NULL, words, own) != 0 || failed(child);
    failures += posix_spawnp(&child, self, NULL, NULL, words, own) != 0 || failed(child);
    return failures;
}

/* Pages that the process has mapped. The recorder must leave none behind in a parent. */
static long mapped_pages(void)
{
    char text[64] = "";
    int descriptor = open("/proc/self/statm", O_RDONLY);
    ssize_t got = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    return got > 0 ? atol(text) : -1;
}

/* Nor does a child of vfork() leave anything behind in its parent, also of a large environment. */
static int vforks_anew(void)
{
    char *const *before = environ, *pairs_words[] = {self, "pairs", NULL};
    const char *preloaded = getenv("LD_PRELOAD");
    char **large = many(5000, "A=1");
    char long_one[] =
        "X=............................................................................";
    char **too_large = many(200000, long_one);
    char **far_too_large = many(2000000, "A=1"); /* for any stack */
    long mapped = mapped_pages();
    for (int i = 0; i < 2; i++) {
        pid_t child = vfork();
        if (child == 0) {
            execve(self, i == 0 ? words : pairs_words, i == 0 ? own : large);
            _exit(1);
        }
        if (failed(child))
            return 1;
    }
    if (execve(self, words, too_large) != -1 || errno != E2BIG)
        return 2;
    pid_t child = vfork();
    if (child == 0) {
        execve(self, words, far_too_large);
        _exit(errno != E2BIG);
    }
    if (failed(child))
        return 3;
    if (posix_spawn(&child, self, NULL, NULL, pairs_words, large) != 0 || failed(child))
        return 4;
    return environ != before || getenv("LD_PRELOAD") != preloaded || mapped_pages() != mapped;
}

const struct scene environment_scenes[] = {
    {"has_own_environment", has_own_environment},
    {"execs_anew", execs_anew},
    {"vforks_anew", vforks_anew},
    {NULL, NULL},
};
