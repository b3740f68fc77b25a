#include "workloads/trace/recording_orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* To look takes some 30 us a process. A program that was just loaded has not mapped the file yet. */
enum { LOOK_NS = 300000000, LOADING_NS = 1000000000 };

static bool has_children(void)
{
    siginfo_t ended;
    return waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void orphans_adopt(struct orphans *orphans)
{
    *orphans = (struct orphans){.adopted = !has_children() &&
                                           prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0};
}

void orphans_release(const struct orphans *orphans)
{
    if (orphans->adopted)
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

bool orphans_exist(const struct orphans *orphans)
{
    return orphans->adopted && has_children();
}

/* Whether a line of the file holds `text`; false if it may not be read. */
static bool file_holds(const char *path, const char *text)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    if (file == NULL)
        return false;
    while (!found && getline(&line, &room, file) > 0)
        found = strstr(line, text) != NULL;
    free(line);
    fclose(file);
    return found;
}

/* By the file's name: one of the same name elsewhere makes a recording wait, and loses nothing. */
static bool others_map(const char *raw_path)
{
    const char *slash = strrchr(raw_path, '/'), *name = slash != NULL ? slash + 1 : raw_path;
    DIR *proc = opendir("/proc");
    bool found = proc == NULL; /* in doubt */
    for (struct dirent *entry; !found && (entry = readdir(proc)) != NULL;) {
        char maps[sizeof "/proc//maps" + NAME_MAX];
        if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
            continue;
        snprintf(maps, sizeof maps, "/proc/%s/maps", entry->d_name);
        found = file_holds(maps, name);
    }
    if (proc != NULL)
        closedir(proc);
    return found;
}

bool orphans_may_call(struct orphans *orphans, const char *raw_path, uint64_t now_ns)
{
    if (!orphans_exist(orphans))
        return false;
    if (orphans->found_ns == 0)
        orphans->found_ns = now_ns;
    if (now_ns - orphans->looked_ns >= LOOK_NS) {
        orphans->looked_ns = now_ns;
        if (others_map(raw_path))
            orphans->found_ns = now_ns;
    }
    return now_ns - orphans->found_ns < LOADING_NS;
}
