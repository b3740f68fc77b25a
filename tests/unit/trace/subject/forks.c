/* Children that go on with their parent's program. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "workloads/trace/raw.h"

/* The child's calls must not appear among its parent's; those before and after must. */
static int forks(void)
{
    void *before = grab(100001);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < ROUNDS; i++)
            grab(100003);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    free(before);
    free(grab(100005));
    return 0;
}

/* The child makes one call, which fails. */
static int child_fails(void)
{
    void *block = grab(100001);
    volatile size_t huge = SIZE_MAX / 2;
    pid_t child = fork();
    if (child == 0)
        _exit(realloc(block, huge) != NULL);
    int status;
    return waitpid(child, &status, 0) == child ? status : 1;
}

/* In a vforked child calls go to the parent's own memory: they are the parent's calls. */
static int vforks(void)
{
    static void *volatile block;
    block = grab(100001);
    pid_t child = vfork();
    if (child == 0) {
        free(block);
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    free(grab(100005));
    return WEXITSTATUS(status);
}

enum { FORKS = 20, FORK_ROUNDS = 100 };

/* Forks while other threads are in the middle of their calls; the children call too. */
static int forks_among_threads(void)
{
    pthread_t threads[4];
    int status, bad = 0;
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, rounds, NULL) != 0)
            return 1;
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        for (int k = 0; k < FORK_ROUNDS; k++)
            free(grab((size_t)k));
        if (child == 0)
            _exit(0);
        bad |= waitpid(child, &status, 0) != child || status != 0;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return bad;
}

/* There is a recording of as many processes as it holds. */
static int fills_table(void)
{
    int descriptor = open(getenv(RAW_ENV), O_RDWR);
    struct raw_header *header =
        mmap(NULL, RAW_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (header == MAP_FAILED || pairs() != 0)
        return 1;
    header->processes = RAW_PROCESSES_MAX;
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(pairs());
        if (failed(child))
            return 2;
    }
    return 0;
}

const struct scene fork_scenes[] = {
    {"forks", forks},
    {"child_fails", child_fails},
    {"vforks", vforks},
    {"forks_among_threads", forks_among_threads},
    {"fills_table", fills_table},
    {NULL, NULL},
};
