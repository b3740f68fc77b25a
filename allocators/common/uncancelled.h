/*
 * System calls at which no thread is cancelled. The C library's read(), write(), open() and others unwind a thread
 * with a cancellation pending: out of malloc(), which is no such place, and with the allocator's locks in its
 * hands. Its syscall() does not. Answers and errno are those of the C library's functions.
 */
#ifndef HM_UNCANCELLED_H
#define HM_UNCANCELLED_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* To read. */
static inline int uncancelled_open(const char *path)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

static inline int uncancelled_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static inline ssize_t uncancelled_read(int fd, void *to, size_t bytes)
{
    return syscall(SYS_read, fd, to, bytes);
}

static inline ssize_t uncancelled_write(int fd, const void *from, size_t bytes)
{
    return syscall(SYS_write, fd, from, bytes);
}

static inline ssize_t uncancelled_pwrite(int fd, const void *from, size_t bytes, off_t at)
{
    return syscall(SYS_pwrite64, fd, from, bytes, at);
}

static inline ssize_t uncancelled_getrandom(void *to, size_t bytes, unsigned flags)
{
    return syscall(SYS_getrandom, to, bytes, flags);
}

static inline void uncancelled_sleep(long ns)
{
    const struct timespec time = {0, ns};

    syscall(SYS_nanosleep, &time, NULL);
}

#endif
