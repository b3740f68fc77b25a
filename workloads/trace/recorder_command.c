/*
 * What the program was started as, for its trace. It is asked once for each program, when its recording
 * begins: a child of fork() is the same program, and may have shut itself off from who tells, by
 * chroot() or seccomp.
 */
#include "workloads/trace/recorder_log.h"

#include "allocators/common/uncancelled.h"

#include <fcntl.h>
#include <string.h>

static struct raw_command own;

static size_t read_all(int fd, char *text, size_t room)
{
    size_t used = 0;
    ssize_t got;
    while (used < room && (got = uncancelled_read(fd, text + used, room - used)) > 0)
        used += (size_t)got;
    return used;
}

/* A part of a command line means something else: of one that does not fit, the program alone. */
static void keep_program(void)
{
    size_t length = strnlen(own.words, sizeof own.words);
    own.bytes = 0;
    if (length + 2 > sizeof own.words)
        return;
    memmove(own.words + 1, own.words, length);
    own.words[0] = own.words[length + 1] = '\0';
    own.bytes = (uint32_t)length + 2;
}

/* What a program has written over its own arguments need not end with a 0 byte. */
void log_read_command(void)
{
    char more;
    int fd = uncancelled_open("/proc/self/cmdline", O_RDONLY);
    if (fd < 0)
        return;
    own.bytes = (uint32_t)read_all(fd, own.words, sizeof own.words);
    bool is_ended = own.bytes > 0 && own.words[own.bytes - 1] == '\0';
    if (read_all(fd, &more, 1) > 0 || (!is_ended && own.bytes == sizeof own.words))
        keep_program();
    else if (!is_ended && own.bytes > 0)
        own.words[own.bytes++] = '\0';
    uncancelled_close(fd);
}

void log_put_command(struct raw_segment *segment)
{
    *raw_command(segment) = own;
}
