/* Threads with a cancellation pending, in calls at which the C library does not cancel. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

extern char **environ;

static char *arguments[] = {"subject", NULL};

/* With a cancellation pending: waitpid() is a place for it. True: it ended with that status. */
static bool ends_with(pid_t child, int status)
{
    int result;
    while (syscall(SYS_wait4, child, &result, 0, NULL) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(result) && WEXITSTATUS(result) == status;
}

/* A filter that fails, while nobody can make room for it. */
static bool is_refused_a_filter(void)
{
    kill(getppid(), SIGSTOP);
    bool good = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == 0;
    kill(getppid(), SIGCONT);
    return !good;
}

/* As for a user who may lock 64 KiB. */
static bool is_refused_memory(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3] = {0};
    struct rlimit limit = {64 << 10, 64 << 10};
    syscall(SYS_capget, &header, rights);
    rights[0].effective &= ~(1u << CAP_IPC_LOCK);
    return syscall(SYS_capset, &header, rights) == 0 && setrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
           mlockall(MCL_CURRENT) != 0 && errno == ENOMEM;
}

static bool runs_others(void)
{
    pid_t spawned;
    execv("/etc/passwd", arguments);
    return posix_spawnp(&spawned, "true", NULL, NULL, arguments, environ) == 0 &&
           ends_with(spawned, 0);
}

static bool forks(void)
{
    pid_t child = fork();
    if (child == 0) {
        free(grab(10));
        _exit(3);
    }
    return ends_with(child, 3);
}

/* NULL: it came through all of it. */
static void *goes_on(void *cancelled)
{
    while (!atomic_load((atomic_bool *)cancelled))
        continue;
    bool good = is_refused_a_filter();
    pairs();
    good = runs_others() && good;
    good = forks() && good;
    good = is_refused_memory() && good;
    return good ? NULL : cancelled;
}

static int is_cancelled(void)
{
    atomic_bool cancelled = false;
    pthread_t thread;
    void *result;
    free(grab(10));
    if (pthread_create(&thread, NULL, goes_on, &cancelled) != 0)
        return 1;
    pthread_cancel(thread);
    cancelled = true;
    pthread_join(thread, &result);
    return result != NULL;
}

static _Atomic pid_t vforked;

/* Soon after it began. */
static void *kills_vforked(void *unused)
{
    for (;;) {
        pid_t child = atomic_exchange(&vforked, 0);
        usleep(200);
        if (child > 0)
            kill(child, SIGKILL);
    }
    return unused;
}

/* A child of vfork() that is killed in exec() must not leave its parent's thread, which it shares, uncancellable. */
static int stays_cancellable(void)
{
    pthread_t killer;
    int before = PTHREAD_CANCEL_ENABLE;
    if (pthread_create(&killer, NULL, kills_vforked, NULL) != 0)
        return 1;
    for (int i = 0; i < 50 && before == PTHREAD_CANCEL_ENABLE; i++) {
        pid_t child = vfork();
        if (child == 0)
            for (vforked = getpid();;)
                execv("/etc/passwd", arguments);
        waitpid(child, NULL, 0);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    }
    return before != PTHREAD_CANCEL_ENABLE;
}

const struct scene cancelled_scenes[] = {
    {"is_cancelled", is_cancelled},
    {"stays_cancellable", stays_cancellable},
    {NULL, NULL},
};
