/* What a program takes away under the recorder: its descriptors, every path, its environment. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

/* Closes every descriptor, opens others in their places, and goes elsewhere. */
static int closes_all(void)
{
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    for (int fd = 0; fd < 16; fd++)
        if (open("/dev/null", O_RDWR) < 0)
            return 1;
    if (chdir("/") != 0)
        return 1;
    return pairs() + pairs();
}

/* Goes where no path leads back, and forks there. */
static int changes_root(void)
{
    if (chroot("/proc/self") != 0 || chdir("/") != 0)
        return 1;
    pid_t child = fork();
    pairs();
    if (child == 0)
        _exit(0);
    int status;
    return waitpid(child, &status, 0) == child ? status : 1;
}

/* Its environment's array is moved again and again by realloc(), where the recorder is at work. */
static int sets_variables(void)
{
    char name[] = "VARIABLE_0_00";
    for (int round = 0; round < 3000; round++) {
        for (int i = 0; i < round % 7; i++)
            free(grab(10));
        clearenv();
        for (int i = 0; i < 40; i++) {
            name[9] = (char)('0' + round % 10);
            name[11] = (char)('0' + i / 10);
            name[12] = (char)('0' + i % 10);
            setenv(name, "x", 1);
        }
    }
    return 0;
}

const struct scene surroundings_scenes[] = {
    {"closes_all", closes_all},
    {"changes_root", changes_root},
    {"sets_variables", sets_variables},
    {NULL, NULL},
};
