#include "util/paths.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory of the running program, without a final slash. */
static int program_directory(char *path, size_t bytes)
{
    ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
    if (length <= 0)
        return -ENOENT;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

/* `relative` under the first of the program's directory and its neighbours where it exists. */
static int find_near_program(const char *const *roots, const char *relative, char *path,
                             size_t bytes)
{
    char program[PATH_MAX], candidate[3 * PATH_MAX], resolved[PATH_MAX];
    if (program_directory(program, sizeof program) != 0)
        return -ENOENT;
    for (; *roots != NULL; roots++) {
        if ((*roots)[0] == '/')
            snprintf(candidate, sizeof candidate, "%s/%s", *roots, relative);
        else
            snprintf(candidate, sizeof candidate, "%s/%s/%s", program, *roots, relative);
        if (realpath(candidate, resolved) == NULL || access(resolved, F_OK) != 0)
            continue;
        if ((size_t)snprintf(path, bytes, "%s", resolved) >= bytes)
            return -ENAMETOOLONG;
        return 0;
    }
    return -ENOENT;
}

int paths_library(const char *name, char *path, size_t bytes)
{
    static const char *const roots[] = {"lib/heapmark", "../lib/heapmark",
                                        "../" HEAPMARK_LIBDIR "/heapmark", NULL};
    return find_near_program(roots, name, path, bytes);
}

int paths_trial(char *path, size_t bytes)
{
    static const char *const roots[] = {".", "../libexec/heapmark", NULL};
    return find_near_program(roots, "heapmark-trial", path, bytes);
}

int paths_shared(const char *name, char *path, size_t bytes)
{
    static const char *const roots[] = {"share/heapmark", "../share/heapmark", NULL};
    return find_near_program(roots, name, path, bytes);
}

bool paths_is_file(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && S_ISREG(file.st_mode);
}

bool paths_is_given(const char *name)
{
    return strchr(name, '/') != NULL || paths_is_file(name);
}

static int resolve(const char *name, char *path, size_t bytes)
{
    char resolved[PATH_MAX];
    if (realpath(name, resolved) == NULL)
        return -ENOENT;
    return (size_t)snprintf(path, bytes, "%s", resolved) < bytes ? 0 : -ENAMETOOLONG;
}

/* A shipped file, and not the directory where they lie. */
static bool find_shipped(const char *directory, const char *name, const char *suffix, char *path,
                         size_t bytes)
{
    char relative[PATH_MAX];
    snprintf(relative, sizeof relative, "%s/%s%s", directory, name, suffix);
    return paths_shared(relative, path, bytes) == 0 && paths_is_file(path);
}

int paths_find(const char *directory, const char *name, const char *suffix, char *path,
               size_t bytes)
{
    if (paths_is_given(name))
        return resolve(name, path, bytes);
    if (find_shipped(directory, name, "", path, bytes) ||
        find_shipped(directory, name, suffix, path, bytes))
        return 0;
    return resolve(name, path, bytes);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct strings paths_shipped(const char *directory, const char *suffix)
{
    struct strings names = {0};
    char path[PATH_MAX];
    DIR *dir = paths_shared(directory, path, sizeof path) == 0 ? opendir(path) : NULL;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && dot != entry->d_name && strcmp(dot, suffix) == 0)
            strings_add(&names, pool_printf("%.*s", (int)(dot - entry->d_name), entry->d_name));
    }
    if (dir != NULL)
        closedir(dir);
    if (names.count > 0)
        qsort(names.items, names.count, sizeof names.items[0], compare_names);
    return names;
}
