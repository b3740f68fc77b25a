/* Children that outlive their parents. */
#include <stdlib.h>
#include <unistd.h>

#include "scene.h"

/* Until a file of that name stands here: the tests know when a daemon may go on. */
static void wait_for_go(void)
{
    while (access("go", F_OK) != 0)
        usleep(1000);
}

/*
 * A daemon as the book says: two forks, a session of its own; its parents go when it is ready, and
 * it goes on.
 */
static int becomes_daemon(void)
{
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0)
        return 1;
    if (fork() != 0)
        return read(ready[0], &byte, 1) == 1 ? 0 : 1;
    setsid();
    if (fork() != 0)
        _exit(0);
    free(grab(100001));
    ssize_t written = write(ready[1], &byte, 1);
    wait_for_go();
    pairs();
    _exit(written == 1 ? 0 : 1);
}

/* One whose first call comes when all that came before it are gone. */
static int becomes_late_daemon(void)
{
    int parents[2];
    char byte;
    if (pipe(parents) != 0)
        return 1;
    if (fork() != 0)
        return 0;
    setsid();
    if (fork() != 0)
        _exit(0);
    close(parents[1]);
    if (read(parents[0], &byte, 1) != 0) /* the end: nobody else has the other side any more */
        _exit(1);
    wait_for_go();
    _exit(pairs());
}

/* Ends, and leaves a process behind that calls until it is killed. */
static int leaves_one_behind(void)
{
    if (fork() != 0)
        return 0;
    close(STDERR_FILENO); /* somebody may wait for its end */
    endless();
}

const struct scene daemon_scenes[] = {
    {"becomes_daemon", becomes_daemon},
    {"becomes_late_daemon", becomes_late_daemon},
    {"leaves_one_behind", leaves_one_behind},
    {NULL, NULL},
};
