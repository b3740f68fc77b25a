/* What becomes another program, tries in vain, or becomes one that cannot be recorded. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "scene.h"

static char *own[] = {"OWN=1", NULL};

static int execs(void)
{
    free(grab(100001));
    execl("/bin/ls", "ls", "/", NULL);
    return 1;
}

/* Becomes nothing, and says so; then goes on. */
static int fails_to_exec(void)
{
    char *const script[] = {"./static", NULL};
    execve("./static", script, many(200000, "A=............................................."));
    return errno == E2BIG ? pairs() : 1;
}

static int spawns_static(void)
{
    char *const program[] = {"./static", NULL};
    pid_t child;
    return posix_spawn(&child, program[0], NULL, NULL, program, own) != 0 || failed(child) ||
           pairs();
}

static int spawns_static_elsewhere(void)
{
    char *const program[] = {"./static", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, "there");
    return posix_spawn(&child, program[0], &actions, NULL, program, own) != 0 || failed(child) ||
           pairs();
}

/* A pipe that nobody writes to is no program. */
static int execs_pipe(void)
{
    char *const words_of_pipe[] = {"./pipe", NULL};
    execve("./pipe", words_of_pipe, own);
    return errno == EACCES ? pairs() : 1;
}

/* A program that has no name any more. */
static int execs_unnamed(void)
{
    char bytes[4096], *const unnamed_words[] = {"unnamed", NULL};
    int from = open("./static", O_RDONLY), to = memfd_create("unnamed", 0);
    for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;)
        if (write(to, bytes, (size_t)got) != got)
            return 1;
    fexecve(to, unnamed_words, own);
    return 2;
}

static int gives_up_rights(void)
{
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    execl("/bin/true", "true", NULL);
    return 2;
}

/* A program that is setuid by its file, and gains nothing by it here. */
static int gains_no_rights(void)
{
    char *const plain[] = {"./rights", NULL};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 1;
    execve("./rights", plain, own);
    return 2;
}

const struct scene exec_scenes[] = {
    {"execs", execs},
    {"fails_to_exec", fails_to_exec},
    {"spawns_static", spawns_static},
    {"spawns_static_elsewhere", spawns_static_elsewhere},
    {"execs_pipe", execs_pipe},
    {"execs_unnamed", execs_unnamed},
    {"gives_up_rights", gives_up_rights},
    {"gains_no_rights", gains_no_rights},
    {NULL, NULL},
};
