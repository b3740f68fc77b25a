#include "workloads/trace/recording_orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

/* What a file is told by in /proc/PID/maps: the device there is another one on some file systems. */
struct sought {
    const char *name; /* without its directory, which may be another one to another process */
    ino_t inode;
};

static bool is_line_of(const char *line, const struct sought *file)
{
    unsigned long long inode = 0;
    return strstr(line, file->name) != NULL && sscanf(line, "%*s %*s %*s %*s %llu", &inode) == 1 &&
           inode == file->inode;
}

/* 1 or 0; -errno when it cannot be found out. A process that has ended maps nothing. */
static int process_maps(pid_t pid, const struct sought *file)
{
    char path[64], *line = NULL;
    size_t room = 0;
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return -errno;
    while (!found && getline(&line, &room, maps) > 0)
        found = is_line_of(line, file);
    free(line);
    fclose(maps);
    return found;
}

static struct sought sought_of(const char *raw_path, int raw_fd)
{
    struct stat file = {0};
    const char *slash = strrchr(raw_path, '/');
    fstat(raw_fd, &file);
    return (struct sought){slash != NULL ? slash + 1 : raw_path, file.st_ino};
}

static bool others_map(const char *raw_path, int raw_fd)
{
    struct sought file = sought_of(raw_path, raw_fd);
    DIR *proc = opendir("/proc");
    bool found = proc == NULL; /* in doubt */
    for (struct dirent *entry; !found && (entry = readdir(proc)) != NULL;)
        if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid())
            found = process_maps(atoi(entry->d_name), &file) > 0;
    if (proc != NULL)
        closedir(proc);
    return found;
}

/* Who may not be looked at, as a program that has protected itself, is taken to be the one. */
bool orphan_may_write(pid_t pid, const char *raw_path, int raw_fd)
{
    struct sought file = sought_of(raw_path, raw_fd);
    int maps = process_maps(pid, &file);
    return maps > 0 || (maps < 0 && maps != -ESRCH && kill(pid, 0) == 0);
}

bool orphans_may_call(struct orphans *orphans, const char *raw_path, int raw_fd, uint64_t now_ns)
{
    if (!orphans_exist(orphans))
        return false;
    if (orphans->found_ns == 0)
        orphans->found_ns = now_ns;
    if (now_ns - orphans->looked_ns >= LOOK_NS) {
        orphans->looked_ns = now_ns;
        if (others_map(raw_path, raw_fd))
            orphans->found_ns = now_ns;
    }
    return now_ns - orphans->found_ns < LOADING_NS;
}
