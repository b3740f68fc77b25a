#include "workloads/trace/output_path.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* as many as the kernel follows */

/* Puts what a link says in the link's place. 0 or -errno. */
static int put(char path[PATH_MAX], const char *link)
{
    char *slash = strrchr(path, '/');
    size_t directory = link[0] == '/' || slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (directory + strlen(link) >= PATH_MAX)
        return -ENAMETOOLONG;
    strcpy(path + directory, link);
    return 0;
}

int output_path(const char *given, char path[PATH_MAX])
{
    char link[PATH_MAX];
    path[0] = '\0';
    int error = put(path, given);
    for (int i = 0; i <= LINKS_MAX && error == 0; i++) {
        ssize_t length = readlink(path, link, sizeof link - 1);
        if (length < 0)
            return 0;
        link[length] = '\0';
        error = put(path, link);
    }
    return error != 0 ? error : -ELOOP;
}
