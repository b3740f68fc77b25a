/*
 * System calls at which no thread is cancelled. The C library's read(), write(), open() and others unwind a thread
 * with a cancellation pending: out of malloc(), which is no such place, and with the allocator's or the recorder's
 * locks in its hands. Its syscall() does not. pthread_setcancelstate() would be no help in a child of vfork(): its
 * thread is its parent's, and stays uncancellable when the child is killed meanwhile.
 *
 * Answers and errno are those of the C library's functions, and so are the calls by number: a program's filter
 * (seccomp) knows them.
 */
#ifndef HM_UNCANCELLED_H
#define HM_UNCANCELLED_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Closed at exec(). */
static inline int uncancelled_open(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

static inline int uncancelled_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static inline ssize_t uncancelled_read(int fd, void *to, size_t bytes)
{
    return syscall(SYS_read, fd, to, bytes);
}

static inline ssize_t uncancelled_pread(int fd, void *to, size_t bytes, off_t at)
{
    return syscall(SYS_pread64, fd, to, bytes, at);
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

    syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &time, NULL);
}

#endif
