/*
 * The trial's side of an exact peak: before any call that may give memory back, the process stops
 * and its parent reads what is resident (runner/peak.h). The kernel's own mark cannot do this: it
 * is set from counters that lag.
 *
 * seccomp's user notification (Linux 5.5) stops single calls of any thread without a tracer. The
 * filter guards nothing, so it does not ask for which architecture a call is made.
 */
#include "trial/trial.h"
#include "util/errno_text.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field)           BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQUAL(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (skip), 0)
#define ANSWER(action)        BPF_STMT(BPF_RET | BPF_K, (action))

/* A jump skips as many lines as it says. mmap() takes pages away only where it is told the place. */
static struct sock_filter calls_that_shrink[] = {
    LOAD(nr),
    IF_EQUAL(SYS_munmap, 11),
    IF_EQUAL(SYS_madvise, 10),
    IF_EQUAL(SYS_brk, 9),
    IF_EQUAL(SYS_ftruncate, 8),
    IF_EQUAL(SYS_shmdt, 7),
    IF_EQUAL(SYS_mremap, 6),
    IF_EQUAL(SYS_fallocate, 5),
    IF_EQUAL(SYS_process_madvise, 4),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 2),
    LOAD(args[3]),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_FIXED, 1, 0),
    ANSWER(SECCOMP_RET_ALLOW),
    ANSWER(SECCOMP_RET_USER_NOTIF),
};

/* Hands a descriptor to the other end of a socket: 0, or -1 with errno. */
static int send_fd(int socket_fd, int fd)
{
    char byte = 0;
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(socket_fd, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

void peak_watch(struct trial *trial)
{
    if (!trial->spec->has_exact_peak)
        return;
    const struct sock_fprog program = {.len = sizeof calls_that_shrink / sizeof *calls_that_shrink,
                                       .filter = calls_that_shrink};
    int listener = -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) /* without it only root may have a filter */
        listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0 || send_fd(TRIAL_LISTENER_FD, listener) != 0)
        trial_fail(trial, TRIAL_UNSUPPORTED,
                   "an exact peak needs seccomp's user notification (Linux 5.5): %s",
                   errno_text(errno));
    close(listener);
    close(TRIAL_LISTENER_FD);
}
