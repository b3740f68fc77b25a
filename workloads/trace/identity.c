#include "workloads/trace/identity.h"

#include "allocators/common/uncancelled.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BIRTH_FIELD = 22, STAT_BYTES = 512 };

/* Of /proc/PID/stat: the second field is a name in brackets, which may hold anything. */
static uint64_t birth_in(char *text)
{
    char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < BIRTH_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

/* "" where it cannot be read. */
static void read_text(const char *path, char text[STAT_BYTES])
{
    int fd = uncancelled_open(path, O_RDONLY);
    ssize_t got = fd >= 0 ? uncancelled_read(fd, text, STAT_BYTES - 1) : -1;
    if (fd >= 0)
        uncancelled_close(fd);
    text[got > 0 ? got : 0] = '\0';
}

static uint64_t read_birth(const char *path)
{
    char text[STAT_BYTES];
    read_text(path, text);
    return birth_in(text);
}

static uint64_t read_inode(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 ? file.st_ino : 0;
}

struct identity identity_of_self(void)
{
    return (struct identity){.pid = (uint32_t)getpid(),
                             .birth = read_birth("/proc/self/stat"),
                             .clock = read_inode("/proc/self/ns/time"),
                             .space = read_inode("/proc/self/ns/pid")};
}

struct identity identity_of(uint32_t pid)
{
    char stat_path[32], space_path[32];
    snprintf(stat_path, sizeof stat_path, "/proc/%u/stat", pid);
    snprintf(space_path, sizeof space_path, "/proc/%u/ns/pid", pid);
    return (struct identity){.pid = pid,
                             .birth = read_birth(stat_path),
                             .clock = read_inode("/proc/self/ns/time"), /* of who is told */
                             .space = read_inode(space_path)};
}

int64_t identity_clock_ahead;

/* "monotonic  100000  0", in seconds and ns. */
static bool read_ahead(int64_t *ahead)
{
    static const char name[] = "monotonic";
    char text[STAT_BYTES];
    read_text("/proc/self/timens_offsets", text);
    if (strncmp(text, name, strlen(name)) != 0)
        return false;
    char *rest;
    int64_t seconds = strtoll(text + strlen(name), &rest, 10);
    *ahead = seconds * 1000000000 + strtoll(rest, NULL, 10);
    return true;
}

/* What is told is of the children's namespace, which this process may not be in itself. */
void identity_settle_clock(void)
{
    int64_t ahead;
    uint64_t own = read_inode("/proc/self/ns/time");
    if (own != 0 && own == read_inode("/proc/self/ns/time_for_children") && read_ahead(&ahead))
        identity_clock_ahead = ahead;
}

static bool may_be_equal(uint64_t a, uint64_t b)
{
    return a == b || a == 0 || b == 0;
}

bool identity_equals(const struct identity *a, const struct identity *b)
{
    bool same_birth = a->clock != b->clock || may_be_equal(a->birth, b->birth);
    return a->pid == b->pid && same_birth && may_be_equal(a->space, b->space);
}
