#include "runner/peak.h"

#include "trial/memory.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int peak_open(struct peak_watch *watch, unsigned threads)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    *watch = (struct peak_watch){.fd = ends[0], .lag_bytes = memory_lag_bytes(threads)};
    return ends[1];
}

void peak_close(struct peak_watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

/* The descriptor that a message brings, or -1. */
static int receive_fd(int socket_fd)
{
    char byte;
    int fd;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)];
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) != 1)
        return -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS)
        return -1;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* To walk the page tables takes long where much is mapped: only if there may be more than before. */
static void note_memory(struct peak_watch *watch, pid_t pid)
{
    if (memory_rss_bytes_quick(pid) + watch->lag_bytes <= watch->rss_bytes)
        return;
    uint64_t rss_bytes = memory_rss_bytes(pid);
    if (watch->rss_bytes < rss_bytes)
        watch->rss_bytes = rss_bytes;
}

static int serve_call(struct peak_watch *watch, pid_t pid, bool counts)
{
    struct seccomp_notif call = {0};
    if (ioctl(watch->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
        return errno == EINTR || errno == ENOENT ? 0 : -errno; /* ENOENT: its thread was killed */
    if (counts)
        note_memory(watch, pid);
    struct seccomp_notif_resp go_on = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    return ioctl(watch->fd, SECCOMP_IOCTL_NOTIF_SEND, &go_on) == 0 || errno == ENOENT ? 0 : -errno;
}

void peak_serve(struct peak_watch *watch, pid_t pid, bool counts)
{
    if (watch->has_listener) {
        watch->has_failed = serve_call(watch, pid, counts) != 0;
        if (watch->has_failed)
            peak_close(watch);
        return;
    }
    int listener = receive_fd(watch->fd);
    peak_close(watch);
    watch->fd = listener;
    watch->has_listener = listener >= 0;
    watch->has_failed = listener < 0;
}
